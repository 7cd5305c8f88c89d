// audit/replay.h — a window of a run trained again, here and as asked: in another layout, with other threads, in another instruction set.
//
// It begins at the newest kept checkpoint before the window, or at the seed, in a directory of its own, with the settings that the run had
// then; the ledger's records of changes are applied where they stand. Nothing of the run is written. What it compares are the results of
// the ledger, all fields of them, and the kept checkpoints on the way.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "audit/tensor_difference.h"
#include "train/console.h"

namespace longhaul::audit {

struct ReplayOptions {
  std::filesystem::path run_directory;
  std::int64_t from = 1, to = 0;  ///< steps, both included
  std::vector<std::string> sets;  ///< table.key=value: layout, threads, family, the data's place
  std::filesystem::path scratch;  ///< made and removed
};

/// The first record that is not what was recorded.
struct RecordDifference {
  std::int64_t step = 0;
  std::string field;
  nlohmann::json recorded, replayed;
};
/// The first kept checkpoint from there on.
struct CheckpointDifference {
  std::int64_t step = 0;
  TensorDifference where;
};

struct Replay {
  std::int64_t began_at = 0;     ///< steps finished where it began
  std::int64_t records = 0;      ///< compared
  std::int64_t checkpoints = 0;  ///< compared
  std::optional<RecordDifference> record;
  std::optional<CheckpointDifference> checkpoint;
  bool equal() const { return !record && !checkpoint; }
};

/// @throws UsageError for a window that the run has not recorded; DataError, CheckpointError for damaged files
Replay replay(const ReplayOptions& options, const train::Console& console);

}  // namespace longhaul::audit
