#include <gtest/gtest.h>

#include <algorithm>

#include "program/build.h"

namespace longhaul::program {
namespace {

model::ModelSpec small_llama() {
  model::ModelSpec spec;
  spec.layers = 3;
  spec.width = 32;
  spec.heads = 4;
  spec.kv_heads = 2;
  spec.ffn_width = 48;
  spec.vocab = 100;
  spec.tied_embeddings = true;
  return model::with_usual_values(spec);
}

BuildOptions options(int micro_batches, int virtual_ranks, Recompute recompute = Recompute::none) {
  BuildOptions o;
  o.batch = {2, 16, micro_batches, virtual_ranks};
  o.layout.recompute = recompute;
  o.workspace = {Bytes(64), Bytes(640), Bytes(4096), Bytes(2048)};
  return o;
}

Bytes gradients_live(const Program& program) {
  Bytes most(0);
  for (int i = 0; i < static_cast<int>(program.operations.size()); ++i)
    most = std::max(most, program.live_by_line(i)[static_cast<std::size_t>(MemoryLine::gradients)]);
  return most;
}

TEST(Program, EveryStepIsValid) {
  const model::ModelSpec spec = small_llama();
  const model::ParamTable table(spec);
  for (Recompute recompute : {Recompute::none, Recompute::layer})
    for (int virtual_ranks : {1, 2, 3, 6}) {
      const Program program = build_step(spec, table, options(6, virtual_ranks, recompute));
      const std::vector<std::string> complaints = validate(program);
      EXPECT_TRUE(complaints.empty()) << complaints.front();
      EXPECT_GE(program.arena, program.live_peak);
      EXPECT_LE(program.arena / program.live_peak, 1.1) << "offsets waste more than a tenth of the arena";
    }
}

TEST(Program, ValidatorSeesOverlapOrderAndUnwrittenBuffers) {
  const model::ModelSpec spec = small_llama();
  const model::ParamTable table(spec);
  const Program good = build_step(spec, table, options(2, 1));

  Program overlapping = good;
  overlapping.buffers[overlapping.find("moment2")].offset = overlapping.buffers[overlapping.find("moment1")].offset;
  EXPECT_FALSE(validate(overlapping).empty());

  Program falling = good;  // micro-batches swapped: weight gradients would add in the wrong order
  for (Operation& op : falling.operations)
    if (op.micro_batch >= 0) op.micro_batch = 1 - op.micro_batch;
  EXPECT_FALSE(validate(falling).empty());

  Program unwritten = good;
  for (Operation& op : unwritten.operations)
    for (BufferUse& use : op.uses)
      if (op.kind == OpKind::embed_forward && use.slot == Slot::y) use.access = Access::read;
  EXPECT_FALSE(validate(unwritten).empty());
}

TEST(Program, LeavesKeepAsManyAccumulatorsAsTheTreeNeeds) {
  const model::ModelSpec spec = small_llama();
  const model::ParamTable table(spec);
  const Bytes one(gradient_elements(table) * 4);
  for (auto [leaves, accumulators] : {std::pair{1, 1}, {2, 2}, {4, 3}, {8, 4}}) {  // log2 V + 1 (numerics contract)
    const Program program = build_step(spec, table, options(8, leaves));
    EXPECT_EQ(gradients_live(program), one * accumulators) << leaves << " leaves";
  }
}

TEST(Program, CombinesFollowTheTreeThatSplitsAtTheLargestPowerOfTwo) {
  const model::ModelSpec spec = small_llama();
  const model::ParamTable table(spec);
  const Program program = build_step(spec, table, options(6, 6));
  std::vector<std::pair<std::string, std::string>> combines;
  for (const Operation& op : program.operations)
    if (op.kind == OpKind::leaf_combine)
      combines.emplace_back(program.buffers[op.at(Slot::gradients)].name, program.buffers[op.at(Slot::other_gradients)].name);
  const std::vector<std::pair<std::string, std::string>> expected = {{"gradients.leaf0", "gradients.leaf1"},
                                                                     {"gradients.leaf2", "gradients.leaf3"},
                                                                     {"gradients.leaf0", "gradients.leaf2"},
                                                                     {"gradients.leaf4", "gradients.leaf5"},
                                                                     {"gradients.leaf0", "gradients.leaf4"}};
  EXPECT_EQ(combines, expected);
}

TEST(Program, RecomputeKeepsOneLayerInputAndRunsLayersAgain) {
  const model::ModelSpec spec = small_llama();
  const model::ParamTable table(spec);
  const Program kept = build_step(spec, table, options(1, 1));
  const Program recomputed = build_step(spec, table, options(1, 1, Recompute::layer));
  EXPECT_LT(recomputed.live_peak, kept.live_peak);
  const auto again = std::count_if(recomputed.operations.begin(), recomputed.operations.end(),
                                   [](const Operation& op) { return op.pass == Pass::recompute && op.kind == OpKind::attention_forward; });
  EXPECT_EQ(again, spec.layers);
}

TEST(Program, EvaluationSharesThePersistentOffsets) {
  const model::ModelSpec spec = small_llama();
  const model::ParamTable table(spec);
  const Program step = build_step(spec, table, options(2, 2));
  const Program evaluation = build_evaluation(spec, table, options(2, 2));
  EXPECT_TRUE(validate(evaluation).empty());
  for (const Buffer& buffer : step.buffers) {
    if (!buffer.persistent) continue;
    EXPECT_EQ(buffer.offset, evaluation.buffers[evaluation.find(buffer.name)].offset) << buffer.name;
  }
}

TEST(Program, OperationIdsReadAsDocumented) {
  const model::ModelSpec spec = small_llama();
  const model::ParamTable table(spec);
  const Program program = build_step(spec, table, options(2, 1));
  std::vector<std::string> ids;
  for (const Operation& op : program.operations) ids.push_back(id(op));
  EXPECT_NE(std::find(ids.begin(), ids.end(), "mb1/s0/L2/attn.fwd"), ids.end());
  EXPECT_NE(std::find(ids.begin(), ids.end(), "mb0/s0/head_loss.bwd"), ids.end());
  EXPECT_EQ(ids.back(), "s0/update");
  EXPECT_EQ(std::count(ids.begin(), ids.end(), "mb1/s0/L2/attn.fwd"), 1);
}

}  // namespace
}  // namespace longhaul::program
