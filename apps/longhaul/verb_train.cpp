// longhaul train: trains a run, or resumes it from its newest verified checkpoint.
#include <fmt/format.h>

#include <filesystem>
#include <iostream>
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
  out["resumed_from_step"] = s.resumed_from_step ? nlohmann::json(*s.resumed_from_step) : nlohmann::json();
  out["validation_loss"] = s.validation ? nlohmann::json(s.validation->loss) : nlohmann::json();
  out["bits_per_byte"] = s.validation && s.validation->bits_per_byte ? nlohmann::json(*s.validation->bits_per_byte) : nlohmann::json();
  return out;
}

std::string to_text(const train::TrainSummary& s) {
  std::string out = fmt::format("{} steps, {}, final loss {:.4f} nats/token", s.steps, format(Tokens(s.tokens)), s.final_loss);
  if (s.validation) out += fmt::format(", held-out {:.4f} nats/token", s.validation->loss);
  if (s.validation && s.validation->bits_per_byte) out += fmt::format(", {:.4f} bits/byte", *s.validation->bits_per_byte);
  return out + fmt::format("\nstate {}\n", s.state_hash);
}

/// V is chosen once: a default that another micro-batch would change is taken from the run's own run.toml (numerics contract).
config::ResolvedConfig resolve_run(RunArguments& arguments) {
  config::ResolvedConfig resolved = arguments.resolve();
  const std::filesystem::path kept = std::filesystem::path(resolved.config.run.directory) / "run.toml";
  if (!resolved.origins.at("batch.virtual_ranks").starts_with("computed") || !std::filesystem::exists(kept)) return resolved;
  const std::int64_t virtual_ranks = config::resolve_file(kept.string()).config.batch.virtual_ranks;
  if (virtual_ranks == resolved.config.batch.virtual_ranks) return resolved;
  fmt::print(stderr, "batch.virtual_ranks = {} is kept from {}: it is part of the summation order\n", virtual_ranks, kept.string());
  arguments.sets.push_back(fmt::format("batch.virtual_ranks={}", virtual_ranks));
  return arguments.resolve();
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
  train::watch_stop_signals();
  train::Run run(resolved, make_console());
  const plan::Account account = account_of(resolved.config, profile_of_run(resolved.config));
  files::write_file_atomically(files::Disk(), std::filesystem::path(run.directory()) / "plan.json", plan::to_json(account).dump(2) + "\n");
  run.peak_flops = account.time->peak_flops;
  const train::TrainSummary summary = train::train(run);
  if (arguments.json)
    std::cout << to_json(summary).dump(2) << '\n';
  else
    fmt::print("{}", to_text(summary));
  return exit_code(summary.stop);
}

}  // namespace longhaul::app
