// ledger/ledger.h — what happened: the only source for reports, dashboards and goodput.
//
//   run/ledger/metrics.jsonl           one record a step: {"result": {…, "prev", "hash"}, "timing": {…}}; between them {"change": {…}}
//                                      where a launch went on with another setting; first {"branch": {…}} in a run that another began
//   run/ledger/parent.jsonl            of a branch: the parent's records up to where it begins, after those of the parent's own parent
//   run/ledger/events.jsonl            launches, saves, alarms, skipped updates, quarantines, with wall time
//   run/ledger/discarded-<launch>.jsonl  records after the checkpoint that a launch resumed from
//
// `result` holds what the numerics contract determines: its bytes are equal in every layout and after any number of resumes. Each result
// carries the hash of the one before and its own, SHA-256 of (prev, newline, canonical bytes without the two), so a record cannot be
// changed, dropped or inserted unnoticed, and two runs are equal if their last hashes are. `timing` holds the times of this launch and is
// never compared.
//
// One append is one write: kill -9 leaves at most one torn last line, which the next launch moves away. When a write fails, records wait
// in memory and are written, in order, when writes succeed again: training continues, and a save (which syncs first) reports the failure.
#pragma once

#include <cstdint>
#include <deque>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "files/disk.h"
#include "files/run_lock.h"
#include "ledger/record.h"

namespace longhaul::ledger {

/// A place in metrics.jsonl: how many records, and the hash of the last. Goes into every checkpoint.
struct Cursor {
  std::int64_t records = 0;
  std::string head = kGenesis;
  bool operator==(const Cursor&) const = default;
};
nlohmann::json to_json(const Cursor& cursor);
/// @throws Error if the document is not a cursor
Cursor cursor_from_json(const nlohmann::json& document);

class Ledger {
 public:
  /// Opens run/ledger to continue after `resume` (a fresh run: the default). Later records move to discarded-<launch>.jsonl; a torn event
  /// line is dropped and reported. @throws DataError if the record at the cursor is not the one the checkpoint was saved with
  explicit Ledger(const files::RunLock& lock, const Cursor& resume = {}, files::Disk disk = {});

  /// Appends the record of a step; fills in result.prev and result.hash.
  void append(Record& record);
  /// Appends a record of the chain that is no step.
  void append(const Change& change);
  void append(const Branch& branch);
  /// Appends an event of a kind ("launch", "save", "alarm", …) with time and launch number.
  void event(std::string_view kind, nlohmann::json fields = nlohmann::json::object());
  /// Makes everything appended durable. @throws files::FileError while writes fail
  void sync();

  /// After the last record appended.
  const Cursor& cursor() const { return cursor_; }
  /// Records that opening moved away.
  std::int64_t discarded() const { return discarded_; }

 private:
  struct Lines {
    files::AppendFile file;
    std::deque<std::string> waiting;
  };
  void append_to_chain(const char* kind, nlohmann::json contents, nlohmann::json others, std::string* prev, std::string* hash);
  void push(Lines& lines, std::string line);
  void flush(Lines& lines);

  void cut_events();
  void cut_metrics();

  std::filesystem::path directory_;
  files::Disk disk_;
  std::int64_t launch_;
  Cursor cursor_;
  Lines metrics_, events_;
  std::string last_failure_;
  std::int64_t discarded_ = 0;
};

// --- readers ----------------------------------------------------------------------------------------------------------------------------

/// All records of steps of a metrics, parent or discarded file. A torn last line is left out; any other bad line is an error. A missing
/// file has none.
/// @throws DataError with the line
std::vector<Record> read_metrics(const std::filesystem::path& path);
/// The last record of a step; nothing in a file without one. Reads no line before it, so damage further up is not found.
std::optional<Record> read_last_metric(const std::filesystem::path& path);
/// The records of the chain that are no steps. @throws DataError with the line
struct Settings {
  std::optional<Branch> branch;
  std::vector<Change> changes;  ///< in order
};
Settings read_settings(const std::filesystem::path& path);
/// Whether a run's metrics hold the record at the cursor; of a cursor before the first record, always.
bool holds(const std::filesystem::path& run_directory, const Cursor& cursor);
/// The lines of a run's records up to the one at the cursor, those of its own parent before them: what a branch keeps of its parent. Where
/// the run went back past it, they are in a discarded file; nothing where they are nowhere.
std::optional<std::string> records_up_to(const std::filesystem::path& run_directory, const Cursor& cursor);
/// All events, likewise.
std::vector<nlohmann::json> read_events(const std::filesystem::path& path);

}  // namespace longhaul::ledger
