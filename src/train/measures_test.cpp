#include "train/measures.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "checkpoint/state_hash.h"
#include "data/loader.h"
#include "train/test_support.h"

namespace longhaul::train {
namespace {

constexpr UpdateScalars kScalars{1e-2, 0.9, 0.95, 1e-8, 0.1, 0.5, 0.99, 1};

data::Batch batch_of(const config::RunConfig& config) {
  return data::synthetic_batch(3, config.model.vocab, 0, config.batch.global_batch, config.batch.sequence_length);
}

/// ‖gradient‖² of the whole batch where only sequences [first, first + count) have targets.
double squares_of_part(const config::Overrides& sets, std::int64_t first, std::int64_t count) {
  const config::RunConfig config = small_run(sets);
  Engine engine(config);
  engine.initialise();
  data::Batch batch = batch_of(config);
  const std::int64_t length = batch.sequence_length;
  for (std::int64_t i = 0; i < batch.token_count(); ++i)
    batch.loss_mask[static_cast<std::size_t>(i)] = i >= first * length && i < (first + count) * length;
  batch.target_tokens = count * length;
  engine.step().gradients(batch);
  engine.step().gradient_norm();
  double sum = 0;
  for (const double squares : engine.step().gradient_squares()) sum += squares;
  return sum;
}

// A tied embedding counts as its two accumulators, which exist of each share; where only one share has targets, it has all of both.
TEST(Leaves, OfTiedEmbeddingsCountBothAccumulators) {
  const config::RunConfig config = small_run({"model.tied_embeddings=true", "batch.virtual_ranks=4"});
  Engine engine(config);
  engine.initialise();
  data::Batch batch = batch_of(config);
  for (std::size_t i = batch.loss_mask.size() / 4; i < batch.loss_mask.size(); ++i) batch.loss_mask[i] = 0;
  batch.target_tokens = batch.token_count() / 4;
  engine.step().gradients(batch);
  const double norm = engine.step().gradient_norm();
  const std::vector<LeafGradient> leaves = engine.step().leaves();
  EXPECT_DOUBLE_EQ(leaves[0].norm_squared, engine.step().accumulator_squares());
  EXPECT_EQ(leaves[1].norm_squared, 0);
  EXPECT_NE(leaves[0].norm_squared, norm * norm);  // which has the square of their sum
}

// A share has the chain that one rank alone has over its sequences; with a power of two of equal shares the scale is exact too.
TEST(Leaves, HaveTheSquaresOfTheirShareOfTheBatchAlone) {
  for (const config::Overrides& model : std::vector<config::Overrides>{{"precision.dtype=fp32"}, {}}) {
    for (const std::int64_t shares : {2, 4}) {
      config::Overrides sets = model;
      sets.push_back("batch.virtual_ranks=" + std::to_string(shares));
      const config::RunConfig config = small_run(sets);
      Engine engine(config);
      engine.initialise();
      engine.step().gradients(batch_of(config));
      const std::vector<LeafGradient>& leaves = engine.step().leaves();
      ASSERT_EQ(std::ssize(leaves), shares);
      sets.back() = "batch.virtual_ranks=1";
      const std::int64_t count = config.batch.global_batch / shares;
      for (std::int64_t v = 0; v < shares; ++v) {
        EXPECT_EQ(leaves[static_cast<std::size_t>(v)].targets, count * config.batch.sequence_length);
        const double scale = 1.0 / static_cast<double>(shares * shares);
        EXPECT_DOUBLE_EQ(leaves[static_cast<std::size_t>(v)].norm_squared, squares_of_part(sets, v * count, count) * scale) << v;
      }
    }
  }
}

TEST(Leaves, OfAThreefoldTreeAreCountedOnceEach) {
  const config::RunConfig config = small_run({"batch.global_batch=6", "batch.micro_batch=1", "batch.virtual_ranks=3"});
  Engine engine(config);
  engine.initialise();
  engine.step().gradients(batch_of(config));
  for (const LeafGradient& leaf : engine.step().leaves()) EXPECT_GT(leaf.norm_squared, 0);
}

TEST(Measures, ChangeNoBitOfTheUpdateAndAreThoseOfTheWeights) {
  const config::RunConfig config = small_run({"optimizer.ema_beta=0.99", "run.threads=2"});
  Engine plain(config), measured(config);
  UpdateNorms norms;
  std::vector<float> before;
  for (Engine* engine : {&plain, &measured}) {
    engine->initialise();
    before.assign(engine->weights(), engine->weights() + engine->table().padded_count());
    engine->step().gradients(batch_of(config));
    engine->step().gradient_norm();
    engine->step().update(kScalars, engine == &measured ? &norms : nullptr);
  }
  EXPECT_EQ(checkpoint::hash_state(plain.registry()).root.hex(), checkpoint::hash_state(measured.registry()).root.hex());

  const ledger::TensorNorms shown = tensor_norms(measured, measured.step().gradient_squares(), norms);
  const std::vector<model::ParamTensor>& tensors = measured.table().tensors();
  ASSERT_EQ(shown.update.size(), tensors.size());
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    double update = 0, weight = 0, gradient = 0;
    for (std::int64_t at = tensors[i].offset; at < tensors[i].offset + tensors[i].count; ++at) {
      const double now = static_cast<double>(measured.weights()[at]),
                   change = now - static_cast<double>(before[static_cast<std::size_t>(at)]);
      const auto g = static_cast<double>(measured.step().reduced_gradient()[at]);
      update += change * change;
      weight += now * now;
      gradient += g * g;
    }
    EXPECT_NEAR(shown.update[i], std::sqrt(update), 1e-12 * std::sqrt(update)) << tensors[i].name;
    EXPECT_NEAR(shown.weight[i], std::sqrt(weight), 1e-12 * std::sqrt(weight)) << tensors[i].name;
    EXPECT_NEAR(shown.gradient[i], std::sqrt(gradient), 1e-12 * std::sqrt(gradient)) << tensors[i].name;
  }
  const ledger::TensorNorms skipped = tensor_norms(measured, measured.step().gradient_squares(), {});
  EXPECT_EQ(skipped.weight, shown.weight);
  EXPECT_EQ(skipped.update, std::vector<double>(tensors.size(), 0.0));
}

TEST(Measures, AreTheSameForThreadsAndFamilies) {
  const auto measured = [](const config::Overrides& sets) {
    const config::RunConfig config = small_run(sets);
    Engine engine(config);
    engine.initialise();
    engine.step().gradients(batch_of(config));
    engine.step().gradient_norm();
    UpdateNorms norms;
    engine.step().update(kScalars, &norms);
    ledger::Result result;
    result.tensors = tensor_norms(engine, engine.step().gradient_squares(), norms);
    NoiseScale scale;
    result.noise_scale = measure_noise(engine.step(), config.batch.global_batch, scale);
    return ledger::to_json(result);
  };
  const nlohmann::json expected = measured({"run.threads=1", "model.tied_embeddings=true"});
  EXPECT_TRUE(expected.contains("noise_scale"));
  EXPECT_EQ(measured({"run.threads=3", "model.tied_embeddings=true"}), expected);
  EXPECT_EQ(measured({"run.family=avx2", "model.tied_embeddings=true"}), expected);
  EXPECT_FALSE(measured({"batch.virtual_ranks=1"}).contains("noise_scale"));
}

TEST(Measures, AnAlarmNamesTheLargestTensorOrTheFirstThatIsNotFinite) {
  const config::RunConfig config = small_run();
  const Engine engine(config);
  std::vector<double> squares(engine.table().tensors().size(), 1.0);
  squares[3] = 2 * static_cast<double>(squares.size() - 1);
  EXPECT_EQ(alarm_tensor(engine.table(), squares).name, engine.table().tensors()[3].name);
  EXPECT_NEAR(alarm_tensor(engine.table(), squares).share, 2.0 / 3, 1e-12);
  squares[5] = std::numeric_limits<double>::quiet_NaN();
  squares[7] = std::numeric_limits<double>::infinity();
  EXPECT_EQ(alarm_tensor(engine.table(), squares).name, engine.table().tensors()[5].name);
  EXPECT_EQ(alarm_tensor(engine.table(), squares).share, 0);
}

}  // namespace
}  // namespace longhaul::train
