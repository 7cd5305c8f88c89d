// The launch as a person follows it: progress line, summary.
#include <fmt/format.h>

#include "files/read.h"
#include "train/run.h"
#include "units/error.h"
#include "units/format.h"

namespace longhaul::train {

std::string Run::progress_line(const ledger::Record& record) const {
  // The first step of a launch touches every page: the pace is that of the steps after it.
  const std::int64_t first = resumed_from_step_.value_or(0) + 1;
  const double since_first = std::chrono::duration<double>(StepClock::Clock::now() - first_step_ended_).count();
  const double each = state.step > first ? since_first / static_cast<double>(state.step - first) : record.timing.step_seconds;
  const double left = each * static_cast<double>(config_.run.steps - state.step);
  std::string line = fmt::format("step {:>{}}/{}  loss {:.4f}  lr {:.2e}  |g| {:.3f}  {:.0f} tok/s", state.step,
                                 fmt::formatted_size("{}", config_.run.steps), config_.run.steps, record.result.loss,
                                 record.result.learning_rate, record.result.grad_norm_before_clip, record.timing.tokens_per_second);
  if (peak_flops > 0) line += fmt::format("  MFU {:.1f} %", 100 * record.timing.mfu);
  line += fmt::format("  ETA {}", format(Seconds(left)));
  if (record.result.validation_loss) line += fmt::format("  held-out {:.4f} nats/token", *record.result.validation_loss);
  if (record.result.bits_per_byte) line += fmt::format(" {:.4f} bits/byte", *record.result.bits_per_byte);
  return line;
}

void Run::show(const ledger::Record& record) {
  const std::string line = progress_line(record);
  const config::Cadence& every = config_.log.every;
  const bool stays = every.kind == config::Cadence::Kind::seconds
                         ? std::chrono::duration<double>(StepClock::Clock::now() - last_line_).count() >= static_cast<double>(every.amount)
                         : due(every);
  if (stays || record.result.validation_loss || state.step == config_.run.steps) {
    last_line_ = StepClock::Clock::now();
    console_.say(line);
  } else {
    console_.live(line);
  }
}

TrainSummary Run::finish(StopReason reason) {
  TrainSummary summary;
  const bool nothing_trained = resumed_from_step_ == state.step;
  if (reason == StopReason::finished && nothing_trained)
    if (const std::optional<TrainSummary> before = summary_of_finished_run()) return *before;
  save();
  summary.steps = state.step;
  summary.tokens = state.tokens;
  summary.skipped = state.skipped;
  summary.resumed_from_step = resumed_from_step_;
  summary.final_loss = last_loss_;
  summary.state_hash = state_hash();
  summary.stop = reason;
  nlohmann::json fields = {{"steps", summary.steps},
                           {"tokens", summary.tokens},
                           {"skipped", summary.skipped},
                           {"state_hash", summary.state_hash},
                           {"final_loss", summary.final_loss}};
  if (reason == StopReason::finished && has_heldout()) summary.validation = validate(0);  // the end is judged on all of the text
  if (summary.validation) {
    fields["validation"] = {{"loss", summary.validation->loss}, {"targets", summary.validation->targets}};
    if (summary.validation->bits_per_byte) fields["validation"]["bits_per_byte"] = *summary.validation->bits_per_byte;
  }
  if (reason == StopReason::signal) {
    fields["reason"] = "signal";
  } else if (reason == StopReason::guard) {
    fields["reason"] = fmt::format("{} updates in a row were skipped (guards.max_skipped_steps)", state.guards.skipped_in_a_row);
  }
  ledger_->event(reason == StopReason::finished ? "finish" : "stop", fields);
  ledger_->sync();
  // Whoever asked for this launch must not take it for done (or for preempted with a checkpoint) when its last steps are not on disk.
  if (saved_step_ != state.step)
    throw Error(
        fmt::format("step {} could not be saved (see the warning above); the run's newest checkpoint is older. With room on the "
                    "disk, start the run again: it goes on from there",
                    state.step));
  return summary;
}

/// A run that had finished before this launch says again what it said then, if the state it said it of is the one that was loaded.
std::optional<TrainSummary> Run::summary_of_finished_run() {
  std::vector<nlohmann::json> events;
  try {
    events = ledger::read_events(std::filesystem::path(config_.run.directory) / "ledger" / "events.jsonl");
  } catch (const Error& error) {
    console_.say(fmt::format("warning: {}; the end of the run is judged anew", error.what()));
    return std::nullopt;
  }
  const std::string hash = state_hash();
  for (auto event = events.rbegin(); event != events.rend(); ++event) {
    if (event->value("kind", "") != "finish" || event->value("state_hash", "") != hash) continue;
    TrainSummary summary;
    summary.steps = event->at("steps").get<std::int64_t>();
    summary.tokens = event->at("tokens").get<std::int64_t>();
    summary.skipped = event->at("skipped").get<std::int64_t>();
    summary.resumed_from_step = resumed_from_step_;
    summary.final_loss = files::json_double(event->at("final_loss"));
    summary.state_hash = hash;
    summary.stop = StopReason::finished;
    if (event->contains("validation")) {
      const nlohmann::json& said = event->at("validation");
      summary.validation = Evaluation{files::json_double(said.at("loss")), said.at("targets").get<std::int64_t>(), {}};
      if (said.contains("bits_per_byte")) summary.validation->bits_per_byte = files::json_double(said.at("bits_per_byte"));
    }
    return summary;
  }
  return std::nullopt;
}

}  // namespace longhaul::train
