#include "plan/account.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <numeric>

#include "cost/kernel_calls.h"
#include "units/error.h"

namespace longhaul::plan {
namespace {

using cluster::Kernel;

config::RunConfig run_of(const std::string& family) {
  config::RunConfig config;
  model::ModelSpec& m = config.model;
  m.layers = 3, m.width = 64, m.heads = 4, m.kv_heads = 2, m.head_dim = 16, m.ffn_width = 176, m.vocab = 500, m.position_rows = 128;
  if (family == "gpt2") {
    m.kv_heads = 4;
    m.norm = model::NormKind::layer_norm;
    m.position = model::PositionKind::learned;
    m.mlp = model::MlpKind::gelu;
    m.norm_bias = m.qkv_bias = m.output_bias = m.mlp_bias = m.tied_embeddings = true;
  }
  config.batch.sequence_length = 32;
  config.batch.micro_batch = 2;
  config.batch.global_batch = 12;
  config.batch.virtual_ranks = 2;
  config.run.steps = 10;
  return config;
}

program::Program step_of(const config::RunConfig& config, program::Recompute recompute = program::Recompute::none) {
  program::BuildOptions options;
  options.batch = batch_plan(config);
  options.layout.recompute = recompute;
  options.workspace = {Bytes(4096), Bytes(4096), Bytes(16 * 512 * 4), Bytes(16 * 512 * 4)};  // loss: blocks of 16 tokens, rows of 512
  return program::build_step(config.model, model::ParamTable(config.model), options);
}

/// Every kernel at one nanosecond a unit of its work.
cluster::ComputeRates even_rates() {
  cluster::ComputeRates rates{"dp2", "avx2", 3, 1e11};
  for (int i = 0; i < cluster::kKernels; ++i) {
    const cluster::KernelCall call{static_cast<Kernel>(i), {8, 8, 8, 8, 8}};
    rates.kernels.add({call, Seconds(1e-9 * cluster::work(call))});
  }
  return rates;
}

double sum(const std::map<std::string, Seconds>& parts) {
  return std::accumulate(parts.begin(), parts.end(), 0.0, [](double all, const auto& part) { return all + part.second.value; });
}

/// The program counts FLOPs of an operation, the calls give shapes: two accounts of the same products.
TEST(KernelCalls, TheProductsOfTheCallsAreTheProgramsFlops) {
  for (const char* family : {"llama", "gpt2"})
    for (program::Recompute recompute : {program::Recompute::none, program::Recompute::layer}) {
      const config::RunConfig config = run_of(family);
      const program::Program step = step_of(config, recompute);
      for (const program::Operation& op : step.operations) {
        double flops = 0;
        for (const cost::RepeatedCall& repeated : cost::kernel_calls(config.model, batch_plan(config), step, op)) {
          const double work = repeated.times * cluster::work(repeated.call);
          if (repeated.call.kernel <= Kernel::gemm_tn) flops += 2 * work;
          if (repeated.call.kernel == Kernel::attention_forward) flops += 4 * work;
          if (repeated.call.kernel == Kernel::attention_backward) flops += 8 * work;
          if (repeated.call.kernel == Kernel::loss) flops += 6 * work;
        }
        EXPECT_DOUBLE_EQ(flops, op.flops.value) << family << " " << program::id(op);
      }
    }
}

TEST(KernelCalls, EveryOperationCallsSomething) {
  for (const char* family : {"llama", "gpt2"}) {
    const config::RunConfig config = run_of(family);
    const program::Program step = step_of(config);
    for (const program::Operation& op : step.operations)
      EXPECT_FALSE(cost::kernel_calls(config.model, batch_plan(config), step, op).empty()) << program::id(op);
  }
}

TEST(KernelCalls, WeightsAreReadAsTheyLie) {
  const auto products = [](const char* family, program::OpKind kind) {
    const config::RunConfig config = run_of(family);
    const program::Program step = step_of(config);
    std::vector<cluster::KernelCall> calls;
    for (const program::Operation& op : step.operations)
      if (op.kind == kind && calls.empty())
        for (const cost::RepeatedCall& repeated : cost::kernel_calls(config.model, batch_plan(config), step, op))
          if (repeated.call.kernel <= Kernel::gemm_tn) calls.push_back(repeated.call);
    return calls;
  };
  using Calls = std::vector<cluster::KernelCall>;
  // 64 tokens, 176 → 64. GPT-2's down projection lies [in, out], Llama's [out, in].
  EXPECT_EQ(products("gpt2", program::OpKind::mlp_down_forward), (Calls{{Kernel::gemm_nn, {64, 64, 176, 1, 1}}}));
  EXPECT_EQ(products("llama", program::OpKind::mlp_down_forward), (Calls{{Kernel::gemm_nt, {64, 64, 176, 1, 1}}}));
  EXPECT_EQ(products("gpt2", program::OpKind::mlp_down_backward),
            (Calls{{Kernel::gemm_nt, {64, 176, 64, 1, 1}}, {Kernel::gemm_tn, {176, 64, 64, 1, 1}}}));
  EXPECT_EQ(products("llama", program::OpKind::mlp_down_backward),
            (Calls{{Kernel::gemm_nn, {64, 176, 64, 1, 1}}, {Kernel::gemm_tn, {64, 176, 64, 1, 1}}}));
}

TEST(Account, TheStepIsTheSumOfItsPartsInEachOfThreeWays) {
  const config::RunConfig config = run_of("llama");
  const program::Program step = step_of(config, program::Recompute::layer);
  const Account account = make_account(config, step, step.arena, {}, even_rates(), "a test");
  const TimeAccount& time = *account.time;
  const double all = time.step().value;
  EXPECT_GT(all, 0);
  EXPECT_NEAR(sum(time.by_operation), all, 1e-9 * all);
  EXPECT_NEAR(sum(time.by_phase), all, 1e-9 * all);
  double operations = 0;
  for (const Seconds& seconds : operation_times(config, step, even_rates())) operations += seconds.value;
  EXPECT_NEAR(operations, all, 1e-9 * all);
  for (const char* phase : {"forward", "recompute", "backward", "reduce", "clip", "optimizer"})
    EXPECT_GT(time.by_phase.at(phase).value, 0) << phase;
  // 64 tokens of 500 entries and 64 wide, six micro-batches, at 1 ns a product.
  EXPECT_NEAR(time.by_operation.at("head_loss.bwd").value, 6e-9 * 64 * 64 * 500, 1e-12);
}

TEST(Account, MemoryOverTheStepIsThatOfItsLargestOperations) {
  const config::RunConfig config = run_of("llama");
  const program::Program step = step_of(config, program::Recompute::layer);
  const MemoryOverStep over = make_account(config, step, step.arena, {}).memory->over_step;
  const auto live = [&](std::size_t i) {
    const std::vector<Bytes> lines = step.live_by_line(static_cast<int>(i));
    return std::accumulate(lines.begin(), lines.end(), Bytes());
  };
  ASSERT_EQ(over.operations, step.operations.size());
  ASSERT_GT(over.operations, MemoryOverStep::kMost) << "else nothing is left out";
  ASSERT_LE(over.at.size(), MemoryOverStep::kMost);
  const std::size_t part = (over.operations + MemoryOverStep::kMost - 1) / MemoryOverStep::kMost;
  Bytes peak;
  for (std::size_t k = 0; k < over.at.size(); ++k) {
    EXPECT_EQ(over.at[k] / part, k);
    EXPECT_EQ(over.by_line[k], step.live_by_line(static_cast<int>(over.at[k])));
    for (std::size_t i = k * part; i < std::min((k + 1) * part, over.operations); ++i) EXPECT_LE(live(i), live(over.at[k]));
    peak = std::max(peak, live(over.at[k]));
  }
  EXPECT_EQ(peak, step.live_peak);
  const auto json = to_json(make_account(config, step, step.arena, {}))["memory"]["over_step"];
  EXPECT_EQ(json["operation"].size(), over.at.size());
  for (const auto& [line, bytes] : json["lines"].items()) EXPECT_EQ(bytes.size(), over.at.size()) << line;
}

TEST(Account, NamesTheThreadsItAssumes) {
  const config::RunConfig config = run_of("llama");
  const program::Program step = step_of(config);
  const Account account = make_account(config, step, step.arena, {}, even_rates(), "a test");
  EXPECT_EQ(to_json(account)["step"]["threads"], 3);
  EXPECT_NE(to_text(account, config).find("on 3 threads"), std::string::npos);
}

TEST(Account, AProfileWithoutAKernelIsRefusedWithWhatMeasuresIt) {
  const config::RunConfig config = run_of("llama");
  cluster::ComputeRates rates{"dp2", "avx2", 3, 1e11};
  rates.kernels.add({{Kernel::zero, {1024, 1, 1, 1, 1}}, Seconds(1e-6)});
  try {
    make_account(config, step_of(config), Bytes(0), {}, rates, "a test");
    FAIL() << "accepted";
  } catch (const UsageError& error) {
    const std::string sentence = error.what();
    EXPECT_NE(sentence.find("embed_forward"), std::string::npos) << sentence;
    EXPECT_NE(sentence.find("longhaul calibrate"), std::string::npos) << sentence;
  }
}

}  // namespace
}  // namespace longhaul::plan
