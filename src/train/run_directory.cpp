#include "train/run_directory.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "checkpoint/manifest.h"
#include "files/disk.h"
#include "files/hash.h"
#include "train/changes.h"
#include "train/engine.h"

namespace longhaul::train {
namespace {

constexpr const char* kParentRecords = "parent.jsonl";

checkpoint::StoreOptions store_options(const config::ResolvedConfig& resolved, const checkpoint::RunIdentity& identity) {
  const config::RunConfig& config = resolved.config;
  checkpoint::StoreOptions options;
  options.accept = [resolved, identity](const checkpoint::RunIdentity& theirs, const checkpoint::Commit& commit) {
    changes_since(theirs, identity, resolved, commit);
    checkpoint::RunIdentity same_settings = identity;  // what is left to ask about is the order
    same_settings.config_hash = theirs.config_hash;
    checkpoint::check_identity(theirs, same_settings, commit.directory.string());
  };
  options.retention.keep_last = config.checkpoint.keep_last;
  options.hash_threads = thread_count(config);
  const config::Cadence& keep = config.checkpoint.keep_every;
  if (keep.kind == config::Cadence::Kind::steps || keep.kind == config::Cadence::Kind::tokens) options.retention.keep_every = keep.amount;
  options.retention.by_tokens = keep.kind == config::Cadence::Kind::tokens;
  return options;
}

}  // namespace

checkpoint::RunIdentity identity_of(const config::RunConfig& config, const data::Dataset& dataset) {
  const std::string text = config::config_hash_text(config) + "data.content = " + dataset.manifest().content_hash +
                           "\ndata.tokenizer = " + dataset.manifest().tokenizer_fingerprint + "\n";
  return {files::sha256_hex(text), text, std::string(kernels::name(order_of_run(config)))};
}

RunDirectory::RunDirectory(const config::ResolvedConfig& resolved, const checkpoint::RunIdentity& identity)
    : lock_(resolved.config.run.directory),
      resolved_(resolved),
      identity_(identity),
      store_(lock_, identity, store_options(resolved, identity)) {}

std::optional<Restored> RunDirectory::restore(std::span<const checkpoint::TensorEntry> tensors, std::optional<std::int64_t> from_step) {
  const std::vector<checkpoint::Commit> commits = checkpoint::list_commits(path());
  // A checkpoint whose records are gone would break the chain: the run went back past it before.
  const auto has_records = [&](const checkpoint::Loaded& loaded) {
    if (!ledger::holds(path(), ledger::cursor_from_json(loaded.ledger)))
      throw UsageError(
          fmt::format("--from-step {}: {} belongs to a history that the run went back past, and its records are not in the "
                      "ledger any more. A run of its own can begin from it, with another run.directory: "
                      "`longhaul train NEW.toml --branch-from {}`",
                      *from_step, loaded.commit.name(), fmt::format("{}@{}", path().string(), *from_step)));
  };
  const std::optional<checkpoint::Loaded> loaded =
      from_step ? store_.go_back(*from_step, tensors, has_records) : store_.load_newest(tensors);
  ledger_.emplace(lock_, loaded ? ledger::cursor_from_json(loaded->ledger) : ledger::Cursor());
  if (!loaded) return std::nullopt;
  Restored restored{state_from_json(loaded->state), changes_since(loaded->identity, identity_, resolved_, loaded->commit), loaded->messages,
                    0};
  if (from_step && commits.front().name() != loaded->commit.name()) restored.went_back_from = commits.front().step;
  saved_step_ = restored.state.step;
  return restored;
}

void RunDirectory::begin_branch(const Branched& branched, std::span<const checkpoint::TensorEntry> tensors) {
  ledger_.emplace(lock_);
  files::write_file_atomically(files::Disk(), path() / "ledger" / kParentRecords, branched.parent_records);
  ledger_->append(branched.record);
  save(branched.state, tensors);
}

void RunDirectory::write_run_file() const {
  files::write_file_atomically(files::Disk(), path() / "run.toml", config::to_toml(resolved_, true));
}

double RunDirectory::last_recorded_loss() const {
  std::optional<ledger::Record> last = ledger::read_last_metric(path() / "ledger" / "metrics.jsonl");
  if (!last) last = ledger::read_last_metric(path() / "ledger" / kParentRecords);
  return last ? last->result.loss : 0;
}

std::optional<TrainSummary> RunDirectory::earlier_finish(const std::string& state_hash) const {
  return finished_with(ledger::read_events(path() / "ledger" / "events.jsonl"), state_hash);
}

checkpoint::Saved RunDirectory::save(const TrainState& state, std::span<const checkpoint::TensorEntry> tensors) {
  ledger_->sync();
  checkpoint::Saved saved = store_.commit({state.step, state.tokens, tensors, to_json(state), ledger::to_json(ledger_->cursor())});
  saved_step_ = state.step;
  return saved;
}

}  // namespace longhaul::train
