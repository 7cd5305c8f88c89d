#include "train/run.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "config/resolve.h"
#include "files/disk.h"
#include "files/read.h"
#include "model/flops.h"
#include "train/schedule.h"
#include "train/stop.h"
#include "units/error.h"
#include "units/format.h"
#include "units/statistics.h"

namespace longhaul::train {
namespace {

/// What a checkpoint must agree with: every option that reaches a bit, and the content of the data.
checkpoint::RunIdentity identity_of(const config::RunConfig& config, const data::Dataset& dataset) {
  const std::string text = config::config_hash_text(config) + "data.content = " + dataset.manifest().content_hash +
                           "\ndata.tokenizer = " + dataset.manifest().tokenizer_fingerprint + "\n";
  return {files::sha256_hex(text), text, std::string(kernels::name(order_of_run(config)))};
}

checkpoint::StoreOptions store_options(const config::RunConfig& config) {
  checkpoint::StoreOptions options;
  options.retention.keep_last = config.checkpoint.keep_last;
  options.hash_threads = thread_count(config);
  const config::Cadence& keep = config.checkpoint.keep_every;
  if (keep.kind == config::Cadence::Kind::steps || keep.kind == config::Cadence::Kind::tokens) options.retention.keep_every = keep.amount;
  options.retention.by_tokens = keep.kind == config::Cadence::Kind::tokens;
  return options;
}

data::LoaderOptions loader_options(const config::RunConfig& config) {
  return {static_cast<std::uint64_t>(config.run.seed), config.batch.sequence_length, config.batch.global_batch,
          config.data.isolate_documents, 2};
}

/// Opened before the run's directory is touched: a wrong dataset leaves no trace.
data::Dataset open_data(const config::RunConfig& config) {
  data::Dataset dataset = data::Dataset::open(config.data.directory);
  dataset.require_vocabulary(config.model.vocab);
  return dataset;
}

}  // namespace

Run::Run(const config::ResolvedConfig& resolved, Console console)
    : config_(resolved.config),
      console_(std::move(console)),
      dataset_(open_data(config_)),
      engine(config_),
      lock_(config_.run.directory),
      identity_(identity_of(config_, dataset_)),
      store_(lock_, identity_, store_options(config_)) {
  for (const std::string& message : store_.messages()) console_.say(message);
  restore();
  write_resolved(resolved);
  loader_.emplace(dataset_.train(), loader_options(config_), data::LoaderCursor{state.sample});
  if (config_.run.overfit_one_batch)
    only_batch_ = data::make_batch(dataset_.train(), loader_options(config_), 0, config_.batch.global_batch);
  previous_tokens_ = state.tokens;
}

void Run::restore() {
  ledger::Cursor cursor;
  std::vector<std::string> messages;
  const std::vector<checkpoint::TensorEntry> registry = engine.registry();
  if (const std::optional<checkpoint::Loaded> loaded = store_.load_newest(registry)) {
    state = state_from_json(loaded->state);
    cursor = ledger::cursor_from_json(loaded->ledger);
    messages = loaded->messages;
    resumed_from_step_ = saved_step_ = state.step;
    engine.weights_changed();
  } else {
    engine.initialise();
  }
  ledger_.emplace(lock_, cursor);
  if (resumed_from_step_) {
    const auto last = ledger::read_last_metric(std::filesystem::path(config_.run.directory) / "ledger" / "metrics.jsonl");
    if (last) last_loss_ = last->result.loss;
  }
  std::int64_t parameters = 0;
  for (const checkpoint::TensorEntry& tensor : engine.registry_of(checkpoint::kWeights, engine.weights()))
    parameters += static_cast<std::int64_t>(tensor.data.size());
  ledger_->event("launch", {{"config_hash", identity_.config_hash},
                            {"parameters", parameters},
                            {"resumed_from_step", resumed_from_step_ ? nlohmann::json(*resumed_from_step_) : nlohmann::json()},
                            {"order", kernels::name(engine.context().order)},
                            {"family", kernels::name(engine.context().family)},
                            {"threads", engine.context().pool.threads()},
                            {"discarded_records", ledger_->discarded()}});
  for (const std::string& message : messages) {
    console_.say(message);
    ledger_->event("checkpoint_damaged", {{"message", message}});
  }
  if (!has_heldout()) console_.say("the dataset holds no text out: nothing is validated (data prepare --heldout-fraction)");
  if (resumed_from_step_) console_.say(fmt::format("resumed from step {} of {}", *resumed_from_step_, config_.run.steps));
  if (ledger_->discarded() > 0)
    console_.say(
        fmt::format("{} records after step {} moved to ledger/discarded-{}.jsonl", ledger_->discarded(), state.step, lock_.launch()));
}

void Run::write_resolved(const config::ResolvedConfig& resolved) {
  const std::filesystem::path path = std::filesystem::path(config_.run.directory) / "run.toml";
  files::write_file_atomically(files::Disk(), path, config::to_toml(resolved, true));
}

StopReason Run::stop_reason() const {
  if (state.step >= config_.run.steps) return StopReason::finished;
  if (stop_signal() != 0) return StopReason::signal;
  const std::int64_t limit = config_.guards.max_skipped_steps;
  return limit > 0 && state.guards.skipped_in_a_row >= limit ? StopReason::guard : StopReason::none;
}

double Run::learning_rate() const { return train::learning_rate(schedule_of(config_), state.step); }
double Run::scheduled_learning_rate() const { return train::learning_rate(schedule_of(config_), state.applied + state.skipped); }

data::Batch Run::next_batch() { return only_batch_ ? *only_batch_ : loader_->next(); }

void Run::advance(const data::Batch& batch, bool applied) {
  previous_tokens_ = state.tokens;
  state.step += 1;
  state.tokens += batch.token_count();
  if (!only_batch_) state.sample += batch.sequences;
  (applied ? state.applied : state.skipped) += 1;
}

bool Run::due(const config::Cadence& cadence) const {
  using Kind = config::Cadence::Kind;
  switch (cadence.kind) {
    case Kind::never:
      return false;
    case Kind::steps:
      return config::passes(cadence, state.step - 1, state.step);
    case Kind::tokens:
      return config::passes(cadence, previous_tokens_, state.tokens);
    case Kind::seconds: {
      const std::chrono::duration<double> since = StepClock::Clock::now() - last_save_;
      return since.count() >= static_cast<double>(cadence.amount);
    }
  }
  return false;
}

void Run::save() {
  if (saved_step_ == state.step) return;
  const auto start = StepClock::Clock::now();
  const std::vector<checkpoint::TensorEntry> registry = engine.registry();
  try {
    ledger_->sync();
    const checkpoint::Saved saved = store_.commit({state.step, state.tokens, registry, to_json(state), ledger::to_json(ledger_->cursor())});
    saved_step_ = state.step;
    const double seconds = std::chrono::duration<double>(StepClock::Clock::now() - start).count();
    ledger_->event("save", {{"step", state.step},
                            {"directory", saved.commit.name()},
                            {"state_hash", saved.state_hash},
                            {"bytes", saved.bytes},
                            {"seconds", seconds}});
    console_.say(
        fmt::format("saved {} ({}, {:.2f} s)", saved.commit.name(), format(Bytes(static_cast<std::int64_t>(saved.bytes))), seconds));
    for (const std::string& message : saved.messages) console_.say(message);
  } catch (const Error& error) {
    ledger_->event("save_failed", {{"step", state.step}, {"message", error.what()}});
    console_.say(fmt::format("warning: step {} was not saved: {}", state.step, error.what()));
  }
  last_save_ = StepClock::Clock::now();
}

std::string Run::state_hash() { return checkpoint::hash_state(engine.registry(), engine.context().pool.threads()).root.hex(); }

Evaluation Run::validate(std::int64_t max_tokens) {
  if (validated_step_ == state.step && validation_.bits_per_byte) return validation_;  // all of it was read at this step already
  validation_ = evaluate(engine, dataset_.heldout(), max_tokens, [&](std::int64_t done, std::int64_t all) {
    if (all > 1) console_.live(fmt::format("validating: {} of {} sequences", done, all));
  });
  validated_step_ = state.step;
  return validation_;
}

void Run::record(ledger::Record& record, const Verdict& verdict) {
  if (state.step == resumed_from_step_.value_or(0) + 1) first_step_ended_ = StepClock::Clock::now();
  record.timing.launch = lock_.launch();
  record.timing.memory_bytes = static_cast<std::uint64_t>(resident_anonymous().value);
  record.timing.memory_peak_bytes = static_cast<std::uint64_t>(resident_peak().value);
  const Flops per_token = model::flops_per_token(config_.model, config_.batch.sequence_length);
  if (peak_flops > 0) record.timing.mfu = model::mfu(per_token, record.timing.tokens_per_second, peak_flops);
  ledger_->append(record);
  last_loss_ = record.result.loss;
  if (!verdict.apply) ledger_->event("update_skipped", {{"step", state.step}, {"reason", verdict.reason}});
  for (const std::string& alarm : verdict.alarms) {
    ledger_->event(
        "alarm",
        {{"step", state.step}, {"alarm", alarm}, {"loss", record.result.loss}, {"grad_norm", record.result.grad_norm_before_clip}});
    console_.say(fmt::format("alarm at step {}: {} (loss {:.4f}, gradient norm {:.3f})", state.step, alarm, record.result.loss,
                             record.result.grad_norm_before_clip));
  }
  if (!verdict.apply) console_.say(fmt::format("step {}: {}; weights unchanged", state.step, verdict.reason));
  measure_launch();
  show(record);
}

/// Over steps 3 to 10 of a launch, once: the process's growth without the peak of a save (accounting G), and seconds by operation.
void Run::measure_launch() {
  const std::int64_t step_of_launch = state.step - resumed_from_step_.value_or(0);
  if (step_of_launch < 3 || step_of_launch > 10) return;
  memory_growth_ = std::max(memory_growth_, resident_anonymous() - engine.resident_before_arena());
  for (const auto& [name, seconds] : seconds_by_name(engine.step())) operation_seconds_[name].push_back(seconds);
  if (step_of_launch < 10) return;
  ledger_->event("memory", {{"step", state.step},
                            {"growth_bytes", memory_growth_.value},
                            {"arena_bytes", engine.arena().size().value},
                            {"arena_high_water_bytes", engine.arena().high_water().value}});
  nlohmann::json medians;
  for (const auto& [name, seconds] : operation_seconds_) medians[name] = upper_median(seconds);
  ledger_->event("operations", {{"step", state.step}, {"seconds", medians}});
}

}  // namespace longhaul::train
