// plan/account.h — the account of a run on one rank before it starts: parameters, work, memory by line, time.
//
// Memory comes from the program's buffer lifetimes and is exact for the arena; time executes the same program against measured kernels:
// each operation takes what its kernel calls take at their shapes (cost/kernel_calls.h). The report sets each line beside its measured
// twin.
#pragma once

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "cluster/profile.h"
#include "config/run_config.h"
#include "model/flops.h"
#include "model/param_table.h"
#include "plan/document.h"
#include "program/build.h"

namespace longhaul::plan {

/// Memory that exists beside the arena.
struct OutsideArena {
  Bytes gemm_panels;      ///< packing buffers of the GEMM, all threads
  Bytes batches;          ///< batches in work and prefetched
  Bytes rotation_tables;  ///< RoPE cosines and sines
  Bytes total() const { return gemm_panels + batches + rotation_tables; }
};

/// What lives at some operations of the step: enough of them to draw the memory over a step of any length.
struct MemoryOverStep {
  static constexpr std::size_t kMost = 120;
  std::size_t operations = 0;               ///< of the whole step
  std::vector<std::size_t> at;              ///< their indices, rising
  std::vector<std::vector<Bytes>> by_line;  ///< of each, indexed by program::MemoryLine
};

struct MemoryAccount {
  Bytes arena;                 ///< the allocation
  Bytes live_peak;             ///< largest sum of live buffers
  std::string peak_operation;  ///< where it is reached
  std::vector<Bytes> by_line;  ///< at that operation, indexed by program::MemoryLine
  OutsideArena outside;
  MemoryOverStep over_step;
  /// What the process grows by while training (accounting G).
  Bytes peak_per_rank() const { return arena + outside.total(); }
};

/// Seconds of one step, by part in three ways, and what they rest on.
struct TimeAccount {
  Seconds gemm, attention, loss, memory_bound;  ///< by kernels; the head's products belong to the loss
  std::map<std::string, Seconds> by_operation;  ///< by name in ids, over layers and micro-batches: `mlp_up.bwd`
  std::map<std::string, Seconds> by_phase;      ///< as the ledger times them: forward, recompute, backward, reduce, clip, optimizer
  Seconds step() const { return gemm + attention + loss + memory_bound; }
  double peak_flops = 0;
  int threads = 1;
  std::string rates;  ///< where the rates come from
};

struct Account {
  model::ParamCounts parameters;
  Flops flops_per_token;  ///< accounting D1 default
  std::vector<std::pair<std::string, Flops>> conventions;
  Tokens tokens_per_step, tokens;
  std::int64_t steps = 0;
  program::Layout layout;
  BatchSizes batch;
  /// Absent for architectures that can be counted but not run; time also where the kernels were not measured.
  std::optional<MemoryAccount> memory;
  std::optional<TimeAccount> time;
  /// Of all steps, without validation and saves.
  Seconds run() const { return Seconds(time->step().value * static_cast<double>(steps)); }
  double tokens_per_second() const { return token_rate(tokens_per_step, time->step()); }
  double mfu() const;
};

/// Parameters and work alone.
Account count(const config::RunConfig& config);

/// Parameters, work and memory of a machine whose kernels were not measured: it has no time.
/// @param step     the optimizer step's program
/// @param arena    bytes allocated: the step's arena or the evaluation's, whichever is larger
Account make_account(const config::RunConfig& config, const program::Program& step, Bytes arena, const OutsideArena& outside);
/// The same with its time.
Account make_account(const config::RunConfig& config, const program::Program& step, Bytes arena, const OutsideArena& outside,
                     const cluster::ComputeRates& compute, const std::string& rates_source);

/// Seconds of each operation of a step's program, in its order.
/// @throws UsageError  the profile lacks a kernel that the program calls
std::vector<Seconds> operation_times(const config::RunConfig& config, const program::Program& step, const cluster::ComputeRates& compute);
/// How the run's global batch is cut.
program::BatchPlan batch_plan(const config::RunConfig& config);

nlohmann::json to_json(const Account& account);
/// For people: aligned lines with units.
std::string to_text(const Account& account, const config::RunConfig& config);

}  // namespace longhaul::plan
