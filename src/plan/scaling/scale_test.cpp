// Budgets to models: serving, shapes, hyper-parameters, and a cluster walked.
#include "plan/scaling/scale.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <random>

#include "cluster/catalogue.h"
#include "plan/forecast.h"
#include "plan/scaling/law_file.h"
#include "plan/scaling/noise_scale.h"
#include "units/error.h"

namespace longhaul::plan::scaling {
namespace {

// Sardana et al. 2024, figure 1: who would train 13 B parameters and serve 2 T tokens saves 1.7e22 FLOPs (17 %) by training 7 B for longer,
// by Hoffmann's approach 3.
TEST(Serving, FigureOneOfItsPaper) {
  const Surface hoffmann = *find_law("hoffmann-2022-approach-3").surface();
  const Serving serving{.tokens = 2e12, .weight = 1};
  double low = 1e20, high = 1e25;
  for (int i = 0; i < 100; ++i) {
    const double middle = std::sqrt(low * high);
    (hoffmann.optimum(middle).parameters < 13e9 ? low : high) = middle;
  }
  const Allocation large = hoffmann.optimum(low);
  const Allocation small{7e9, *hoffmann.tokens_for(hoffmann.loss(large), 7e9)};
  const double saved = lifetime_flops(large, serving) - lifetime_flops(small, serving);
  EXPECT_NEAR(saved / 1.7e22, 1, 0.1);
  EXPECT_NEAR(saved / lifetime_flops(large, serving), 0.17, 0.01);
  const ServedOptimum best = cheapest_of_equal_loss(hoffmann, low, serving);
  EXPECT_LE(best.total(), lifetime_flops(small, serving));
}

TEST(Serving, MovesToSmallerModelsTrainedLonger) {  // accounting D7
  const Surface surface = *find_law("epoch-2024").surface();
  const Allocation trained = surface.optimum(1e23);
  double before = trained.parameters;
  for (const double tokens : {1e10, 1e11, 1e12, 1e13, 1e14}) {
    const ServedOptimum best = cheapest_of_equal_loss(surface, 1e23, {.tokens = tokens, .weight = 1});
    EXPECT_LT(best.at.parameters, before) << tokens;
    EXPECT_GT(best.at.tokens, trained.tokens);
    EXPECT_NEAR(surface.loss(best.at), surface.loss(trained), 1e-9);
    EXPECT_LT(best.total(), lifetime_flops(trained, {.tokens = tokens, .weight = 1}));
    // Nothing of the same loss is cheaper.
    for (const double factor : {0.97, 1.03}) {
      const double n = best.at.parameters * factor;
      EXPECT_LE(best.total(), lifetime_flops({n, *surface.tokens_for(best.loss, n)}, {.tokens = tokens, .weight = 1}) * (1 + 1e-12));
    }
    before = best.at.parameters;
  }
  const ServedOptimum none = cheapest_of_equal_loss(surface, 1e23, {});
  EXPECT_DOUBLE_EQ(none.at.parameters, trained.parameters);
  // Dear serving counts like more of it.
  EXPECT_NEAR(cheapest_of_equal_loss(surface, 1e23, {.tokens = 1e12, .weight = 3}).at.parameters /
                  cheapest_of_equal_loss(surface, 1e23, {.tokens = 3e12, .weight = 1}).at.parameters,
              1, 1e-6);
}

TEST(Serving, WithinALifetimeBudget) {
  const Surface surface = *find_law("epoch-2024").surface();
  const Serving serving{.tokens = 1e12, .weight = 1};
  const ServedOptimum best = best_within(surface, 1e23, serving);
  EXPECT_NEAR(best.total() / 1e23, 1, 1e-6);
  EXPECT_LT(best.at.parameters, surface.optimum(1e23).parameters);
  for (const double factor : {0.97, 1.03}) {
    const double n = best.at.parameters * factor;
    EXPECT_GE(surface.loss(n, (1e23 / n - 2e12) / 6), best.loss - 1e-12);
  }
  EXPECT_NEAR(best_within(surface, 1e23, {}).at.parameters / surface.optimum(1e23).parameters, 1, 1e-6);
  // The two definitions agree: the cheapest model of that loss costs that budget.
  double low = 1e20, high = 1e23;
  for (int i = 0; i < 100; ++i) {
    const double middle = std::sqrt(low * high);
    (surface.loss(surface.optimum(middle)) > best.loss ? low : high) = middle;
  }
  EXPECT_NEAR(cheapest_of_equal_loss(surface, high, serving).total() / 1e23, 1, 1e-3);
  EXPECT_THROW((void)best_within(surface, 1e12, {.tokens = 1e13, .weight = 1}), UsageError);
}

TEST(Family, PublishedShapes) {
  FamilyOptions options;
  const model::ModelSpec seven = shape_of(4096, usual_layers(4096), options);
  EXPECT_EQ(seven.layers, 32);
  EXPECT_EQ(seven.ffn_width, 11008) << "LLaMA 7B";
  EXPECT_EQ(seven.heads, 32);
  const model::ModelSpec thirteen = shape_of(5120, usual_layers(5120), options);
  EXPECT_EQ(thirteen.layers, 40);
  EXPECT_EQ(thirteen.ffn_width, 13824) << "LLaMA 13B";
  EXPECT_EQ(parameters_of(thirteen, true), 13'015'864'320.0 - 40 * 2 * 5120.0 * (5120 - 1024)) << "LLaMA 13B with grouped heads";
}

TEST(Family, NearestShapeIsNear) {
  for (const double n : {1.25e8, 1e9, 7e9, 7e10, 4e11, 1e12})
    for (const bool embeddings : {true, false}) {
      const model::ModelSpec spec = nearest_shape(n, embeddings, {});
      EXPECT_NEAR(parameters_of(spec, embeddings) / n, 1, n < 5e8 ? 0.15 : 0.05) << n;
      EXPECT_FALSE(model::trainable(spec)) << n;
    }
  EXPECT_THROW((void)nearest_shape(1e5, true, {}), UsageError);
  EXPECT_THROW((void)nearest_shape(1e16, true, {}), UsageError);
  const auto between = family_between(1e9, 1e10, true, {});
  EXPECT_GE(between.size(), 8u);
  for (const auto& spec : between) EXPECT_TRUE(parameters_of(spec, true) >= 1e9 && parameters_of(spec, true) <= 1e10);
}

TEST(Hyperparameters, BatchGrowth) {  // accounting A6
  EXPECT_DOUBLE_EQ(config::learning_rate_for_batch(1, 1024.0 / 256, config::BatchRule::linear), 4);
  EXPECT_DOUBLE_EQ(config::learning_rate_for_batch(1, 1024.0 / 256), 2);
  EXPECT_FALSE(warn_of_batch_growth(8, config::BatchRule::linear));
  EXPECT_TRUE(warn_of_batch_growth(8.1, config::BatchRule::linear));
  EXPECT_FALSE(warn_of_batch_growth(100, config::BatchRule::square_root));
}

TEST(Hyperparameters, WarmUp) {  // accounting A7
  EXPECT_EQ(advise_training({1e9, 2'000.0 * 1e6}, {}, 1e6).warmup_steps, 200);
  EXPECT_EQ(advise_training({1e9, 10'000.0 * 1e6}, {}, 1e6).warmup_steps, 1000);
  EXPECT_EQ(advise_training({1e9, 100'000.0 * 1e6}, {}, 1e6).warmup_steps, 3000);
}

// DeepSeek LLM, figure 3 and others' measurements beside it: at 1e20 FLOPs about 1e-3 and 1e6 tokens.
TEST(Hyperparameters, DeepSeekFormulas) {
  EXPECT_NEAR(deepseek_learning_rate(1e20), 9.86e-4, 1e-6);
  EXPECT_NEAR(deepseek_batch_tokens(1e20), 1.017e6, 2e3);
  EXPECT_NEAR(kaplan_critical_batch(1), 2.1e8, 1);
  const TrainingAdvice at = advise_training({7e9, 1.4e11}, 2.1, 0);
  EXPECT_TRUE(at.published_learning_rate.contains(3e-4)) << "LLaMA 7B";
  EXPECT_TRUE(at.published_batch.contains(4e6));
  EXPECT_TRUE(at.beyond);
}

// A quadratic loss ½|θ − x|² over normal x: G = θ − mean, Σ = σ²·1, so B_simple = d·σ²/|G|² is known.
TEST(NoiseScale, KnownQuadraticWithinFivePercent) {  // accounting A8
  constexpr int kDim = 40, kSmall = 8, kPieces = 8, kSteps = 4000;
  constexpr double kSigma = 2, kOffset = 0.5;
  const double golden = kDim * kSigma * kSigma / (kDim * kOffset * kOffset);
  std::mt19937_64 random(7);
  std::normal_distribution<double> normal(0, kSigma / std::sqrt(double{kSmall}));
  NoiseScale scale(kSmall, kSmall * kPieces, 0.999);
  EXPECT_FALSE(scale.value());
  for (int step = 0; step < kSteps; ++step) {
    std::vector<double> whole(kDim, 0);
    double small = 0;
    for (int piece = 0; piece < kPieces; ++piece)
      for (double& mean : whole) {
        const double g = kOffset + normal(random);
        small += g * g / kPieces, mean += g / kPieces;
      }
    double big = 0;
    for (const double g : whole) big += g * g;
    scale.add(small, big);
  }
  ASSERT_TRUE(scale.value());
  EXPECT_NEAR(*scale.value() / golden, 1, 0.05);
  // Exact norms give it exactly: |G_B|² = |G|² + trΣ/B.
  const NoiseParts exact = noise_parts(8, 10 + 160.0 / 8, 64, 10 + 160.0 / 64);
  EXPECT_NEAR(exact.gradient_squared, 10, 1e-12);
  EXPECT_NEAR(exact.trace, 160, 1e-12);
}

ScaleRequest request_of(double flops) {
  ScaleRequest request;
  request.laws = published_laws();
  request.chosen = request.surface = find_law("epoch-2024");
  request.flops = flops;
  return request;
}

TEST(Scale, ABudgetOfFlops) {
  const ScaleResult result = scale(request_of(1e21));
  EXPECT_EQ(result.laws.size(), published_laws().size());
  for (const LawAdvice& row : result.laws) {
    if (row.law.id == "twenty-tokens-per-parameter") {
      EXPECT_NEAR(row.advice.at.parameters, 2.887e9, 1e6);
    }
    if (row.loss_by_surface) {
      EXPECT_GE(*row.loss_by_surface, *result.laws.front().loss_by_surface * 0.9);
    }
  }
  ASSERT_TRUE(result.suggestion.model);
  EXPECT_NEAR(result.suggestion.at.flops() / 1e21, 1, 1e-9);
  EXPECT_NEAR(result.suggestion.at.parameters / result.suggestion.wanted.parameters, 1, 0.05);
  const nlohmann::json json = to_json(result);
  EXPECT_EQ(json["suggestion"]["counted_parameters"], model::count_params(*result.suggestion.model).total.value);
  EXPECT_FALSE(to_text(result).empty());
}

TEST(Scale, Warnings) {
  ScaleRequest request = request_of(1e26);
  request.unique_tokens = Tokens(1'000'000'000'000);
  const ScaleResult result = scale(request);
  std::string all;
  for (const std::string& warning : result.warnings) all += warning + "\n";
  EXPECT_NE(all.find("extrapolation"), std::string::npos) << all;
  EXPECT_NE(all.find("epochs"), std::string::npos) << all;
  // Ends of what a budget may be: no shape, but an answer.
  for (const double flops : {1e12, 1e32}) {
    const ScaleResult far = scale(request_of(flops));
    EXPECT_FALSE(far.suggestion.model);
    EXPECT_FALSE(far.warnings.empty());
  }
}

TEST(Scale, AClustersTimeChoosesTheShape) {
  const Calibration calibration = shipped_calibration();
  ScaleRequest request = request_of(0);
  request.flops.reset();
  request.device_hours = 64 * 24 * 7;
  RunShape base;
  base.sequence_length = 4096, base.global_batch = 256, base.framework = "megatron-lm";
  place(base, cluster::find_cluster("h100x64"));
  request.base = base, request.calibration = &calibration, request.device_memory = 80e9;
  const ScaleResult result = scale(request);
  ASSERT_TRUE(result.best);
  const Walked& best = result.walked[*result.best];
  for (const Walked& w : result.walked) {
    if (!w.run) continue;
    EXPECT_GE(w.loss, best.loss);
    EXPECT_GT(w.mfu, 0.05);
    EXPECT_LT(w.mfu, 0.8);
    EXPECT_NEAR(w.device_hours / *request.device_hours, 1, 1e-9);
    EXPECT_NEAR(w.at.tokens / (w.tokens_per_s * 7 * 86400), 1, 1e-9);
  }
  // Not at an end of the family: the family was wide enough.
  EXPECT_GT(*result.best, 0u);
  EXPECT_LT(*result.best, result.walked.size() - 1);
  EXPECT_NEAR(result.flops / best.at.flops(), 1, 1e-12);
}

}  // namespace
}  // namespace longhaul::plan::scaling
