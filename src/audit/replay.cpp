#include "audit/replay.h"

#include <fmt/format.h>

#include <map>
#include <set>

#include "checkpoint/store.h"
#include "config/resolve.h"
#include "ledger/ledger.h"
#include "program/layout.h"
#include "train/loop.h"
#include "train/ranks.h"
#include "units/error.h"

namespace longhaul::audit {
namespace {

namespace fs = std::filesystem;

/// Of a step, the fields that the contract fixes: all but the links of the chain.
nlohmann::json facts(const ledger::Result& result) {
  nlohmann::json document = ledger::to_json(result);
  document.erase("prev");
  document.erase("hash");
  return document;
}

std::optional<RecordDifference> difference(const ledger::Result& recorded, const ledger::Result& replayed) {
  const nlohmann::json before = facts(recorded), now = facts(replayed);
  for (const auto& [field, value] : before.items())
    if (!now.contains(field) || now.at(field) != value)
      return RecordDifference{recorded.step, field, value, now.value(field, nlohmann::json())};
  for (const auto& [field, value] : now.items())
    if (!before.contains(field)) return RecordDifference{recorded.step, field, nlohmann::json(), value};
  return std::nullopt;
}

class Replayer {
 public:
  Replayer(const ReplayOptions& options, const train::Console& console)
      : options_(options), console_(console), settings_(ledger::read_settings(metrics(options.run_directory))) {
    for (const ledger::Record& record : ledger::read_metrics(metrics(options.run_directory))) recorded_[record.result.step] = record.result;
    if (options.from < 1 || options.to < options.from)
      throw UsageError(fmt::format("--from {} --to {}: a window is steps from 1 on, first and last", options.from, options.to));
    for (const std::int64_t end : {options.from, options.to})
      if (!recorded_.contains(end))
        throw UsageError(
            fmt::format("{}: has no record of step {}; it has {}", metrics(options.run_directory).string(), end,
                        recorded_.empty() ? "none" : fmt::format("steps {} to {}", recorded_.begin()->first, recorded_.rbegin()->first)));
  }

  Replay run() {
    begin();
    for (std::int64_t at = result_.began_at; const std::int64_t end : ends()) {
      train(at, end);
      compare(at, end);
      at = end;
      if (result_.checkpoint) break;
    }
    return result_;
  }

 private:
  static fs::path metrics(const fs::path& run) { return run / "ledger" / "metrics.jsonl"; }

  /// Copies the newest checkpoint before the window and the records that led to it.
  void begin() {
    for (const checkpoint::Commit& commit : checkpoint::list_commits(options_.run_directory)) {
      if (!kept_.contains(commit.step)) kept_.emplace(commit.step, commit);  // the newest generation of a step comes first
    }
    for (auto commit = kept_.rbegin(); commit != kept_.rend(); ++commit) {
      if (commit->first >= options_.from) continue;
      const checkpoint::Loaded loaded = checkpoint::read_commit(commit->second, {});
      if (!ledger::holds(options_.run_directory, ledger::cursor_from_json(loaded.ledger))) continue;  // of a history that was left
      fs::create_directories(options_.scratch / "checkpoints");
      fs::create_directories(options_.scratch / "ledger");
      fs::copy(commit->second.directory, options_.scratch / "checkpoints" / commit->second.name(), fs::copy_options::recursive);
      fs::copy_file(metrics(options_.run_directory), metrics(options_.scratch));
      result_.began_at = commit->first;
      return;
    }
    if (settings_.branch)
      throw UsageError(fmt::format("{}: a branch begins at step {}, and no checkpoint before step {} is kept; replay a later window",
                                   options_.run_directory.string(), settings_.branch->step, options_.from));
  }

  /// Where training stops on the way: before a setting changes, and at kept checkpoints.
  std::set<std::int64_t> ends() const {
    std::set<std::int64_t> ends = {options_.to};
    const auto add = [&](std::int64_t step) {
      if (step > result_.began_at && step < options_.to) ends.insert(step);
    };
    for (const ledger::Change& change : settings_.changes) add(change.step);
    for (const auto& [step, commit] : kept_) add(step);
    return ends;
  }

  /// The run's settings in the steps after `at`: those of now, with every later change taken back.
  config::ResolvedConfig settings_after(std::int64_t at) const {
    config::Overrides sets;
    for (auto change = settings_.changes.rbegin(); change != settings_.changes.rend(); ++change)
      if (change->step > at) sets.push_back(change->option + "=" + change->before);
    sets.insert(sets.end(), options_.sets.begin(), options_.sets.end());
    sets.push_back("run.directory=" + options_.scratch.string());
    sets.emplace_back("checkpoint.every=never");
    return config::resolve_file((options_.run_directory / "run.toml").string(), sets);
  }

  void train(std::int64_t at, std::int64_t end) const {
    const config::ResolvedConfig resolved = settings_after(at);
    train::run_ranks(program::layout_of(resolved.config.parallel), train::thread_count(resolved.config),
                     [&](comm::Communicator& communicator) {
                       train::Run run(resolved, communicator, console_);
                       run.stop_after(end);
                       (void)train::train(run);
                     });
  }

  void compare(std::int64_t at, std::int64_t end) {
    for (const ledger::Record& record : ledger::read_metrics(metrics(options_.scratch))) {
      const std::int64_t step = record.result.step;
      if (step <= at || step > end || step < options_.from || result_.record) continue;
      ++result_.records;
      result_.record = difference(recorded_.at(step), record.result);
    }
    const auto kept = kept_.find(end);
    if (kept == kept_.end()) return;
    ++result_.checkpoints;
    (void)checkpoint::read_commit(kept->second, {});  // a damaged one is no evidence
    if (const auto where = first_difference(kept->second, checkpoint::commit_of_step(options_.scratch, end)))
      result_.checkpoint = CheckpointDifference{end, *where};
  }

  const ReplayOptions& options_;
  const train::Console& console_;
  const ledger::Settings settings_;
  std::map<std::int64_t, ledger::Result> recorded_;
  std::map<std::int64_t, checkpoint::Commit> kept_;
  Replay result_;
};

/// Removes the scratch directory whatever happens.
struct Removed {
  const fs::path& path;
  ~Removed() {
    std::error_code ignored;
    fs::remove_all(path, ignored);
  }
};

}  // namespace

Replay replay(const ReplayOptions& options, const train::Console& console) {
  if (fs::exists(options.scratch))
    throw UsageError(fmt::format("{}: exists; the replay's own directory is made new", options.scratch.string()));
  const Removed removed{options.scratch};
  return Replayer(options, console).run();
}

}  // namespace longhaul::audit
