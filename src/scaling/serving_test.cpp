#include "scaling/serving.h"

#include <gtest/gtest.h>

#include <cmath>

#include "scaling/law_file.h"
#include "units/error.h"

namespace longhaul::scaling {
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

}  // namespace
}  // namespace longhaul::scaling
