// evidence/runs.h — measured training runs in one table: what the planner is fitted to and judged by.
//
// One row is one run: model, layout, hardware, and what was measured of it (step time, tokens per second, peak memory, whether it fitted).
// The columns are those of tests/golden/runs.csv, each named in docs/formats.md; other columns are left alone.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "cost/run_shape.h"
#include "files/csv.h"

namespace longhaul::evidence {

struct MeasuredRun {
  std::string id, family, model_name, recompute_note, notes;
  std::size_t row = 0;   ///< in the table, from 0
  std::size_t line = 0;  ///< of the file, from 1
  cost::RunShape shape;
  std::optional<double> step_seconds;  ///< given, or from tokens/s where the global batch is known
  std::optional<double> tokens_per_s;  ///< of one device
  std::optional<double> memory_bytes;  ///< peak of the fullest device
  std::string memory_kind;
  std::optional<bool> fits;  ///< from the status: ok or a failure; absent without one
  std::string skipped;       ///< why it cannot be predicted; empty where it can
  std::string unreadable;    ///< the cell that cannot be read, with file and line; then it is `skipped` too

  /// What a prediction is set beside, in fits and in scores: nothing of a run that failed, for the time or peak that it left behind is not
  /// a step's. Whether it fits is judged of every run with a status.
  std::optional<double> comparable_seconds() const { return fits == false ? std::nullopt : step_seconds; }
  std::optional<double> comparable_memory() const { return fits == false ? std::nullopt : memory_bytes; }
};

/// What happens to a table in which a cell cannot be read.
enum class Unreadable : std::uint8_t {
  skip,   ///< its row is `skipped`
  refuse  ///< UsageError naming file, line and column
};

/// All rows of a file. Fields that are missing, out of place or malformed make a row `skipped` with the reason. Throws UsageError where a
/// column is missing or no row is left.
std::vector<MeasuredRun> read_runs(const files::Csv& csv, Unreadable unreadable = Unreadable::skip);
/// A sentence for each reason for which rows cannot be read, with their number and the lines and ids of the first ones.
std::vector<std::string> unreadable_rows(const std::vector<MeasuredRun>& rows);

struct RunsTable {
  files::Csv csv;
  std::vector<MeasuredRun> rows;
  std::string sha256;  ///< of the file
};
/// A sentence for each id that several rows have: folds keep them together, and what is said of one may be of another.
std::vector<std::string> repeated_ids(const std::vector<MeasuredRun>& rows);
inline constexpr std::uint64_t kMaxRunsBytes = 256u << 20;
/// The same from a file of at most kMaxRunsBytes. Throws UsageError also where it cannot be read.
RunsTable read_runs(const std::filesystem::path& file, Unreadable unreadable = Unreadable::skip);

}  // namespace longhaul::evidence
