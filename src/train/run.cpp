#include "train/run.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "files/disk.h"
#include "train/step_trace.h"
#include "train/stop.h"
#include "units/error.h"
#include "units/format.h"

namespace longhaul::train {
namespace {

/// "layers.3.attn.q.weight has 81 % of its square", "… is the first that is not finite".
std::string of_tensor(const ledger::AlarmTensor& tensor) {
  if (tensor.share == 0) return tensor.name + " is the first that is not finite";
  return fmt::format("{} has {:.0f} % of its square", tensor.name, 100 * tensor.share);
}

/// The order of norms by tensor in the records.
std::vector<std::string> tensor_names(const model::ParamTable& table) {
  std::vector<std::string> names;
  for (const model::ParamTensor& tensor : table.tensors()) names.push_back(tensor.name);
  return names;
}

Console silent() {
  const auto nothing = [](const std::string&) {};
  return {nothing, nothing, nothing};
}

/// @param verify  the hashes of the files are one rank's to check, for all
data::Dataset open_data(const config::RunConfig& config, data::Verify verify, const Console& console) {
  console.begin("verifying the data");
  data::Dataset dataset = data::Dataset::open(config.data.directory, verify);
  dataset.require_training_text();
  dataset.require_vocabulary(config.model.vocab);
  return dataset;
}

}  // namespace

Run::Run(const config::ResolvedConfig& resolved, comm::Communicator& communicator, Console console, const Origin& origin)
    : communicator_(communicator) {
  const config::RunConfig& config = resolved.config;
  if (communicator.rank() != 0) console = silent();
  // A wrong dataset or model is refused before memory is taken, and both before the run's directory is touched.
  data::Dataset dataset = open_data(config, communicator.rank() == 0 ? data::Verify::full : data::Verify::structure, console);
  training_ = std::make_unique<Training>(config, std::move(dataset), communicator);
  if (communicator.rank() == 0) {
    directory_ = std::make_unique<RunDirectory>(resolved, identity_of(config, training_->dataset()));
    for (const std::string& message : directory_->messages()) console.say(message);
  }
  open_state(origin, console);
  first_step_ = training_->state.step + 1;
  launch_ = std::make_unique<Launch>(config, std::move(console), first_step_);
  if (!first()) return;
  record_launch();
  directory_->write_run_file();
}

/// Rank 0 reads the state or begins a branch; then every rank has its part of the tensors and the same counters.
void Run::open_state(const Origin& origin, const Console& console) {
  WholeState whole(training_->engine);
  std::optional<TrainState> state;
  if (first()) {
    const std::optional<BranchFrom> from = branch_to_begin(directory(), origin.branch);
    state = from ? begin_branch(*from, whole, console) : restore(origin, whole, console);
  }
  const std::string own = state ? to_json(*state).dump() : "";
  const std::vector<std::byte> told = communicator_.broadcast("state", std::as_bytes(std::span(own)));
  if (told.empty()) {
    console.begin("drawing the initial weights");
    return training_->start();
  }
  whole.distribute();
  training_->resume(
      first() ? *state : state_from_json(nlohmann::json::parse(std::string_view(reinterpret_cast<const char*>(told.data()), told.size()))));
}

std::optional<TrainState> Run::begin_branch(const BranchFrom& from, WholeState& whole, const Console& console) {
  console.begin("reading the checkpoint of the parent");
  Branched branched;
  if (training_->engine.alone()) {
    branched = read_parent(from, directory(), directory_->identity(), training_->engine);
  } else {
    Engine one(of_one_rank(config()));
    branched = read_parent(from, directory(), directory_->identity(), one);
    const std::vector<checkpoint::TensorEntry> read = one.registry(), all = whole.registry();
    for (std::size_t i = 0; i < all.size(); ++i) std::copy(read[i].data.begin(), read[i].data.end(), all[i].data.begin());
  }
  for (const std::string& message : branched.messages) console.say(message);
  directory_->begin_branch(branched, whole.registry());
  resumed_from_step_ = branched.state.step;
  last_loss_ = directory_->last_recorded_loss();
  console.say(fmt::format("branch from {} at step {}; {}", branched.record.parent, branched.record.step,
                          branched.record.data_restarts ? "the data begin at sample 0: other data, seed or sequence length"
                                                        : fmt::format("the data go on at sample {}", branched.state.sample)));
  for (const ledger::Change& d : branched.record.differences)
    console.say(fmt::format("  {}: {} in the parent, {} in the branch", d.option, d.before.empty() ? "(not set)" : d.before,
                            d.now.empty() ? "(not set)" : d.now));
  return branched.state;
}

std::optional<TrainState> Run::restore(const Origin& origin, WholeState& whole, const Console& console) {
  console.begin("loading the newest checkpoint");
  std::optional<Restored> restored = directory_->restore(whole.registry(), origin.from_step);
  if (!restored) return std::nullopt;
  resumed_from_step_ = restored->state.step;
  last_loss_ = directory_->last_recorded_loss();
  changes_ = std::move(restored->changes);
  // Who changes a guard after it stopped the run means to go on: the count of skipped updates begins anew.
  if (std::any_of(changes_.begin(), changes_.end(), [](const ledger::Change& c) { return c.option.starts_with("guards."); }))
    restored->state.guards.skipped_in_a_row = 0;
  if (!origin.from_step) {
    damaged_ = std::move(restored->messages);
    return restored->state;
  }
  for (const std::string& message : restored->messages) console.say(message);
  if (restored->went_back_from == 0) return restored->state;
  directory_->ledger().event("went_back", {{"from_step", restored->went_back_from}, {"to_step", restored->state.step}});
  console.say(
      fmt::format("went back from step {} to step {}; the later checkpoints are an older generation, which stays until there "
                  "are checkpoint.keep_last = {} newer ones",
                  restored->went_back_from, restored->state.step, config().checkpoint.keep_last));
  return restored->state;
}

/// The settings that changed become records of the chain, before the first step that they hold for.
void Run::record_changes() {
  for (const ledger::Change& change : changes_) directory_->ledger().append(change);
  changes_.clear();
}

void Run::record_launch() {
  const Engine& engine = training_->engine;
  ledger::Ledger& ledger = directory_->ledger();
  ledger.event("launch", {{"config_hash", directory_->identity().config_hash},
                          {"parameters", engine.table().total().value},
                          {"tensors", tensor_names(engine.table())},
                          {"resumed_from_step", resumed_from_step_ ? nlohmann::json(*resumed_from_step_) : nlohmann::json()},
                          {"order", kernels::name(engine.context().order)},
                          {"family", kernels::name(engine.context().family)},
                          {"threads", engine.context().pool.threads()},
                          {"ranks", communicator_.ranks()},
                          {"layout", program::to_text(engine.step_program().layout)},
                          {"discarded_records", ledger.discarded()}});
  for (const std::string& message : damaged_) {
    launch_->say(message);
    ledger.event("checkpoint_damaged", {{"message", message}});
  }
  if (!training_->has_heldout())
    launch_->say("the dataset holds no text out: nothing is validated (data prepare --heldout-tail or --heldout-source)");
  if (resumed_from_step_) launch_->say(fmt::format("resumed from step {} of {}", *resumed_from_step_, config().run.steps));
  if (training_->state.step < config().run.steps)  // a run that is done records no change
    for (const ledger::Change& change : changes_)
      launch_->say(fmt::format("{} changes from {} to {} after step {}", change.option, change.before.empty() ? "(not set)" : change.before,
                               change.now.empty() ? "(not set)" : change.now, change.step));
  if (ledger.discarded() > 0)
    launch_->say(fmt::format("{} records after step {} moved to ledger/discarded-{}.jsonl", ledger.discarded(), training_->state.step,
                             directory_->launch()));
}

void Run::record_start() {
  if (!first()) return;
  const std::int64_t step = training_->state.step + 1;
  record_changes();
  directory_->ledger().event("start", {{"step", step},
                                       {"seconds", machine::process_age().value},
                                       {"resident_before_arena_bytes", training_->engine.resident_before_arena().all.value},
                                       {"plan", launch_->plan}});
  launch_->begin(fmt::format("step {} of {}", step, config().run.steps));
}

StopReason Run::stop_reason() {
  const TrainState& state = training_->state;
  if (state.step >= config().run.steps) return StopReason::finished;
  if (communicator_.agree(stop_signal()) != 0 || (last_step_ > 0 && state.step >= last_step_)) return StopReason::signal;
  const std::int64_t limit = config().guards.max_skipped_steps;
  return limit > 0 && state.guards.skipped_in_a_row >= limit ? StopReason::guard : StopReason::none;
}

Evaluation Run::validate(std::int64_t max_tokens) {
  return training_->validate(max_tokens, [&](std::int64_t done, std::int64_t all) {
    if (all > 1) launch_->live(fmt::format("validating: {} of {} sequences", done, all));
  });
}

void Run::record(ledger::Record& record, const Verdict& verdict) {
  last_loss_ = record.result.loss;
  const std::vector<nlohmann::json> ranks = ranks_.after_step(record.result.step - first_step_ + 1, training_->engine);
  const std::string trace = record.result.step == traced_step_ ? step_trace(training_->engine) : "";
  if (!first()) return;
  if (!trace.empty()) {
    const std::filesystem::path file = directory() / fmt::format("trace-{}.json", traced_step_);
    files::write_file_atomically(files::Disk(), file, trace);
    launch_->say(fmt::format("wrote {}: open it in ui.perfetto.dev", file.string()));
  }
  ledger::Ledger& ledger = directory_->ledger();
  record.timing.launch = directory_->launch();
  launch_->complete(record.timing);
  ledger.append(record);
  record_verdict(record.result, verdict);
  for (auto& [kind, fields] : launch_->measure(record.result.step, training_->engine)) ledger.event(kind, std::move(fields));
  if (!ranks.empty()) record_ranks(record.result.step, ranks);
  launch_->show(record, training_->due(config().log.every));
}

void Run::record_ranks(std::int64_t step, const std::vector<nlohmann::json>& ranks) {
  const std::vector<std::string> slow = stragglers(ranks);
  directory_->ledger().event("ranks", {{"step", step}, {"ranks", ranks}, {"stragglers", slow}});
  for (const std::string& sentence : slow) launch_->say("straggler: " + sentence);
}

void Run::record_verdict(const ledger::Result& result, const Verdict& verdict) {
  ledger::Ledger& ledger = directory_->ledger();
  if (!verdict.apply) ledger.event("update_skipped", {{"step", result.step}, {"reason", verdict.reason}});
  for (const std::string& alarm : verdict.alarms) {
    nlohmann::json fields = {{"step", result.step}, {"alarm", alarm}, {"loss", result.loss}, {"grad_norm", result.grad_norm_before_clip}};
    if (result.alarm_tensor) fields["tensor"] = result.alarm_tensor->name;
    ledger.event("alarm", std::move(fields));
    launch_->say(fmt::format("alarm at step {}: {} (loss {:.4f}, gradient norm {:.3f}{})", result.step, alarm, result.loss,
                             result.grad_norm_before_clip, result.alarm_tensor ? ", " + of_tensor(*result.alarm_tensor) : ""));
  }
  if (!verdict.apply) launch_->say(fmt::format("step {}: {}; weights unchanged", result.step, verdict.reason));
}

bool Run::save_due() {
  const config::Cadence& every = config().checkpoint.every;
  if (every.kind == config::Cadence::Kind::seconds)
    return communicator_.agree(launch_->seconds_since_save() >= static_cast<double>(every.amount)) != 0;
  return training_->due(every);
}

void Run::save() {
  const std::int64_t step = training_->state.step;
  if (communicator_.agree(first() && directory_->saved_step() == step) != 0) return;
  const auto start = StepClock::Clock::now();
  WholeState whole(training_->engine);
  whole.collect();
  if (!first()) return;
  ledger::Ledger& ledger = directory_->ledger();
  try {
    const checkpoint::Saved saved = directory_->save(training_->state, whole.registry());
    const double seconds = std::chrono::duration<double>(StepClock::Clock::now() - start).count();
    ledger.event("save", {{"step", step},
                          {"directory", saved.commit.name()},
                          {"state_hash", saved.state_hash},
                          {"bytes", saved.bytes},
                          {"seconds", seconds}});
    launch_->say(
        fmt::format("saved {} ({}, {:.2f} s)", saved.commit.name(), format(Bytes(static_cast<std::int64_t>(saved.bytes))), seconds));
    for (const std::string& message : saved.messages) launch_->say(message);
  } catch (const Error& error) {
    ledger.event("save_failed", {{"step", step}, {"message", error.what()}});
    launch_->say(fmt::format("warning: step {} was not saved: {}", step, error.what()));
  }
  launch_->saved();
}

TrainSummary Run::finish(StopReason reason) {
  const TrainState& state = training_->state;
  TrainSummary summary;
  summary.steps = state.step;
  summary.tokens = state.tokens;
  summary.skipped = state.skipped;
  summary.resumed_from_step = resumed_from_step_;
  summary.final_loss = last_loss_;
  summary.noise_sequences = state.noise.sequences();
  summary.state_hash = training_->state_hash();
  summary.stop = reason;
  std::optional<TrainSummary> before;
  if (first() && reason == StopReason::finished && resumed_from_step_ == state.step)  // nothing was trained
    before = summary_of_finished_run(summary.state_hash);
  if (communicator_.agree(before.has_value()) != 0) return before.value_or(summary);
  save();
  if (reason == StopReason::finished && training_->has_heldout()) summary.validation = validate(0);  // the end is judged on all of the text
  if (!first()) return summary;
  nlohmann::json fields = event_fields(summary);
  if (reason == StopReason::signal) {
    fields["reason"] = "signal";
  } else if (reason == StopReason::guard) {
    fields["reason"] = fmt::format("{} updates in a row were skipped (guards.max_skipped_steps)", state.guards.skipped_in_a_row);
  }
  directory_->ledger().event(reason == StopReason::finished ? "finish" : "stop", fields);
  directory_->ledger().sync();
  // Whoever asked for this launch must not take it for done (or for preempted with a checkpoint) when its last steps are not on disk.
  if (directory_->saved_step() != state.step)
    throw Error(
        fmt::format("step {} could not be saved (see the warning above); the run's newest checkpoint is older. With room on the "
                    "disk, start the run again: it goes on from there",
                    state.step));
  return summary;
}

/// A run that had finished before this launch reports again what it reported then, if that was about the state that was loaded.
std::optional<TrainSummary> Run::summary_of_finished_run(const std::string& state_hash) const {
  try {
    std::optional<TrainSummary> summary = directory_->earlier_finish(state_hash);
    if (summary) summary->resumed_from_step = resumed_from_step_;
    return summary;
  } catch (const Error& error) {
    launch_->say(fmt::format("warning: {}; the end of the run is judged anew", error.what()));
    return std::nullopt;
  }
}

}  // namespace longhaul::train
