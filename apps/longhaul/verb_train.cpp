// longhaul train: trains a run, or resumes it from its newest verified checkpoint.
#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>

#include "command_line.h"
#include "console.h"
#include "machine/measure.h"
#include "run_arguments.h"
#include "run_plan.h"
#include "train/loop.h"
#include "train/ranks.h"
#include "train/stop.h"
#include "units/format.h"
#include "verbs.h"

namespace longhaul::app {
namespace {

nlohmann::json to_json(const train::TrainSummary& s) {
  nlohmann::json out = {
      {"steps", s.steps}, {"tokens", s.tokens}, {"skipped", s.skipped}, {"final_loss", s.final_loss}, {"state_hash", s.state_hash}};
  out["noise_scale_sequences"] = s.noise_sequences ? nlohmann::json(*s.noise_sequences) : nlohmann::json();
  out["stop"] = s.stop == train::StopReason::signal ? "signal" : s.stop == train::StopReason::guard ? "guard" : "finished";
  out["resumed_from_step"] = s.resumed_from_step ? nlohmann::json(*s.resumed_from_step) : nlohmann::json();
  out["validation_loss"] = s.validation ? nlohmann::json(s.validation->loss) : nlohmann::json();
  out["bits_per_byte"] = s.validation && s.validation->bits_per_byte ? nlohmann::json(*s.validation->bits_per_byte) : nlohmann::json();
  return out;
}

/// The gradient noise scale, which suggests a batch (accounting A8).
std::string noise_line(const train::TrainSummary& s, const config::RunConfig& config) {
  if (config.batch.virtual_ranks < 2) return "gradient noise scale: not available, it needs batch.virtual_ranks of at least 2\n";
  if (!s.noise_sequences) return "gradient noise scale: not available yet, the mean gradient is below its noise\n";
  const Tokens tokens(std::llround(*s.noise_sequences * static_cast<double>(config.batch.sequence_length)));
  return fmt::format("gradient noise scale {:.3g} sequences ({}): the critical batch that it suggests; batch.global_batch = {}\n",
                     *s.noise_sequences, format(tokens), config.batch.global_batch);
}

std::string to_text(const train::TrainSummary& s, const config::RunConfig& config) {
  const std::int64_t steps = config.run.steps;
  std::string out;
  if (s.stop == train::StopReason::signal)
    out = fmt::format("stopped by a signal at step {} of {}; saved: the same command goes on\n", s.steps, steps);
  if (s.stop == train::StopReason::guard) out = fmt::format("stopped by a guard at step {} of {}\n", s.steps, steps);
  out += fmt::format("{} steps, {}", s.steps, format(Tokens(s.tokens)));
  if (s.steps > 0)
    out += fmt::format(", {} loss {:.4f} nats/token", s.stop == train::StopReason::finished ? "final" : "last", s.final_loss);
  if (s.validation) out += fmt::format(", held-out {:.4f} nats/token", s.validation->loss);
  if (s.validation && s.validation->bits_per_byte) {
    out += fmt::format(", {:.4f} bits/byte{}", *s.validation->bits_per_byte, train::end_of_text_note(config));
  }
  out += '\n' + noise_line(s, config);
  return out + fmt::format("state {}\n", s.state_hash);
}

/// Micro-batches that V virtual ranks divide: divisors of the global batch.
std::string micro_batches_of(std::int64_t global_batch, std::int64_t virtual_ranks) {
  std::vector<std::int64_t> allowed;
  for (std::int64_t size = 1; size <= global_batch; ++size)
    if (global_batch % size == 0 && global_batch / size % virtual_ranks == 0) allowed.push_back(size);
  return fmt::format("{}", fmt::join(allowed, ", "));
}

[[noreturn]] void refuse_micro_batch(const config::ResolvedConfig& resolved, std::int64_t virtual_ranks) {
  const config::BatchTable& batch = resolved.config.batch;
  const std::int64_t count = resolved.config.micro_batches();
  throw UsageError(fmt::format("{}batch.micro_batch = {} makes {} of a step, which the run's {} virtual ranks do not divide; allowed: {}",
                               config::place(resolved, "batch.micro_batch"), batch.micro_batch,
                               count == 1 ? "1 micro-batch" : fmt::format("{} micro-batches", count), virtual_ranks,
                               micro_batches_of(batch.global_batch, virtual_ranks)));
}

/// Values that follow from others where the run file leaves them out, yet are fixed once a run has begun, are those of the checkpoint that
/// it goes on from: V (numerics contract), which the size of a micro-batch must not change, and the warm-up, so that run.steps may grow.
config::ResolvedConfig resolve_run(RunArguments& arguments, const train::Origin& origin) {
  config::ResolvedConfig resolved = arguments.resolve_for_training();
  const std::filesystem::path directory = resolved.config.run.directory;
  const std::optional<checkpoint::RunIdentity> before = train::predecessor(directory, origin.branch);
  if (!before) return resolved;
  std::map<std::string, std::string> settings = checkpoint::settings(before->config_text);
  const std::size_t given = arguments.sets.size();
  const auto keep = [&](const std::string& option, std::int64_t now) {
    const std::string& then = settings[option];
    if (then.empty() || then == std::to_string(now) || !resolved.origins.at(option).starts_with("computed")) return;
    complain(fmt::format("{} = {} is kept, as the run began", option, then));
    arguments.sets.push_back(fmt::format("{}={}", option, then));
  };
  const config::BatchTable& batch = resolved.config.batch;
  if (settings["batch.global_batch"] == std::to_string(batch.global_batch)) {
    const std::int64_t ranks = parse_count(settings["batch.virtual_ranks"]).value_or(batch.virtual_ranks);
    if (ranks < 1)
      throw CheckpointError(
          fmt::format("{}: the newest checkpoint says batch.virtual_ranks = {}, which no run can have", directory.string(), ranks));
    const bool divides = resolved.config.micro_batches() % ranks == 0;
    if (divides)
      keep("batch.virtual_ranks", batch.virtual_ranks);
    else if (resolved.origins.at("batch.virtual_ranks").starts_with("computed") && !checkpoint::list_commits(directory).empty())
      refuse_micro_batch(resolved, ranks);  // a branch that has still to begin may have another V
  }
  keep("schedule.warmup_steps", resolved.config.schedule.warmup_steps);
  return arguments.sets.size() == given ? resolved : arguments.resolve_for_training();
}

/// How a launch ended, and what the plan of its run still lacks.
struct Trained {
  train::TrainSummary summary;
  std::int64_t launch = 0;
  double seconds = 0;  ///< of its steps
  bool measured = false;
};

/// Trains one rank's part, with the plan that the kept profile gives, or with one that has no time: nothing is measured here.
void train_rank(const config::ResolvedConfig& resolved, const train::Origin& origin, const train::Console& console,
                std::int64_t traced_step, comm::Communicator& communicator, Trained& trained) {
  const config::RunConfig& config = resolved.config;
  train::Run run(resolved, communicator, console, origin);
  run.trace_step(traced_step);
  if (!run.first()) {
    (void)train::train(run);
    return;
  }
  const program::Program& step = run.training().engine.step().program();
  const machine::Combination what = combination_of(config);
  std::optional<cluster::Profile> profile = machine::ProfileCache().read(what);
  // Of all ranks; known also where the profile lacks kernels of this model.
  if (profile) run.launch().peak_flops = rates_of_run(*profile, config).peak_flops * communicator.ranks();
  if (profile && !machine::knows(*profile, what, calls_of(config, step))) profile.reset();
  run.launch().plan =
      keep_plan(run.directory(), run.launch_number(), account_of(config, step, run.training().engine.arena().size(), profile));
  const auto begin = std::chrono::steady_clock::now();
  const train::TrainSummary summary = train::train(run);
  trained = {summary, run.launch_number(), std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count(),
             profile.has_value()};
}

Trained train_run(const config::ResolvedConfig& resolved, const train::Origin& origin, const train::Console& console,
                  std::int64_t traced_step) {
  Trained trained;
  train::run_ranks(program::layout_of(resolved.config.parallel), train::thread_count(resolved.config),
                   [&](comm::Communicator& communicator) { train_rank(resolved, origin, console, traced_step, communicator, trained); });
  return trained;
}

/// The plan of a run that was trained without a profile: its kernels measured in at most 1 % of the time that training took. Nothing where
/// that is too little, or a signal asks to stop.
void measure_afterwards(const config::RunConfig& config, const Trained& trained, const train::Console& console) {
  const auto begin = std::chrono::steady_clock::now();
  const auto enough = [&] {
    return train::stop_signal() != 0 ||
           std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count() > trained.seconds / 100;
  };
  const machine::ProfileCache cache;
  const machine::Combination what = combination_of(config);
  const program::Program step = step_of_run(config);
  const std::vector<cluster::KernelCall> calls = calls_of(config, step);
  if (machine::missing_time(cache, what, calls).value > trained.seconds / 100) return;
  console.begin("measuring kernels for the plan");
  const cluster::Profile profile = machine::measured_profile(cache, what, calls, machine::Measure::what_is_missing, {console.live, enough});
  if (!machine::knows(profile, what, calls)) return;
  const std::string name = keep_plan(config.run.directory, trained.launch, account_of(config, step, arena_of_run(config, step), profile));
  console.say(fmt::format("kernels measured: {} has the plan's time", name));
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
  CommandLine line(
      "longhaul train",
      "Trains a run, or resumes it from its newest verified checkpoint. SIGTERM saves and exits with 75 (requeue me).\n"
      "Guards, the cadence of validation and (while the schedule so far stays the same) run.steps may change on the way; other\n"
      "settings change in a run of its own, with --branch-from.\n"
      "Example: longhaul train examples/demo.toml\n"
      "         longhaul train examples/demo.toml --set run.directory=/tmp/run --set run.steps=40 --json\n"
      "         longhaul train examples/demo.toml --ranks 2\n"
      "         longhaul train lower-rate.toml --branch-from demo-run/run");
  RunArguments arguments;
  arguments.add_to(line);
  RanksArguments ranks;
  ranks.add_to(line);
  std::string branch_from;
  std::int64_t from_step = -1, traced_step = 0;
  const Option branch = line.option("--branch-from", branch_from,
                                    "RUN[@STEP]: begin a new run from a checkpoint (the newest) of that run directory or run file; the "
                                    "model stays. The same command resumes it")
                            .not_empty();
  line.option("--from-step", from_step,
              "go back to the checkpoint of this step, once. The later ones become an older generation, which stays until the run has "
              "checkpoint.keep_last newer ones. Leave it out to go on")
      .non_negative()
      .excludes(branch);
  line.option("--trace", traced_step,
              "write this step's measured timeline, a lane for each rank, to trace-STEP.json in the run's directory")
      .positive();
  if (const std::optional<int> code = line.parse(argc, argv)) return *code;

  train::Origin origin;
  if (!branch_from.empty()) origin.branch = train::parse_branch(branch_from);
  if (from_step >= 0) origin.from_step = from_step;
  ranks.apply(arguments);
  const config::ResolvedConfig resolved = resolve_run(arguments, origin);
  warn_of_threads(resolved.config);
  train::watch_stop_signals();
  const train::Console console = make_console();
  const Trained trained = train_run(resolved, origin, console, traced_step);
  if (arguments.json)
    print_json(to_json(trained.summary));
  else
    fmt::print("{}", to_text(trained.summary, resolved.config));
  if (!trained.measured && trained.summary.stop == train::StopReason::finished && everything_printed())
    measure_afterwards(resolved.config, trained, console);
  return exit_code(trained.summary.stop);
}

}  // namespace longhaul::app
