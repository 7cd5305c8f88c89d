// config/parallel.h — the table [parallel] of a run file: how one step is spread over ranks.
//
// --layout has the same keys; the option table (config/options.h) gives both their types, allowed values and defaults, and src/program
// makes a program::Layout of either (layout_of(), parse_layout()). What a number may be together with others is decided there
// (program::contradictions()), where the model is known.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace longhaul::config {

/// What a layer keeps of its activations for the backward pass.
enum class Recompute : std::uint8_t {
  none,       ///< everything that the backward pass reads
  selective,  ///< attention's scores and probabilities run again (Korthikanti et al. 2022 §5); nothing to do with flash attention
  layer,      ///< its input alone; the layer runs again before its backward pass ("full")
};
inline constexpr std::string_view kRecomputeNames = "none|selective|layer";
std::string_view name(Recompute recompute);

/// Order in which a pipeline rank takes its micro-batches. Data, made by program::make_schedule().
enum class PipelineSchedule : std::uint8_t {
  gpipe,        ///< all forwards, then all backwards (Huang et al. 2019)
  one_f_one_b,  ///< PipeDream-flush (Narayanan et al. 2021 §2.2.1)
  interleaved,  ///< the same with several chunks of layers a rank (§2.2.2)
  zb_h1,        ///< backward split in two, memory of 1F1B (Qi et al. 2023, arXiv 2401.10241 §2.3)
  zb_h2,        ///< the same with up to twice the activations, no bubble but the ends (§2.3)
};
inline constexpr std::string_view kPipelineScheduleNames = "gpipe|1f1b|interleaved|zb-h1|zb-h2";
std::string_view name(PipelineSchedule schedule);

/// More devices than anyone has, few enough that no product of sizes overflows: of dp · tp · pp · cp and of pp · virtual.
inline constexpr std::int64_t kMostRanks = 1 << 20;

struct ParallelTable {
  std::int64_t dp = 1, tp = 1, pp = 1, cp = 1, ep = 1;
  std::int64_t zero = 0;
  std::int64_t shard = 0;              ///< ranks that share one copy of the sharded states; 0: all of dp · cp
  std::int64_t chunks = 1;             ///< "virtual"
  std::int64_t sequence_parallel = 0;  ///< "sp"
  Recompute recompute = Recompute::none;
  PipelineSchedule schedule = PipelineSchedule::one_f_one_b;  ///< resolved: interleaved where chunks > 1
  std::vector<std::int64_t> stages;                           ///< layers of each virtual stage; empty: shared out evenly
  std::int64_t virtual_tensor = 1;                            ///< T
  std::int64_t virtual_sequence = 1;                          ///< S
};

}  // namespace longhaul::config
