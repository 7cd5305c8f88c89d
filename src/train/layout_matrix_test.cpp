// Same bits in any layout: losses, norms, noise and state of random layouts, as threads, equal those of one rank, byte for byte.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <random>
#include <thread>

#include "checkpoint/state_hash.h"
#include "comm/team.h"
#include "data/loader.h"
#include "data/test_stream.h"
#include "program/layout.h"
#include "train/evaluate.h"
#include "train/inference.h"
#include "train/measures.h"
#include "train/test_support.h"
#include "train/whole_state.h"
#include "units/error.h"

namespace longhaul::train {
namespace {

constexpr int kSteps = 3;

/// What a run gives that no layout may change.
struct Outcome {
  std::vector<double> figures;  ///< of each step: loss, norm, noise; then every tensor's norms; the validation's loss
  std::string state_hash;
};

data::Batch batch_of(const config::RunConfig& config, std::int64_t step, std::int64_t sequences) {
  data::Batch batch = data::synthetic_batch(3, config.model.vocab, step * sequences, sequences, config.batch.sequence_length);
  // Documents of a few tokens, isolated, and a mask that leaves the leaves unequal.
  for (std::int64_t i = 0; i < batch.token_count(); ++i) {
    const auto at = static_cast<std::size_t>(i);
    const std::int64_t in_sequence = i % batch.sequence_length, start = in_sequence / 7 * 7;
    batch.document_start[at] = static_cast<std::int32_t>(start);
    batch.positions[at] = static_cast<std::int32_t>(in_sequence - start);
    batch.loss_mask[at] = (i * 7 + step) % 5 == 0 ? 0 : 1;
  }
  batch.target_tokens = std::count(batch.loss_mask.begin(), batch.loss_mask.end(), std::uint8_t{1});
  return batch;
}

/// Documents of eleven tokens, which end in the middle of sequences and of batches.
data::TokenStream held_out(const config::RunConfig& config) {
  std::vector<std::int32_t> ids;
  std::vector<std::int64_t> starts;
  for (std::int32_t i = 0; i < 700; ++i) {
    if (i % 11 == 0) starts.push_back(i);
    ids.push_back(i % 11 == 0 ? 0 : (i * 5 + 1) % static_cast<std::int32_t>(config.model.vocab));
  }
  return data::stream_of(ids, starts, config.model.vocab);
}

/// Runs kSteps steps and a validation. @param outcome  of rank 0
void train_rank(const config::RunConfig& config, comm::Communicator* communicator, std::int64_t block, Outcome& outcome) {
  Engine engine(config, Engine::Use::training, communicator, block);
  engine.initialise();
  NoiseScale noise;
  Outcome own;
  for (int step = 0; step < kSteps; ++step) {
    const data::Batch batch = batch_of(config, step, config.batch.global_batch);
    Executor& executor = engine.step();
    executor.gradients(batch);
    own.figures.push_back(executor.gradient_norm());
    own.figures.push_back(executor.loss().mean());
    UpdateNorms norms;
    executor.update({1e-2, 0.9, 0.95, 1e-8, 0.1, 0.5, 0.9, step + 1}, step == 1 ? &norms : nullptr);
    if (const auto measured = measure_noise(executor, batch.sequences, noise)) {
      own.figures.push_back(measured->gradient_squared);
      own.figures.push_back(measured->trace);
    }
    if (step != 1) continue;
    const ledger::TensorNorms shown = tensor_norms(engine, executor.gradient_squares(), norms);
    for (const auto* list : {&shown.gradient, &shown.update, &shown.weight})
      own.figures.insert(own.figures.end(), list->begin(), list->end());
  }
  const data::TokenStream text = held_out(config);
  own.figures.push_back(evaluate(engine, text, {}).nats);
  Inference inference(engine);
  {
    const Engine::AverageScope average(engine);
    const std::vector<float> logits = inference.next_logits({1, 2, 3, 4, 5});
    own.figures.insert(own.figures.end(), logits.begin(), logits.end());
  }
  WholeState whole(engine);
  whole.collect();
  if (engine.communicator().rank() == 0) {
    own.state_hash = checkpoint::hash_state(whole.registry()).root.hex();
    outcome = own;
  }
}

Outcome train_alone(const config::RunConfig& config, std::int64_t block) {
  Outcome outcome;
  train_rank(config, nullptr, block, outcome);
  return outcome;
}

Outcome train_team(const config::RunConfig& config, std::int64_t block) {
  const int ranks = program::layout_of(config.parallel).world();
  comm::Team team(ranks, std::chrono::seconds(20));
  Outcome outcome;
  std::vector<std::string> thrown(static_cast<std::size_t>(ranks));
  {
    std::vector<std::jthread> threads;
    for (int rank = 0; rank < ranks; ++rank)
      threads.emplace_back([&, rank] {
        const auto communicator = team.communicator(rank);
        try {
          train_rank(config, communicator.get(), block, outcome);
        } catch (const std::exception& error) {
          thrown[static_cast<std::size_t>(rank)] = error.what();
          team.fail(rank, error.what());
        }
      });
  }
  for (const std::string& message : thrown) EXPECT_EQ(message, "");
  return outcome;
}

/// A random case: a model and batch, and a layout for it.
struct Case {
  config::Overrides model, layout;
  std::int64_t block = 0;
};

template <typename T>
T pick(std::mt19937& random, std::initializer_list<T> values) {
  return *(values.begin() + static_cast<std::ptrdiff_t>(random() % values.size()));
}

/// "2+0+1": layers dropped into stages by chance.
std::string stages(std::mt19937& random, int layers, int count) {
  std::vector<int> of(static_cast<std::size_t>(count), 0);
  for (int i = 0; i < layers; ++i) ++of[random() % of.size()];
  return fmt::format("\"{}\"", fmt::join(of, "+"));
}

Case draw(std::mt19937& random) {
  Case c;
  const auto set = [](config::Overrides& sets, const std::string& key, auto value) { sets.push_back(fmt::format("{}={}", key, value)); };
  const bool gpt = random() % 2 == 0;
  c.model = {"run.threads=1"};
  const int layers = pick(random, {1, 2, 3, 4, 5});
  set(c.model, "model.layers", layers);
  set(c.model, "model.width", gpt ? pick(random, {32, 36, 44}) : pick(random, {32, 40, 56}));
  set(c.model, "model.vocab", pick(random, {61, 97, 128}));
  set(c.model, "model.tied_embeddings", random() % 2 == 0);
  if (gpt) {
    for (const char* each :
         {"model.norm=layer_norm", "model.position=learned", "model.position_rows=24", "model.mlp=gelu", "model.kv_heads=4",
          "model.norm_bias=true", "model.qkv_bias=true", "model.output_bias=true", "model.mlp_bias=true"})
      c.model.emplace_back(each);
  } else {
    set(c.model, "model.qk_norm", random() % 2 == 0);
  }
  set(c.model, "precision.dtype", pick(random, {"bf16", "fp32"}));
  if (random() % 2 == 0) set(c.model, "optimizer.ema_beta", 0.9);
  const int v = pick(random, {1, 2, 3, 4, 5, 6, 8});
  const int per_leaf = pick(random, {1, 2});
  set(c.model, "batch.virtual_ranks", v);
  set(c.model, "batch.micro_batch", 1);
  set(c.model, "batch.global_batch", v * per_leaf);
  c.block = random() % 2 == 0 ? 256 : program::kBlockElements;

  int dp = 0, pp = 0;
  do {
    dp = pick(random, {1, 2, 3, 4, 5, 8});
    pp = pick(random, {1, 2, 4});
  } while (dp > v || dp * pp > 8);
  set(c.layout, "parallel.dp", dp);
  set(c.layout, "parallel.pp", pp);
  if (dp > 1) {
    const int zero = pick(random, {0, 1, 2, 3});
    set(c.layout, "parallel.zero", zero);
    if (zero > 0 && dp % 2 == 0 && random() % 2 == 0) set(c.layout, "parallel.shard", dp == 2 ? 1 : pick(random, {2, dp / 2}));
  }
  int chunks = 1;
  if (const int most = (v / dp + (v % dp > 0 ? 1 : 0)) * per_leaf; most % pp == 0 && random() % 3 == 0) chunks = 2;
  if (chunks > 1)
    set(c.layout, "parallel.virtual", chunks);
  else if (pp > 1)
    set(c.layout, "parallel.schedule", fmt::format("\"{}\"", pick(random, {"gpipe", "1f1b", "zb-h1", "zb-h2"})));
  if (pp * chunks > layers || (pp * chunks > 1 && random() % 2 == 0)) set(c.layout, "parallel.stages", stages(random, layers, pp * chunks));
  set(c.layout, "parallel.recompute", fmt::format("\"{}\"", pick(random, {"none", "layer"})));
  return c;
}

// LONGHAUL_LAYOUTS and LONGHAUL_LAYOUT_SEED draw more or others than the suite does.
TEST(Layouts, EveryOneGivesTheBitsOfOneRank) {
  const char *count = std::getenv("LONGHAUL_LAYOUTS"), *seed = std::getenv("LONGHAUL_LAYOUT_SEED");
  std::mt19937 random(seed ? static_cast<unsigned>(std::atoi(seed)) : 1U);
  const int layouts = count ? std::atoi(count) : 30;
  for (int i = 0; i < layouts; ++i) {
    const Case c = draw(random);
    std::string name = fmt::format("case {}, blocks of {}:", i, c.block);
    config::Overrides all = c.model;
    all.insert(all.end(), c.layout.begin(), c.layout.end());
    for (const std::string& each : all) name += " --set " + each;
    SCOPED_TRACE(name);
    config::RunConfig alone, many;
    try {
      alone = small_run(c.model);
      many = small_run(all);
    } catch (const UsageError& error) {
      FAIL() << name << ": " << error.what();
    }
    const Outcome expected = train_alone(alone, c.block), found = train_team(many, c.block);
    ASSERT_EQ(expected.figures.size(), found.figures.size()) << name;
    for (std::size_t at = 0; at < found.figures.size(); ++at)
      ASSERT_EQ(expected.figures[at], found.figures[at]) << "figure " << at << ", " << name;
    ASSERT_EQ(expected.state_hash, found.state_hash) << name;
  }
}

}  // namespace
}  // namespace longhaul::train
