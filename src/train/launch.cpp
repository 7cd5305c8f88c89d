#include "train/launch.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "model/flops.h"
#include "train/evaluate.h"
#include "units/format.h"
#include "units/one_line.h"
#include "units/statistics.h"

namespace longhaul::train {
namespace {

using Clock = StepClock::Clock;

double seconds_since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

}  // namespace

Launch::Launch(const config::RunConfig& config, Console console, std::int64_t first_step)
    : config_(config), console_(std::move(console)), first_step_(first_step), meter_(config.run.directory) {
  const Clock::time_point now = Clock::now();
  last_save_ = now;
  last_line_ = now;
  first_step_ended_ = now;
}

double Launch::seconds_since_save() const { return seconds_since(last_save_); }

void Launch::complete(ledger::Timing& timing) {
  timing.memory_bytes = static_cast<std::uint64_t>(machine::resident().anonymous.value);
  timing.memory_peak_bytes = static_cast<std::uint64_t>(machine::resident_peak().value);
  if (const std::optional<machine::SystemSample> now = meter_.sample())
    timing.system = {now->process_processors, now->machine_busy, now->disk_free_bytes, now->disk_written_bytes, now->temperature_celsius};
  const Flops per_token = model::flops_per_token(config_.model, config_.batch.sequence_length);
  if (peak_flops) timing.mfu = model::mfu(per_token, timing.tokens_per_second, *peak_flops);
}

void Launch::show(const ledger::Record& record, bool due) {
  const ledger::Result& result = record.result;
  if (result.step == first_step_) first_step_ended_ = Clock::now();
  const std::string line = progress_line(record);
  const config::Cadence& every = config_.log.every;
  const bool stays = every.kind == config::Cadence::Kind::seconds ? seconds_since(last_line_) >= static_cast<double>(every.amount) : due;
  if (stays || result.validation_loss || result.step == config_.run.steps) {
    last_line_ = Clock::now();
    console_.say(line);
    if (const auto& passage = result.passage)
      console_.say(fmt::format("  {}|{}{}", one_line(config_.validation.prompt), one_line(passage->text),
                               passage->stop == "end_of_text" ? "  (ended by itself)" : " …"));
  } else {
    console_.live(line);
  }
}

std::string Launch::progress_line(const ledger::Record& record) const {
  const ledger::Result& result = record.result;
  // The first step of a launch touches every page: the pace is that of the steps after it.
  const double each = result.step > first_step_ ? seconds_since(first_step_ended_) / static_cast<double>(result.step - first_step_)
                                                : record.timing.step_seconds;
  const double left = each * static_cast<double>(config_.run.steps - result.step);
  std::string line = fmt::format("step {:>{}}/{}  loss {:.4f}  lr {:.2e}  |g| {:.3f}  {:.0f} tok/s", result.step,
                                 fmt::formatted_size("{}", config_.run.steps), config_.run.steps, result.loss, result.learning_rate,
                                 result.grad_norm_before_clip, record.timing.tokens_per_second);
  if (record.timing.mfu) line += fmt::format("  MFU {:.1f} %", 100 * *record.timing.mfu);
  line += fmt::format("  ETA {}", format(Seconds(left)));
  if (result.validation_loss) line += fmt::format("  held-out {:.4f} nats/token", *result.validation_loss);
  if (result.bits_per_byte) line += fmt::format(" {:.4f} bits/byte{}", *result.bits_per_byte, end_of_text_note(config_));
  return line;
}

std::vector<std::pair<std::string, nlohmann::json>> Launch::measure(std::int64_t step, Engine& engine) {
  const std::int64_t step_of_launch = step - first_step_ + 1;
  if (step_of_launch < 3 || step_of_launch > 10) return {};
  memory_growth_ = std::max(memory_growth_, machine::resident().anonymous - engine.resident_before_arena().anonymous);
  for (const auto& [name, seconds] : seconds_by_name(engine.step())) operation_seconds_[name].push_back(seconds);
  if (step_of_launch < 10) return {};
  nlohmann::json memory = {
      {"step", step}, {"arena_bytes", engine.arena().size().value}, {"arena_high_water_bytes", engine.arena().high_water().value}};
  // Ranks that are threads share one process, whose growth is of all of them.
  if (engine.communicator().ranks() == 1) memory["growth_bytes"] = memory_growth_.value;
  nlohmann::json medians;
  for (const auto& [name, seconds] : operation_seconds_) medians[name] = upper_median(seconds);
  return {{"memory", memory}, {"operations", {{"step", step}, {"seconds", medians}}}};
}

}  // namespace longhaul::train
