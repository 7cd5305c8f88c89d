#include "cluster_arguments.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <bit>
#include <numeric>

#include "console.h"
#include "evidence/own_runs.h"
#include "units/error.h"
#include "units/format.h"

namespace longhaul::app {
namespace {

/// Far above any run, and few enough that every product stays finite.
constexpr std::int64_t kMostTokens = 10'000'000'000'000'000;
/// Where a model is named and no batch: 4 Mi tokens a step, as Llama 1 to 3 begin with (arXiv 2302.13971 §2.3, 2307.09288 §2.2, 2407.21783
/// §3.4.1).
constexpr std::int64_t kUsualStep = 4 << 20;

}  // namespace

Tokens tokens_of(const char* option, const std::string& text) {
  const auto tokens = parse_count(text);
  if (!tokens || *tokens < 1 || *tokens > kMostTokens)
    throw UsageError(fmt::format("{} '{}': write a number of tokens like 300B or 1.5T, at most 10,000T", option, text));
  return Tokens(*tokens);
}

plan::SearchResult considered_layouts(const cost::RunShape& run, const cluster::Cluster& on, const cost::Calibration& calibration,
                                      const plan::Restriction& kept, const plan::Restriction& offered) {
  plan::check_framework(run.framework, calibration);
  const train::Console console = make_console();
  plan::SearchOptions options;
  constexpr double kUnknown = 1e18;  // bytes: everything fits a device whose memory nobody knows
  options.device_memory = on.accelerator.memory ? static_cast<double>(on.accelerator.memory->value) : kUnknown;
  options.progress = [&](std::size_t done, std::size_t all) {
    if (done % 1000 == 0) console.live(fmt::format("looked at {} of {} layouts", done, all));
  };
  plan::Restriction allowed = offered;
  for (const auto& [key, values] : kept)
    if (key != "dp") allowed[key] = values;  // dp follows from the others
  std::vector<cost::RunShape> shapes = plan::enumerate(run, plan::search_space(run, allowed));
  keep_only(shapes, kept);
  plan::SearchResult out = plan::search(std::move(shapes), calibration, options);
  if (kept.empty() || out.count(plan::Outcome::contradiction) < out.all.size()) return out;
  throw UsageError(fmt::format("no layout of {} devices can have {}{}", run.devices, to_text(kept),
                               out.all.empty() ? "" : fmt::format(", for example {}: {}", to_text(out.all[0].run), out.all[0].reason)));
}

std::string to_text(const plan::Restriction& kept) {
  std::string out;
  for (const auto& [key, values] : kept) out += fmt::format("{}{}={}", out.empty() ? "" : ",", key, fmt::join(values, "+"));
  return out;
}

void keep_only(std::vector<cost::RunShape>& shapes, const plan::Restriction& kept) {
  std::erase_if(shapes, [&](const cost::RunShape& run) {
    return std::any_of(kept.begin(), kept.end(),
                       [&](const auto& key) { return layout_value(run.layout, key.first) != key.second.front(); });
  });
}

plan::Restriction keys_given(const config::ResolvedConfig& resolved) {
  const program::Layout layout = program::layout_of(resolved.config.parallel);
  const auto origin = [&](std::string_view key) { return resolved.origins.at(fmt::format("parallel.{}", key)); };
  const auto given = [&](std::string_view key) { return origin(key) != "default" && !origin(key).starts_with("computed"); };
  const bool whole = given("dp") && given("tp") && given("pp") && given("cp");
  plan::Restriction out;
  for (const std::string_view key : program::layout_keys()) {
    const std::string value = layout_value(layout, key);
    const bool usual = whole && origin(key) != "--set" && value == layout_value(program::Layout{}, key);
    if (given(key) && !usual) out[std::string(key)] = {value};
  }
  return out;
}

LayoutChoice choose_layout(const std::string& layout, const config::ResolvedConfig& resolved) {
  LayoutChoice out{{}, keys_given(resolved)};
  const std::string kept = to_text(out.kept);
  const program::Layout in_file = program::layout_of(resolved.config.parallel);
  if (!layout.empty()) {
    if (!kept.empty()) fmt::print(stderr, "--layout replaces {} of [parallel] ({})\n", kept, resolved.label);
    return {program::parse_layout(layout), {}};
  }
  if (in_file.world() > 1) {
    fmt::print(stderr, "the layout is that of [parallel] ({}): {}\n", resolved.label, to_text(in_file));
    return {in_file, {}};
  }
  if (!kept.empty()) fmt::print(stderr, "every layout considered has {} of [parallel] ({})\n", kept, resolved.label);
  return out;
}

cost::RunShape fastest(const plan::SearchResult& considered, cost::RunShape run) {
  if (!considered.best.empty()) {
    run = considered.all[considered.best.front()].run;
    fmt::print(stderr, "no layout given: {}, the fastest of {} (`longhaul search` lists them)\n", to_text(run),
               format_count(static_cast<std::int64_t>(considered.all.size())));
    return run;
  }
  const auto least = std::min_element(considered.all.begin(), considered.all.end(), [](const auto& a, const auto& b) {
    const auto rank = [](const plan::Considered& c) { return std::pair(c.outcome != plan::Outcome::too_large, c.memory); };
    return rank(a) < rank(b);
  });
  if (least != considered.all.end() && least->outcome == plan::Outcome::too_large) {
    run = least->run;
    fmt::print(stderr, "no layout given, and none fits: {}, which needs the least memory (--explain devices_needed: how many hold it)\n",
               to_text(run));
  } else {  // contradictions alone: the forecast says which
    run.layout.dp = run.devices;
    run.layout.zero = run.devices > 1 ? 1 : 0;
  }
  return run;
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

std::int64_t usual_batch(std::int64_t sequence_length, const std::vector<int>& device_counts) {
  const auto usual = static_cast<std::uint64_t>(std::max<std::int64_t>(kUsualStep / sequence_length, 1));
  // Data parallelism of many sizes should divide it: a multiple of the devices, or of their odd part times a power of two where they are
  // more than the sequences; of several numbers of devices, of all while that is no more than a batch.
  std::uint64_t devices = 1;
  for (const int count : device_counts)
    if (const std::uint64_t both = std::lcm(devices, static_cast<std::uint64_t>(count)); devices == 1 || both <= usual) devices = both;
  const std::uint64_t odd = devices >> std::countr_zero(devices);
  const std::uint64_t unit = devices <= usual ? devices : odd * std::bit_floor(std::max<std::uint64_t>(usual / odd, 1));
  return static_cast<std::int64_t>((usual + unit - 1) / unit * unit);
}

config::ResolvedConfig ClusterArguments::resolve(const RunArguments& run, const std::vector<int>& device_counts) const {
  RunArguments with = run;
  // The budget decides the steps, and with them warm-up and decay.
  if (!tokens.empty()) with.sets.push_back(fmt::format("run.tokens={}", tokens_of("--tokens", tokens).value));
  config::ResolvedConfig resolved = with.resolve();
  const auto unset = [&](const char* option) { return resolved.origins.at(option) == "default"; };
  if (run.model.empty() || !unset("batch.global_batch")) return resolved;
  const std::int64_t sequence = resolved.config.batch.sequence_length;
  const std::int64_t batch = usual_batch(sequence, device_counts);
  with.sets.push_back(fmt::format("batch.global_batch={}", batch));
  fmt::print(stderr,
             "no batch given: {} sequences of {} tokens a step ({}); --set batch.global_batch=… and batch.sequence_length=… change it\n",
             batch, sequence, format(Tokens(batch * sequence)));
  config::ResolvedConfig out = config::resolve_model(run.model, with.sets);
  for (const std::string& warning : out.warnings)  // those of the first time were said then
    if (std::find(resolved.warnings.begin(), resolved.warnings.end(), warning) == resolved.warnings.end())
      fmt::print(stderr, "warning: {}\n", warning);
  return out;
}

cost::RunShape ClusterArguments::shape(const config::RunConfig& config, const cluster::Cluster& on) const {
  cost::RunShape shape;
  shape.model = config.model;
  shape.sequence_length = config.batch.sequence_length;
  shape.global_batch = config.batch.global_batch;
  shape.micro_batch = config.batch.micro_batch;
  shape.framework = framework;
  shape.precision = precision == "fp8" ? cost::Precision::fp8 : precision == "fp16" ? cost::Precision::fp16 : cost::Precision::bf16;
  plan::place(shape, on);
  return shape;
}

plan::JobFacts ClusterArguments::facts(const config::RunConfig& config, bool run_file) const {
  plan::JobFacts out;
  out.tokens = tokens.empty() ? Tokens(config.tokens_per_step() * config.run.steps) : tokens_of("--tokens", tokens);
  if (tokens.empty() && !run_file) fmt::print(stderr, "no --tokens: {}, 20 a parameter\n", format(out.tokens));
  if (price > 0) out.device_hours_price = price;
  if (mtbf_hours > 0) out.mtbf = Seconds(mtbf_hours * 3600);
  if (save_seconds > 0) out.save = Seconds(save_seconds);
  if (out.mtbf.has_value() != out.save.has_value())
    throw UsageError(fmt::format("{} without {}: how often to save follows from both", out.mtbf ? "--mtbf-hours" : "--save-seconds",
                                 out.mtbf ? "--save-seconds" : "--mtbf-hours"));
  if (out.mtbf && out.save && out.save->value >= out.mtbf->value)
    throw UsageError(
        fmt::format("--save-seconds = {} is not below --mtbf-hours = {}: most saves would meet a failure; save faster, or give the "
                    "hours between failures of the whole job",
                    save_seconds, mtbf_hours));
  return out;
}

cost::Calibration ClusterArguments::calibrate(const cluster::Cluster& on) const {
  cost::Calibration start = calibration.empty() ? cost::shipped_calibration() : cost::read_calibration(calibration);
  if (own_runs.empty()) return start;
  const train::Console console = make_console();
  evidence::FitOptions options;
  options.progress = [&](const std::string& said) { console.live(said); };
  const std::vector<evidence::MeasuredRun> rows = evidence::read_runs(own_runs).rows;
  const auto planned = [&](const evidence::MeasuredRun& row) {
    return row.shape.accelerator == on.accelerator.id && row.shape.framework == framework;
  };
  if (std::none_of(rows.begin(), rows.end(), planned))
    throw UsageError(
        fmt::format("--from-runs {}: no row is of {} on {}, so none says anything of this plan; give runs of both, or another --framework",
                    own_runs.string(), framework, on.accelerator.id));
  evidence::OwnRuns own = evidence::fit_own_runs(start, rows, options);
  fmt::print(stderr, "{}", evidence::to_text(own));
  return std::move(own.calibration);
}

}  // namespace longhaul::app
