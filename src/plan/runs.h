// plan/runs.h — measured training runs in one table: what the planner is fitted to and judged by.
//
// One row is one run: model, layout, hardware, and what was measured of it (step time, tokens per second, peak memory, whether it fitted).
// The columns are those of tests/golden/runs.csv, each named in docs/formats.md; other columns are left alone.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/catalogue.h"
#include "files/csv.h"
#include "model/spec.h"
#include "program/layout.h"

namespace longhaul::plan {

enum class Precision : std::uint8_t { bf16, fp16, fp8 };
std::string_view name(Precision precision);

/// What the planner needs to know of a run beside its model: one step of one job on one cluster.
struct RunShape {
  model::ModelSpec model;
  program::Layout layout;
  std::int64_t sequence_length = 0;
  std::int64_t global_batch = 0;  ///< sequences of a step
  std::int64_t micro_batch = 1;   ///< sequences
  Precision precision = Precision::bf16;
  bool fp32_gradients = true;  ///< gradients are accumulated and reduced in fp32
  bool flash_attention = true;
  bool row_scales = false;             ///< fp8 with a scale for each row ("rowwise") instead of one for each tensor
  bool async_tensor_parallel = false;  ///< tensor-parallel collectives in pieces beside their products (torchtitan's async TP)
  std::string framework;               ///< as in the row: megatron-lm, megatron-deepspeed, nanotron, llm-foundry, torchtitan …
  std::string accelerator;             ///< id in the catalogue
  std::shared_ptr<const cluster::Cluster> hardware;  ///< where the run is on other hardware than the catalogue's `accelerator`: its rates
  std::string network;                               ///< link tier between nodes where the row names one ("OmniPath"), else empty
  int devices = 1;
  int devices_per_node = 8;

  int micro_batches() const { return static_cast<int>(global_batch / (micro_batch * layout.dp)); }
  std::int64_t tokens_per_step() const { return global_batch * sequence_length; }
};

/// Everything that makes a run impossible: devices that the layout does not use, a batch that does not divide, and what
/// program::contradictions() finds. Each sentence names its field and a fix.
std::vector<std::string> contradictions(const RunShape& run);

struct MeasuredRun {
  std::string id, family, model_name, recompute_note, notes;
  std::size_t row = 0;  ///< in the file
  RunShape shape;
  std::optional<double> step_seconds;  ///< given, or from tokens/s where the global batch is known
  std::optional<double> tokens_per_s;  ///< of one device
  std::optional<double> memory_bytes;  ///< peak of the fullest device
  std::string memory_kind;
  std::optional<bool> fits;  ///< from the status: ok or a failure; absent without one
  std::string skipped;       ///< why it cannot be predicted; empty where it can

  /// What a prediction is set beside, in fits and in scores: nothing of a run that failed, for the time or peak that it left behind is not
  /// a step's. Whether it fits is judged of every run with a status.
  std::optional<double> comparable_seconds() const { return fits == false ? std::nullopt : step_seconds; }
  std::optional<double> comparable_memory() const { return fits == false ? std::nullopt : memory_bytes; }
};

/// All rows of a file. Fields that are missing or out of place make a row `skipped` with the reason; a malformed number is an error.
/// Throws UsageError naming file, line and column.
std::vector<MeasuredRun> read_runs(const files::Csv& csv);

struct RunsTable {
  files::Csv csv;
  std::vector<MeasuredRun> rows;
  std::string sha256;  ///< of the file
};
/// A sentence for each id that several rows have: folds keep them together, and what is said of one may be of another.
std::vector<std::string> repeated_ids(const std::vector<MeasuredRun>& rows);
inline constexpr std::uint64_t kMaxRunsBytes = 256u << 20;
/// The same from a file of at most kMaxRunsBytes. Throws UsageError also where it cannot be read.
RunsTable read_runs(const std::filesystem::path& file);

}  // namespace longhaul::plan
