#include "cost/simulate.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <tuple>

#include "cost/formulas.h"
#include "cost/pipeline.h"
#include "cost/test_formulas.h"
#include "program/build.h"

namespace longhaul::cost {
namespace {

using program::BuildOptions;
using program::Layout;
using program::make_schedule;
using program::MemoryLine;
using program::Operation;
using program::OpKind;
using program::Pass;
using program::Program;
using program::ScheduleKind;

/// Sizes that eight ranks divide without a rest, to 64 bytes.
model::ModelSpec divisible_llama(std::int64_t layers = 24) {
  model::ModelSpec spec;
  spec.layers = layers;
  spec.width = 128;
  spec.heads = spec.kv_heads = 8;
  spec.ffn_width = 256;
  spec.vocab = 512;
  return model::with_usual_values(spec);
}

BuildOptions options(const Layout& layout, int micro_batches) {
  BuildOptions o;
  o.layout = layout;
  o.batch = {1, 16, micro_batches * layout.dp, layout.dp};
  o.block = 16;
  o.workspace = {Bytes(64), Bytes(640), Bytes(4096), Bytes(2048)};
  return o;
}

std::vector<Program> job(const Layout& layout, int micro_batches) {
  const model::ModelSpec spec = divisible_llama();
  return build_pipeline(spec, model::ParamTable(spec), options(layout, micro_batches));
}

Layout pipeline(ScheduleKind kind, int p, int v = 1) {
  Layout layout;
  layout.pp = p;
  layout.chunks = v;
  layout.schedule = kind;
  return layout;
}

/// The turn of a schedule to which an operation of a micro-batch belongs.
using TurnKey = std::tuple<int, int, program::TurnKind>;  // virtual stage, micro-batch
TurnKey turn_of(const Operation& op, bool split) {
  using program::TurnKind;
  const TurnKind kind = op.pass == Pass::forward           ? TurnKind::forward
                        : op.pass == Pass::weight_gradient ? TurnKind::weight_gradient
                        : split                            ? TurnKind::input_gradient
                                                           : TurnKind::backward;
  return {op.stage, op.micro_batch, kind};
}

/// Shares the seconds of each stage's turns out among the turns' operations; messages take what the stage's messages take.
class StageCosts {
 public:
  StageCosts(std::span<const Program> ranks, std::span<const StageCost> costs, bool split) : costs_(costs), split_(split) {
    for (const Program& rank : ranks)
      for (const Operation& op : rank.operations)
        if (op.micro_batch >= 0 && !program::is_transfer(op.kind)) ++operations_[turn_of(op, split)];
  }
  OperationCosts functions() const {
    return {[this](const Program&, const Operation& op) { return seconds(op); },
            [this](const Program&, const Operation& op) {
              return op.pass == Pass::forward ? costs_[op.stage].send_forward : costs_[op.stage].send_backward;
            }};
  }

 private:
  double seconds(const Operation& op) const {
    if (op.micro_batch < 0 || program::is_collective(op.kind)) return 0;
    const bool forward = op.pass == Pass::forward;
    if (op.kind == OpKind::send) return forward ? costs_[op.stage].blocking_forward : costs_[op.stage].blocking_backward;
    if (op.kind == OpKind::receive) return forward ? costs_[op.stage - 1].blocking_forward : costs_[op.stage + 1].blocking_backward;
    const StageCost& cost = costs_[op.stage];
    const TurnKey turn = turn_of(op, split_);
    const auto of_turn = [&] {
      switch (std::get<2>(turn)) {
        case program::TurnKind::forward:
          return cost.forward;
        case program::TurnKind::backward:
          return cost.backward();
        case program::TurnKind::input_gradient:
          return cost.input_gradient;
        case program::TurnKind::weight_gradient:
          return cost.weight_gradient;
      }
      return 0.0;
    };
    return of_turn() / operations_.at(turn);
  }
  const std::span<const StageCost> costs_;
  const bool split_;
  std::map<TurnKey, int> operations_;
};

struct Kind {
  ScheduleKind kind;
  int chunks;
};
constexpr Kind kKinds[] = {
    {ScheduleKind::gpipe, 1},       {ScheduleKind::one_f_one_b, 1}, {ScheduleKind::interleaved, 2},
    {ScheduleKind::interleaved, 3}, {ScheduleKind::zb_h1, 1},       {ScheduleKind::zb_h2, 1},
};

/// Costs and layers without any pattern, from a fixed seed; every stage has a layer.
struct Uneven {
  std::vector<StageCost> costs;
  std::vector<int> layers;
};
Uneven uneven(int stages, unsigned seed) {
  Uneven out;
  const auto next = [&] { return static_cast<double>((seed = seed * 1664525U + 1013904223U) >> 8) / (1U << 24); };
  for (int stage = 0; stage < stages; ++stage) {
    out.costs.push_back({1 + next(), 1 + next(), 1 + next(), 0.3 * next(), 0.3 * next(), 0.1 * next(), 0.1 * next()});
    out.layers.push_back(1);
  }
  for (int layer = stages; layer < 24; ++layer) ++out.layers[static_cast<std::size_t>(next() * stages)];
  return out;
}

// The program is the schedule with operations in its turns: with the same costs both clocks show the same, turn by turn.
TEST(Simulate, EqualsThePlayedSchedule) {
  for (const Kind& kind : kKinds)
    for (const int p : {1, 2, 3, 4})
      for (const unsigned seed : {1U, 2U}) {
        const int m = 4 * p;
        Layout layout = pipeline(kind.kind, p, kind.chunks);
        const Uneven parts = uneven(layout.virtual_stages(), seed);
        layout.stage_layers = parts.layers;
        const std::vector<Program> ranks = job(layout, m);
        const program::Schedule schedule = make_schedule(kind.kind, p, m, kind.chunks);
        std::vector<StageCost> costs = parts.costs;
        if (p == 1)  // what a rank hands to itself takes no time
          for (StageCost& cost : costs) cost.send_forward = cost.send_backward = cost.blocking_forward = cost.blocking_backward = 0;
        const StageCosts shared(ranks, costs, schedule.split_backward());
        const Simulation program = simulate(ranks, shared.functions());
        const PipelineTime time = play(schedule, costs, true);
        const std::string what = std::string(name(kind.kind)) + " p=" + std::to_string(p);
        ASSERT_NEAR(program.total, time.total, 1e-9) << what;
        for (int rank = 0; rank < p; ++rank) ASSERT_NEAR(program.ranks[rank].compute, time.busy[rank], 1e-9) << what;

        std::map<TurnKey, OperationSpan> spans;
        for (int rank = 0; rank < p; ++rank)
          for (std::size_t i = 0; i < ranks[rank].operations.size(); ++i) {
            const Operation& op = ranks[rank].operations[i];
            if (op.micro_batch < 0 || is_transfer(op.kind)) continue;
            const OperationSpan& span = program.ranks[rank].operations[i];
            const auto [turn, fresh] = spans.try_emplace(turn_of(op, schedule.split_backward()), span);
            if (!fresh) turn->second.end = span.end;
          }
        ASSERT_EQ(spans.size(), time.turns.size()) << what;
        for (const PlayedTurn& turn : time.turns) {
          const OperationSpan& span = spans.at({schedule.virtual_stage(turn.rank, turn.turn.chunk), turn.turn.micro_batch, turn.turn.kind});
          ASSERT_NEAR(span.begin, turn.begin, 1e-9) << what;
          ASSERT_NEAR(span.end, turn.end, 1e-9) << what;
        }
      }
}

/// Idle share when forward, input gradient and weight gradient take a second each, shared by a rank's chunks.
double bubble(ScheduleKind kind, int p, int m, int v = 1) {
  const std::vector<Program> ranks = job(pipeline(kind, p, v), m);
  const std::vector<StageCost> costs(static_cast<std::size_t>(p) * v, StageCost{1.0 / v, 1.0 / v, 1.0 / v});
  return simulate(ranks, StageCosts(ranks, costs, kind == ScheduleKind::zb_h1).functions()).bubble();
}

// Accounting C3 (Narayanan et al. 2021 §2.2; Qi et al. 2023 table 2).
TEST(Simulate, BubblesAreTheClosedForms) {
  for (const int p : {1, 2, 4, 8})
    for (const int m : {1, 4, 16}) {
      EXPECT_NEAR(bubble(ScheduleKind::gpipe, p, m), bubble_1f1b(p, m), 1e-12) << p << ' ' << m;
      EXPECT_NEAR(bubble(ScheduleKind::one_f_one_b, p, m), bubble_1f1b(p, m), 1e-12) << p << ' ' << m;
      if (m < p) continue;
      EXPECT_NEAR(bubble(ScheduleKind::zb_h1, p, m), bubble_zb_h1(p, m), 1e-12) << p << ' ' << m;
    }
  for (const int v : {2, 3})
    for (const int p : {2, 4, 8}) EXPECT_NEAR(bubble(ScheduleKind::interleaved, p, 2 * p, v), bubble_interleaved(p, 2 * p, v), 1e-12);
  EXPECT_NEAR(bubble(ScheduleKind::one_f_one_b, 8, 4), .636, 5e-4);
  EXPECT_NEAR(bubble(ScheduleKind::one_f_one_b, 4, 12), .2, 1e-12);
  EXPECT_NEAR(bubble(ScheduleKind::interleaved, 8, 16, 2), .1795, 5e-5);
  EXPECT_NEAR(bubble(ScheduleKind::zb_h1, 8, 16), .1273, 5e-5);
}

/// Most micro-batches of one layer whose activations live at once, summed over the rank's layers and divided by `layers`.
double in_flight(const Program& rank, double layers) {
  std::vector<int> change(rank.operations.size() + 1);
  for (const program::Buffer& buffer : rank.buffers)
    if (buffer.name.ends_with(".attn_norm.y")) ++change[buffer.first_op], --change[buffer.last_op + 1];
  int live = 0, most = 0;
  for (const int step : change) most = std::max(most, live += step);
  return most / layers;
}

// Accounting B6 (Narayanan et al. 2021 §2.2; Korthikanti et al. 2022 appendix C), from the lifetimes of buffers.
TEST(Simulate, ActivationsInFlightAreTheClosedForm) {
  constexpr int p = 4, layers = 24;
  for (const int m : {2, 16}) {
    const std::vector<Program> ranks = job(pipeline(ScheduleKind::one_f_one_b, p), m);
    for (int rank = 0; rank < p; ++rank) EXPECT_EQ(in_flight(ranks[rank], layers / p), in_flight_1f1b(rank, p, m)) << rank << ' ' << m;
  }
  for (const int v : {2, 3}) {
    const std::vector<Program> ranks = job(pipeline(ScheduleKind::interleaved, p, v), 16);
    EXPECT_DOUBLE_EQ(in_flight(ranks[0], layers), interleaved_activation_factor(p, v)) << v;  // in units of p micro-batches of a rank
  }
  for (const ScheduleKind kind : {ScheduleKind::gpipe, ScheduleKind::zb_h1, ScheduleKind::zb_h2}) {
    const program::Schedule schedule = program::make_schedule(kind, p, 16);
    const std::vector<Program> ranks = job(pipeline(kind, p), 16);
    for (int rank = 0; rank < p; ++rank)
      EXPECT_EQ(in_flight(ranks[rank], layers / p), program::peak_in_flight(schedule, rank)) << name(kind) << ' ' << rank;
  }
}

/// Bytes of a rank's state buffers, by what B2 calls them.
struct States {
  double weights = 0, gradients = 0, optimizer = 0, vectors = 0, largest_bucket = 0;
};
States states_of(const Program& program, bool master) {
  States out;
  for (const program::Buffer& buffer : program.buffers) {
    const double bytes = static_cast<double>(buffer.size().value);
    if (buffer.name == "weights") (master ? out.optimizer : out.weights) += bytes;
    if (buffer.name == "vectors") out.vectors = bytes;
    if (buffer.line == MemoryLine::operand_copies) out.weights += bytes;
    if (buffer.line == MemoryLine::moments) out.optimizer += bytes;
    if (buffer.line == MemoryLine::gradients) out.largest_bucket = std::max(out.largest_bucket, bytes);
  }
  for (int i = 0; i < static_cast<int>(program.operations.size()); ++i)
    out.gradients =
        std::max(out.gradients, static_cast<double>(program.live_by_line(i)[static_cast<std::size_t>(MemoryLine::gradients)].value));
  return out;
}

// Accounting B2. Beside the pieces of stages 2 and 3 lives the bucket that is being reduced; with divided fp32 masters, the norms whole.
TEST(Simulate, StatesOfARankAreZeroStates) {
  const model::ModelSpec spec = divisible_llama(4);
  const model::ParamTable table(spec);
  const double parameters = static_cast<double>(table.total().value), norms = 2.0 * 4 * 128 + 128, embedding = 512.0 * 128;
  for (const bool master : {false, true})
    for (const int stage : {0, 1, 2, 3}) {
      Layout layout = program::parse_layout("dp=8");
      layout.zero = stage;
      BuildOptions o = options(layout, 4);
      o.operand = master ? ElementType::bf16 : ElementType::f32;
      o.scatter = program::GradientScatter::every_micro_batch;
      const States states = states_of(build_step(spec, table, o), master);
      const double products = parameters - norms - embedding;
      const ShardedStates expected =
          zero_states(master ? 2 * products : 4 * parameters, 4 * parameters, (master ? 12 : 8) * parameters, stage, 8);
      // Which pieces the norms are in decides how many of the others' elements are products.
      EXPECT_NEAR(states.weights, expected.weights, master && stage == 3 ? 2 * norms : 0) << stage << master;
      EXPECT_EQ(states.optimizer, expected.optimizer) << stage << master;
      EXPECT_EQ(states.gradients - (stage >= 2 ? states.largest_bucket : 0), expected.gradients) << stage << master;
      EXPECT_EQ(states.vectors, master && (stage == 1 || stage == 2) ? 4 * norms : 0) << stage;
    }
}
// The contract's order keeps a leaf's gradient whole until its last micro-batch: pieces alone only where that is its first.
TEST(Simulate, WholeAccumulatorsUntilTheLastMicroBatch) {
  const model::ModelSpec spec = divisible_llama(4);
  const model::ParamTable table(spec);
  const auto gradients = [&](int micro_batches) {
    return states_of(build_step(spec, table, options(program::parse_layout("dp=8,zero=2"), micro_batches)), true).gradients;
  };
  const double whole = 4.0 * static_cast<double>(table.total().value);
  EXPECT_LT(gradients(1), whole / 2);
  EXPECT_GE(gradients(2), whole);
}

struct Exchanged {
  double bytes = 0, seconds = 0;
};
/// What a rank sends of gradients and weights, and how long a ring takes for it.
Exchanged exchanged(const Program& program, const Link& link) {
  Exchanged out;
  for (const Operation& op : program.operations) {
    if (!is_collective(op.kind) || op.transfer.group == program::Group::world) continue;
    out.bytes += bytes_sent(op);
    const auto ring = op.kind == OpKind::all_reduce       ? all_reduce_ring
                      : op.kind == OpKind::reduce_scatter ? reduce_scatter_ring
                                                          : all_gather_ring;
    out.seconds += ring(op.transfer.bytes, op.transfer.ranks, link).value;
  }
  return out;
}

// Accounting C5: reduce-scatter and all-gather of ZeRO 1 are together the all-reduce of ZeRO 0.
TEST(Simulate, ReduceScatterAndAllGatherAreTheAllReduce) {
  const model::ModelSpec spec = divisible_llama(4);
  const model::ParamTable table(spec);
  const Link link{1e-5, 2e11};
  const auto of_stage = [&](int zero) {
    BuildOptions o = options(program::parse_layout("dp=8"), 2);
    o.layout.zero = zero;
    o.operand = ElementType::f32;
    return exchanged(build_step(spec, table, o), link);
  };
  const Exchanged whole = of_stage(0), pieces = of_stage(1);
  EXPECT_EQ(whole.bytes, 2.0 * 7 / 8 * 4 * static_cast<double>(table.total().value));
  EXPECT_EQ(pieces.bytes, whole.bytes);
  EXPECT_NEAR(pieces.seconds, whole.seconds, 1e-12 * whole.seconds);
}

TEST(Simulate, CollectivesAcrossThePipelineWaitForTheirLastMember) {
  const std::vector<Program> ranks = job(pipeline(ScheduleKind::one_f_one_b, 2), 2);
  const auto is_norm = [](const Operation& op) { return op.transfer.what == "norm_and_loss"; };
  const Simulation time = simulate(ranks, {[&](const Program&, const Operation& op) { return is_norm(op) ? 0.5 : 1.0; }, {}});
  double latest = 0;
  std::vector<OperationSpan> spans;
  for (int rank = 0; rank < 2; ++rank) {
    const std::vector<Operation>& operations = ranks[rank].operations;
    const auto at = std::find_if(operations.begin(), operations.end(), is_norm) - operations.begin();
    spans.push_back(time.ranks[rank].operations[at]);
    latest = std::max(latest, time.ranks[rank].operations[at - 1].end);
  }
  for (const OperationSpan& span : spans) {
    EXPECT_EQ(span.begin, latest);
    EXPECT_EQ(span.end, latest + 0.5);
  }
}

}  // namespace
}  // namespace longhaul::cost
