// longhaul train: trains a run, or resumes it from its newest verified checkpoint.
#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "command_line.h"
#include "console.h"
#include "files/disk.h"
#include "machine.h"
#include "run_arguments.h"
#include "train/loop.h"
#include "train/stop.h"
#include "units/format.h"
#include "verbs.h"

namespace longhaul::app {
namespace {

nlohmann::json to_json(const train::TrainSummary& s) {
  nlohmann::json out = {
      {"steps", s.steps}, {"tokens", s.tokens}, {"skipped", s.skipped}, {"final_loss", s.final_loss}, {"state_hash", s.state_hash}};
  out["stop"] = s.stop == train::StopReason::signal ? "signal" : s.stop == train::StopReason::guard ? "guard" : "finished";
  out["resumed_from_step"] = s.resumed_from_step ? nlohmann::json(*s.resumed_from_step) : nlohmann::json();
  out["validation_loss"] = s.validation ? nlohmann::json(s.validation->loss) : nlohmann::json();
  out["bits_per_byte"] = s.validation && s.validation->bits_per_byte ? nlohmann::json(*s.validation->bits_per_byte) : nlohmann::json();
  return out;
}

std::string to_text(const train::TrainSummary& s, std::int64_t steps) {
  std::string out;
  if (s.stop == train::StopReason::signal)
    out = fmt::format("stopped by a signal at step {} of {}; saved: the same command goes on\n", s.steps, steps);
  if (s.stop == train::StopReason::guard) out = fmt::format("stopped by a guard at step {} of {}\n", s.steps, steps);
  out += fmt::format("{} steps, {}", s.steps, format(Tokens(s.tokens)));
  if (s.steps > 0)
    out += fmt::format(", {} loss {:.4f} nats/token", s.stop == train::StopReason::finished ? "final" : "last", s.final_loss);
  if (s.validation) out += fmt::format(", held-out {:.4f} nats/token", s.validation->loss);
  if (s.validation && s.validation->bits_per_byte) out += fmt::format(", {:.4f} bits/byte", *s.validation->bits_per_byte);
  return out + fmt::format("\nstate {}\n", s.state_hash);
}

/// Defaults that follow from other options but are fixed for a run's life are taken from its own run.toml: V (numerics contract), and the
/// warm-up of schedules that do not know the run's length, so that run.steps may grow.
config::ResolvedConfig resolve_run(RunArguments& arguments) {
  config::ResolvedConfig resolved = arguments.resolve();
  const std::filesystem::path path = std::filesystem::path(resolved.config.run.directory) / "run.toml";
  if (!std::filesystem::exists(path)) return resolved;
  const config::RunConfig kept = config::resolve_file(path.string()).config;
  const std::size_t before = arguments.sets.size();
  const auto keep = [&](const std::string& option, std::int64_t now, std::int64_t then) {
    if (now == then || !resolved.origins.at(option).starts_with("computed")) return;
    complain(fmt::format("{} = {} is kept from {}, where the run began", option, then, path.string()));
    arguments.sets.push_back(fmt::format("{}={}", option, then));
  };
  keep("batch.virtual_ranks", resolved.config.batch.virtual_ranks, kept.batch.virtual_ranks);
  const config::ScheduleKind kind = resolved.config.schedule.kind;
  if (kind == config::ScheduleKind::constant || kind == config::ScheduleKind::inverse_sqrt)
    keep("schedule.warmup_steps", resolved.config.schedule.warmup_steps, kept.schedule.warmup_steps);
  return arguments.sets.size() == before ? resolved : arguments.resolve();
}

int exit_code(train::StopReason reason) {
  switch (reason) {
    case train::StopReason::signal:
      return static_cast<int>(ExitCode::preempted);
    case train::StopReason::guard:
      return static_cast<int>(ExitCode::stopped_by_guard);
    default:
      return static_cast<int>(ExitCode::done);
  }
}

}  // namespace

int verb_train(int argc, char** argv) {
  CommandLine line("longhaul train",
                   "Trains a run, or resumes it from its newest verified checkpoint. SIGTERM saves and exits with 75 (requeue me).\n"
                   "Example: longhaul train examples/demo.toml\n"
                   "         longhaul train examples/demo.toml --set run.directory=/tmp/run --set run.steps=40 --json");
  RunArguments arguments;
  arguments.add_to(line);
  if (const std::optional<int> code = line.parse(argc, argv)) return *code;

  const config::ResolvedConfig resolved = resolve_run(arguments);
  warn_of_threads(resolved.config);
  train::watch_stop_signals();
  train::Run run(resolved, make_console());
  const plan::Account account = account_of(resolved.config, profile_of_run(resolved.config, make_console().live));
  files::write_file_atomically(files::Disk(), run.directory() / "plan.json", plan::to_json(account).dump(2) + "\n");
  run.launch().peak_flops = account.time->peak_flops;
  const train::TrainSummary summary = train::train(run);
  if (arguments.json)
    print_json(to_json(summary));
  else
    fmt::print("{}", to_text(summary, resolved.config.run.steps));
  return exit_code(summary.stop);
}

}  // namespace longhaul::app
