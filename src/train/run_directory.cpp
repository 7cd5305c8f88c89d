#include "train/run_directory.h"

#include <nlohmann/json.hpp>

#include "files/disk.h"
#include "files/hash.h"
#include "train/engine.h"

namespace longhaul::train {
namespace {

checkpoint::StoreOptions store_options(const config::RunConfig& config) {
  checkpoint::StoreOptions options;
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

RunDirectory::RunDirectory(const config::RunConfig& config, const checkpoint::RunIdentity& identity)
    : lock_(config.run.directory), store_(lock_, identity, store_options(config)), config_hash_(identity.config_hash) {}

std::optional<Restored> RunDirectory::restore(std::span<const checkpoint::TensorEntry> tensors) {
  const std::optional<checkpoint::Loaded> loaded = store_.load_newest(tensors);
  ledger_.emplace(lock_, loaded ? ledger::cursor_from_json(loaded->ledger) : ledger::Cursor());
  if (!loaded) return std::nullopt;
  Restored restored{state_from_json(loaded->state), loaded->messages};
  saved_step_ = restored.state.step;
  return restored;
}

void RunDirectory::write_run_file(const config::ResolvedConfig& resolved) const {
  files::write_file_atomically(files::Disk(), path() / "run.toml", config::to_toml(resolved, true));
}

double RunDirectory::last_recorded_loss() const {
  const std::optional<ledger::Record> last = ledger::read_last_metric(path() / "ledger" / "metrics.jsonl");
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
