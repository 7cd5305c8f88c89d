#include "plan/devices_needed.h"

#include <gtest/gtest.h>

namespace longhaul::plan {
namespace {

constexpr double kH100 = 80e9;

cost::RunShape of(model::ModelSpec model, std::int64_t sequence_length) {
  cost::RunShape run;
  run.model = model::with_usual_values(std::move(model));
  run.model.mlp = model::MlpKind::swiglu;
  run.sequence_length = sequence_length, run.global_batch = 1024, run.micro_batch = 1;
  run.framework = "megatron-lm", run.accelerator = "h100";
  return run;
}
cost::RunShape llama_1b() {
  return of({.layers = 16, .width = 2048, .heads = 32, .kv_heads = 8, .ffn_width = 8192, .vocab = 128256}, 2048);
}
cost::RunShape llama_7b() { return of({.layers = 32, .width = 4096, .heads = 32, .ffn_width = 11008, .vocab = 32000}, 2048); }
cost::RunShape llama_405b() {
  return of({.layers = 126, .width = 16384, .heads = 128, .kv_heads = 8, .ffn_width = 53248, .vocab = 128256}, 2048);
}

class Devices : public ::testing::Test {
 protected:
  const cost::Calibration calibration_ = cost::shipped_calibration();
  std::optional<DevicesNeeded> needed(const cost::RunShape& run, double memory = kH100) const {
    return devices_needed(run, calibration_, memory);
  }
};

// 1.5 B parameters of 18 bytes are 27 GB; 6.7 B are 121 GB, and fit on two devices where each holds half.
TEST_F(Devices, SmallestCountWhosePeakFits) {
  EXPECT_EQ(needed(llama_1b())->devices, 1);
  const auto seven = needed(llama_7b());
  EXPECT_EQ(seven->devices, 2);
  EXPECT_LT(seven->fit.needed, seven->fit.available);
  // 405.9 B parameters: 7.3 TB of states are 92 devices of 80 GB; whole nodes, and none of 96 or fewer devices.
  EXPECT_EQ(least_devices(llama_405b(), calibration_, kH100), 92);
  EXPECT_EQ(needed(llama_405b())->devices, 104);
  for (int devices = 8; devices <= 96; devices += 8) EXPECT_FALSE(fits_on(llama_405b(), calibration_, kH100, devices)) << devices;
}

TEST_F(Devices, HalfOfThemNeverFit) {
  for (const cost::RunShape& run : {llama_7b(), llama_405b()}) {
    const int found = needed(run)->devices;
    EXPECT_TRUE(fits_on(run, calibration_, kH100, found));
    EXPECT_FALSE(fits_on(run, calibration_, kH100, found / 2));
  }
}

TEST_F(Devices, TheLayoutFoundCanRun) {
  const auto found = needed(llama_405b());
  cost::RunShape run = llama_405b();
  run.layout = found->layout, run.devices = found->devices;
  EXPECT_EQ(run.layout.world(), run.devices);
  EXPECT_TRUE(program::contradictions(run.model, run.layout, run.sequence_length, run.micro_batches()).empty());
  EXPECT_TRUE(cost::judge_fit(run, calibration_, kH100).fits);
}

TEST_F(Devices, MoreMemoryNeedsFewer) {
  EXPECT_LT(needed(llama_405b(), 192e9)->devices, 104);
  EXPECT_EQ(needed(llama_7b(), 192e9)->devices, 1);
  EXPECT_FALSE(needed(llama_7b(), 100e6)) << "a device that does not even hold the framework";
}

// A node need not be a power of two: 92 devices of 72 a node are two whole nodes, and where one is enough every count inside it counts.
TEST_F(Devices, AreWholeNodesWhateverTheirSize) {
  cost::RunShape run = llama_405b();
  run.devices_per_node = 72;
  EXPECT_EQ(needed(run)->devices, 144);
  run.micro_batch = 4, run.sequence_length = 8192;
  for (const double memory : {40e9, 60e9, 80e9, 100e9, 150e9, 192e9, 288e9}) {
    int smallest = 0;
    for (int devices = 1; smallest == 0; devices += devices < 72 ? 1 : 72)
      if (fits_on(run, calibration_, memory, devices)) smallest = devices;
    EXPECT_EQ(needed(run, memory)->devices, smallest) << memory;
  }
}

// Of activations the shortcut "batch · seq · params · 0.5 GB" makes 4 · 2,048 · 7 · 0.5 = 28,672 GB, which would be 359 devices.
TEST_F(Devices, TheShortcutIsWrongByOrdersOfMagnitude) {
  constexpr double kShortcut = 28672e9;
  cost::RunShape run = llama_7b();
  run.micro_batch = 4;
  EXPECT_LT(100 * cost::estimate_memory(run, calibration_, cost::Pace{}).stages.front().activations, kShortcut);
  EXPECT_LT(10 * needed(run)->devices * kH100, kShortcut);
}

}  // namespace
}  // namespace longhaul::plan
