#include "cluster_arguments.h"

#include <fmt/format.h>

#include <algorithm>

#include "console.h"
#include "files/csv.h"
#include "files/read.h"
#include "plan/own_runs.h"
#include "units/error.h"
#include "units/format.h"

namespace longhaul::app {
namespace {

/// Far above any run, and few enough that every product stays finite.
constexpr std::int64_t kMostTokens = 10'000'000'000'000'000;
constexpr std::uint64_t kMaxRunsBytes = 16u << 20;

}  // namespace

Tokens tokens_of(const char* option, const std::string& text) {
  const auto tokens = parse_count(text);
  if (!tokens || *tokens < 1 || *tokens > kMostTokens)
    throw UsageError(fmt::format("{} '{}': write a number of tokens like 300B or 1.5T, at most 10,000T", option, text));
  return Tokens(*tokens);
}

Option ClusterArguments::add_hardware_to(CommandLine& line) {
  const Option of =
      line.option("--cluster", cluster, "plan for NAME or NAMExDEVICES of the catalogue (`longhaul cluster list`), or of a file like its")
          .not_empty();
  const auto text = [&](const char* name, auto& value, const char* help) { return line.option(name, value, help).not_empty().needs(of); };
  const auto number = [&](const char* name, double& value, const char* help, double least, double most) {
    line.option(name, value, help).between(least, most).needs(of);
  };
  text("--framework", framework,
       "with --cluster: megatron-lm (default), megatron-deepspeed, nanotron, llm-foundry, torchtitan, or one of your calibration");
  text("--precision", precision, "with --cluster: bf16 (default), fp16, fp8").one_of({"bf16", "fp16", "fp8"});
  number("--price", price, "with --cluster: dollars a device-hour", 1e-6, 1e6);
  text("--calibration", calibration, "with --cluster: parameters, a file or a folder (default: examples/calibration)");
  text("--from-runs", own_runs,
       "with --cluster: a table of 3 to 10 runs of your own (columns: docs/formats.md); refits the hardware's parameters to them");
  return of;
}

Option ClusterArguments::add_to(CommandLine& line) {
  const Option of = add_hardware_to(line);
  line.option("--tokens", tokens, "with --cluster: of the whole run, 300B or 1.5T (default: the run file's)").not_empty().needs(of);
  return of;
}

plan::RunShape ClusterArguments::shape(const config::RunConfig& config, const cluster::Cluster& on) const {
  plan::RunShape shape;
  shape.model = config.model;
  shape.sequence_length = config.batch.sequence_length;
  shape.global_batch = config.batch.global_batch;
  shape.micro_batch = config.batch.micro_batch;
  shape.framework = framework;
  shape.precision = precision == "fp8" ? plan::Precision::fp8 : precision == "fp16" ? plan::Precision::fp16 : plan::Precision::bf16;
  plan::place(shape, on);
  return shape;
}

plan::JobFacts ClusterArguments::facts(const config::RunConfig& config) const {
  plan::JobFacts out;
  out.tokens = tokens.empty() ? Tokens(config.tokens_per_step() * config.run.steps) : tokens_of("--tokens", tokens);
  if (price > 0) out.device_hours_price = price;
  if (mtbf_hours > 0) out.mtbf = Seconds(mtbf_hours * 3600);
  if (save_seconds > 0) out.save = Seconds(save_seconds);
  if (out.mtbf && out.save && out.save->value >= out.mtbf->value)
    throw UsageError(
        fmt::format("--save-seconds = {} is not below --mtbf-hours = {}: most saves would meet a failure; save faster, or give the "
                    "hours between failures of the whole job",
                    save_seconds, mtbf_hours));
  return out;
}

plan::Calibration ClusterArguments::calibrate(const cluster::Cluster& on) const {
  plan::Calibration start = calibration.empty() ? plan::shipped_calibration() : plan::read_calibration(calibration);
  if (own_runs.empty()) return start;
  const train::Console console = make_console();
  plan::FitOptions options;
  options.progress = [&](const std::string& said) { console.live(said); };
  const auto rows = plan::read_runs(files::Csv::parse(files::read_file(own_runs, kMaxRunsBytes), own_runs.string()));
  const auto planned = [&](const plan::MeasuredRun& row) {
    return row.shape.accelerator == on.accelerator.id && row.shape.framework == framework;
  };
  if (std::none_of(rows.begin(), rows.end(), planned))
    throw UsageError(
        fmt::format("--from-runs {}: no row is of {} on {}, so none says anything of this plan; give runs of both, or another --framework",
                    own_runs.string(), framework, on.accelerator.id));
  plan::OwnRuns own = plan::fit_own_runs(start, rows, options);
  fmt::print(stderr, "{}", plan::to_text(own));
  return std::move(own.calibration);
}

}  // namespace longhaul::app
