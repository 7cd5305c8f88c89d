// longhaul bench step: speed and memory of whole optimizer steps on random tokens, against the peak measured in the same run.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <nlohmann/json.hpp>

#include "command_line.h"
#include "console.h"
#include "data/loader.h"
#include "kernels/product/peak.h"
#include "machine/quiet_clock.h"
#include "model/flops.h"
#include "run_arguments.h"
#include "run_plan.h"
#include "train/engine.h"
#include "units/format.h"
#include "units/statistics.h"
#include "verbs.h"

namespace longhaul::app {
namespace {

struct StepMeasurement {
  double median_seconds = 0;
  double quiet_seconds = 0;               ///< likewise without the time in which a thread had no processor (machine/quiet_clock.h)
  double clock_seconds = 0;               ///< what a reading of the quiet clock takes; a step has two
  Bytes growth;                           ///< RssAnon over steps 3 on, minus before the arena (accounting G)
  std::map<std::string, double> seconds;  ///< by operation, summed over layers and micro-batches, of the fastest step
};

StepMeasurement measure_steps(train::Engine& engine, int steps, const train::Console& console) {
  using Clock = std::chrono::steady_clock;
  const config::RunConfig& config = engine.config();
  engine.initialise();
  StepMeasurement result;
  std::vector<double> times, quiet_times;
  machine::QuietClock quiet(engine.context().pool.threads());
  result.clock_seconds = quiet.reading_seconds();
  for (int i = 0; i < steps + 2; ++i) {  // two steps touch every page and warm the caches
    const data::Batch batch = data::synthetic_batch(static_cast<std::uint64_t>(config.run.seed), config.model.vocab,
                                                    i * config.batch.global_batch, config.batch.global_batch, config.batch.sequence_length);
    quiet.start();
    const auto start = Clock::now();
    train::Executor& executor = engine.step();
    executor.gradients(batch);
    executor.gradient_norm();
    const config::OptimizerTable& o = config.optimizer;
    executor.update({o.learning_rate, o.beta1, o.beta2, o.epsilon, o.weight_decay, 1.0, o.ema_beta, i + 1});
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    const double quiet_seconds = quiet.seconds();
    console.live(fmt::format("step {} of {}: {}", i + 1, steps + 2, format(Seconds(seconds))));
    if (i < 2) continue;
    result.growth = std::max(result.growth, machine::resident().anonymous - engine.resident_before_arena().anonymous);
    if (times.empty() || seconds < *std::min_element(times.begin(), times.end())) result.seconds = train::seconds_by_name(executor);
    times.push_back(seconds);
    quiet_times.push_back(quiet_seconds);
  }
  result.median_seconds = upper_median(times);
  result.quiet_seconds = upper_median(quiet_times);
  return result;
}

}  // namespace

int verb_bench(int argc, char** argv) {
  CommandLine line("longhaul bench",
                   "bench step: tokens/s, MFU and peak memory of whole optimizer steps on random tokens; needs no data.\n"
                   "Example: longhaul bench step --model gpt2-124m --set batch.micro_batch=4 --set batch.global_batch=4 --json");
  CommandLine step = line.verb("step", "measure optimizer steps");
  RunArguments arguments;
  arguments.add_to(step);
  int steps = 8;
  step.option("--steps", steps, "steps to measure after two that warm up (default 8)").positive();
  if (const std::optional<int> code = line.parse(argc, argv)) return *code;

  const config::RunConfig config = arguments.resolve_for_one_rank().config;
  warn_of_threads(config);
  const train::Console console = make_console();
  train::Engine engine(config);
  const StepMeasurement m = measure_steps(engine, steps, console);
  const double peak = kernels::matmul_peak(engine.context());
  const double tokens_per_second = static_cast<double>(config.tokens_per_step()) / m.median_seconds;
  const Flops per_token = model::flops_per_token(config.model, config.batch.sequence_length);
  const double mfu = model::mfu(per_token, tokens_per_second, peak);
  console.say(fmt::format("{}, {}, {} threads; median of {} steps", kernels::name(engine.context().order),
                          kernels::name(engine.context().family), engine.context().pool.threads(), steps));
  if (arguments.json) {
    const nlohmann::json out = {{"tokens_per_s", tokens_per_second},
                                {"step_seconds", m.median_seconds},
                                {"quiet_step_seconds", m.quiet_seconds},
                                {"clock_reading_seconds", m.clock_seconds},
                                {"mfu_measured_peak", mfu},
                                {"peak_flops", peak},
                                {"peak_memory_bytes", m.growth.value},
                                {"arena_bytes", engine.arena().size().value},
                                {"arena_high_water_bytes", engine.arena().high_water().value},
                                {"order", kernels::name(engine.context().order)},
                                {"family", kernels::name(engine.context().family)},
                                {"threads", engine.context().pool.threads()},
                                {"operation_seconds", m.seconds}};
    print_json(out);
    return 0;
  }
  fmt::print("{:.1f} tokens/s, {} a step, MFU {:.1f} % of {} (register-only, measured now)\n", tokens_per_second,
             format(Seconds(m.median_seconds)), 100 * mfu, format_flops_rate(peak));
  if (m.quiet_seconds < 0.95 * m.median_seconds)
    fmt::print("the machine is shared: {} a step without the time in which threads waited for a processor\n",
               format(Seconds(m.quiet_seconds)));
  fmt::print("clock: {} a reading, two a step\n", format(Seconds(m.clock_seconds)));
  fmt::print("memory: grew by {}, arena {} (high-water mark {})\n", format(m.growth), format(engine.arena().size()),
             format(engine.arena().high_water()));
  std::vector<std::pair<double, std::string>> rows;
  for (const auto& [name, seconds] : m.seconds) rows.emplace_back(seconds, name);
  std::sort(rows.rbegin(), rows.rend());
  for (const auto& [seconds, name] : rows)
    fmt::print("  {:<18} {:>10}  {:4.1f} %\n", name, format(Seconds(seconds)), 100 * seconds / m.median_seconds);
  return 0;
}

}  // namespace longhaul::app
