// Same bits in any layout: losses, norms, noise and state of random layouts, as threads, equal those of one rank, byte for byte.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <random>
#include <set>
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

constexpr int kSteps = 5;

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

/// Bytes that a rank's programs send and receive in a step, by channel: what the plan says of each transfer, and of rows of the embedding
/// what the batch asks for.
std::map<std::string, comm::Traffic> planned_traffic(const Engine& engine, const data::Batch& batch) {
  std::map<std::string, comm::Traffic> planned;
  const program::Program& program = engine.step_program();
  const std::int64_t width = program.shape.width, tokens = program.batch.tokens_per_micro_batch();
  for (const program::Operation& op : program.operations) {
    const program::Transfer& t = op.transfer;
    comm::Traffic& channel = planned[std::string(t.what)];
    if (op.kind == program::OpKind::send) channel.sent += t.bytes.value;
    if (op.kind == program::OpKind::receive) channel.received += t.bytes.value;
    if (program::is_collective(op.kind) && op.kind != program::OpKind::all_to_all) {
      channel.sent += t.sent.value;
      channel.received += t.received.value;
    }
    if (op.kind != program::OpKind::all_to_all || !op.has(program::Slot::y)) continue;
    const std::int64_t first = (program.batch.first_micro_batch(program.place.dp, program.layout.dp) + op.micro_batch) * tokens;
    const std::set<std::int32_t> rows(batch.tokens.begin() + first, batch.tokens.begin() + first + tokens);
    std::int64_t elements = std::ssize(rows) * width;
    const program::Members members = program.members(program::Group::shard);
    for (const program::Placed& own : program.table_owners[static_cast<std::size_t>(members.index)].placed()) {
      const bool table = engine.table().tensors()[static_cast<std::size_t>(own.tensor)].role == model::Role::token_embedding;
      const auto overlap = [&](std::int64_t row) {
        return std::max<std::int64_t>(0, std::min(own.end, (row + 1) * width) - std::max(own.begin, row * width));
      };
      if (table)
        for (const std::int32_t row : rows) elements -= overlap(row);
      else
        for (std::int64_t row = 0; row < program.batch.sequence_length; ++row) elements -= overlap(row);
    }
    if (engine.table().find(model::Role::position_embedding)) elements += program.batch.sequence_length * width;
    channel.received += elements * 4;
  }
  planned.erase("");
  return planned;
}

/// Faults that a test plants, each on rank 1 and once.
enum class Fault { none, gradient_bit, swapped_nodes, lost_message, shifted_piece, swapped_sequences };

/// Runs kSteps steps and a validation. @param outcome  of rank 0
void train_rank(const config::RunConfig& config, comm::Communicator* communicator, std::int64_t block, Fault fault, Outcome& outcome) {
  Engine engine(config, Engine::Use::training, communicator, block);
  const bool strikes = communicator && communicator->rank() == 1;
  if (fault == Fault::shifted_piece && communicator)  // on all ranks, so that the sizes agree
    for (program::Sum& sum : const_cast<program::Program&>(engine.step_program()).sums)
      if (sum.cuts.size() > 2 && sum.cuts[2] - sum.cuts[1] > block) sum.cuts[1] += block;
  engine.initialise();
  NoiseScale noise;
  Outcome own;
  for (int step = 0; step < kSteps; ++step) {
    data::Batch batch = batch_of(config, step, config.batch.global_batch);
    if (fault == Fault::swapped_sequences && strikes && step == 1) {
      const program::Program& program = engine.step_program();
      const auto first =
          batch.tokens.begin() + program.batch.first_micro_batch(program.place.dp, program.layout.dp) * batch.sequence_length;
      std::swap_ranges(first, first + batch.sequence_length, first + batch.sequence_length);
    }
    const std::map<std::string, comm::Traffic> planned = planned_traffic(engine, batch);
    Executor& executor = engine.step();
    executor.gradients(batch);
    own.figures.push_back(executor.gradient_norm());
    own.figures.push_back(executor.loss().mean());
    UpdateNorms norms;
    executor.update({1e-2, 0.9, 0.95, 1e-8, 0.1, 0.5, 0.9, step + 1}, step == 1 ? &norms : nullptr);
    for (const auto& [channel, wanted] : planned) {
      const comm::Traffic counted = executor.step_traffic()[channel];
      if (fault != Fault::none) continue;
      EXPECT_EQ(counted.received, wanted.received) << channel << " of rank " << engine.communicator().rank();
      if (channel != "owned_rows") {
        EXPECT_EQ(counted.sent, wanted.sent) << channel << " of rank " << engine.communicator().rank();
      }
    }
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
  const std::int64_t used = engine.arena().high_water().value;
  EXPECT_EQ((used + program::kAlignment - 1) / program::kAlignment * program::kAlignment, engine.arena().size().value);
  WholeState whole(engine);
  whole.collect();
  if (engine.communicator().rank() == 0) {
    own.state_hash = checkpoint::hash_state(whole.registry()).root.hex();
    outcome = own;
  }
}

Outcome train_alone(const config::RunConfig& config, std::int64_t block) {
  Outcome outcome;
  train_rank(config, nullptr, block, Fault::none, outcome);
  return outcome;
}

/// What one rank does with the bytes that it moves, but for one fault.
class Saboteur : public comm::Communicator {
 public:
  Saboteur(std::unique_ptr<comm::Communicator> inner, Fault fault) : inner_(std::move(inner)), fault_(fault) {}
  int rank() const override { return inner_->rank(); }
  int ranks() const override { return inner_->ranks(); }
  void send(int to, std::string_view channel, std::span<const std::byte> message) override { inner_->send(to, channel, message); }
  void receive(int from, std::string_view channel, std::span<std::byte> message) override { inner_->receive(from, channel, message); }
  std::unique_ptr<comm::Posted> post(std::string_view channel, std::vector<comm::Outgoing> out, std::vector<comm::Incoming> in) override {
    if (channel != "gradients" || struck_ || in.size() < 2 || size_of(in[0]) == 0)
      return inner_->post(channel, std::move(out), std::move(in));
    struck_ = true;
    if (fault_ == Fault::lost_message) out.pop_back();
    if (fault_ == Fault::swapped_nodes) std::swap(in[0].parts, in[1].parts);
    const std::span<std::byte> first = in[0].parts[0];
    std::unique_ptr<comm::Posted> posted = inner_->post(channel, std::move(out), std::move(in));
    if (fault_ != Fault::gradient_bit) return posted;
    posted->wait();
    first[first.size() / 8 * 4 + 2] ^= std::byte{0x10};  // of a number in the middle, a bit of the mantissa
    return posted;
  }
  void at(std::int64_t step, std::string_view operation) override { inner_->at(step, operation); }
  std::map<std::string, comm::Traffic> traffic() const override { return inner_->traffic(); }

 private:
  std::unique_ptr<comm::Communicator> inner_;
  const Fault fault_;
  bool struck_ = false;
};

/// @param thrown  what ranks threw; absent: nothing may be thrown
Outcome train_team(const config::RunConfig& config, std::int64_t block, Fault fault = Fault::none, std::string* first_thrown = nullptr) {
  const int ranks = program::layout_of(config.parallel).world();
  comm::Team team(ranks, fault == Fault::lost_message ? std::chrono::seconds(1) : std::chrono::seconds(20));
  Outcome outcome;
  std::vector<std::string> thrown(static_cast<std::size_t>(ranks));
  {
    std::vector<std::jthread> threads;
    for (int rank = 0; rank < ranks; ++rank)
      threads.emplace_back([&, rank] {
        std::unique_ptr<comm::Communicator> communicator = team.communicator(rank);
        if (fault != Fault::none && rank == 1) communicator = std::make_unique<Saboteur>(std::move(communicator), fault);
        try {
          train_rank(config, communicator.get(), block, fault, outcome);
        } catch (const std::exception& error) {
          thrown[static_cast<std::size_t>(rank)] = error.what();
          team.fail(rank, error.what());
        }
      });
  }
  if (first_thrown)
    *first_thrown = team.failure();
  else
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
    if (::testing::Test::HasFailure()) FAIL() << name;
    ASSERT_EQ(expected.figures.size(), found.figures.size()) << name;
    for (std::size_t at = 0; at < found.figures.size(); ++at)
      ASSERT_EQ(expected.figures[at], found.figures[at]) << "figure " << at << ", " << name;
    ASSERT_EQ(expected.state_hash, found.state_hash) << name;
  }
}

// What the matrix could not see would be no proof: each fault must change what it compares, or end the job with a reason.
TEST(Layouts, PlantedFaultsAreFound) {
  const config::Overrides model = {"run.threads=1", "model.layers=2", "batch.virtual_ranks=4", "batch.micro_batch=1",
                                   "batch.global_batch=8"};
  config::Overrides layout = model;
  layout.insert(layout.end(), {"parallel.dp=4", "parallel.zero=1"});
  const config::RunConfig alone = small_run(model), many = small_run(layout);
  const Outcome expected = train_alone(alone, 256);
  EXPECT_EQ(train_team(many, 256).state_hash, expected.state_hash);
  for (const Fault fault :
       {Fault::gradient_bit, Fault::swapped_nodes, Fault::lost_message, Fault::shifted_piece, Fault::swapped_sequences}) {
    std::string thrown;
    const Outcome found = train_team(many, 256, fault, &thrown);
    EXPECT_TRUE(!thrown.empty() || found.state_hash != expected.state_hash) << static_cast<int>(fault);
    if (fault == Fault::lost_message) {  // its place is taken by the channel's next one, or nothing comes
      EXPECT_TRUE(thrown.find("has waited for it") != std::string::npos || thrown.find("which expects") != std::string::npos) << thrown;
    }
  }
}

}  // namespace
}  // namespace longhaul::train
