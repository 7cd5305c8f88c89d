// longhaul plan: the account of a run before it starts, on this machine or on a cluster of the catalogue.
#include <fmt/format.h>

#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>

#include "command_line.h"
#include "data/manifest.h"
#include "files/disk.h"
#include "machine.h"
#include "plan/explain.h"
#include "plan/forecast.h"
#include "plan/trace.h"
#include "run_arguments.h"
#include "units/error.h"
#include "units/format.h"
#include "verbs.h"

namespace longhaul::app {
namespace {

/// Far above any run, and few enough that every product stays finite.
constexpr std::int64_t kMostTokens = 10'000'000'000'000'000;

/// Options that matter with --cluster alone.
struct ClusterArguments {
  std::string cluster, layout, tokens, trace, framework = "megatron-lm", precision = "bf16";
  double price = 0, mtbf_hours = 0, save_seconds = 0;

  void add_to(CommandLine& line) {
    const Option of =
        line.option(
                "--cluster", cluster,
                "plan for NAME or NAMExDEVICES of the catalogue (`longhaul cluster list`), or of a file like its, instead of this machine")
            .not_empty();
    const auto text = [&](const char* name, std::string& value, const char* help) {
      return line.option(name, value, help).not_empty().needs(of);
    };
    const auto number = [&](const char* name, double& value, const char* help, double least, double most) {
      line.option(name, value, help).between(least, most).needs(of);
    };
    text("--layout", layout, "with --cluster: dp=8,tp=4,pp=2,zero=1 …; default: dp = all devices, zero=1");
    text("--tokens", tokens, "with --cluster: of the whole run, 300B or 1.5T (default: the run file's)");
    text("--framework", framework,
         "with --cluster: megatron-lm (default), megatron-deepspeed, nanotron, llm-foundry, torchtitan, or one of your calibration");
    text("--precision", precision, "with --cluster: bf16 (default), fp16, fp8").one_of({"bf16", "fp16", "fp8"});
    number("--price", price, "with --cluster: dollars a device-hour", 1e-6, 1e6);
    number("--mtbf-hours", mtbf_hours, "with --cluster: mean hours between failures of the whole job", 0.01, 1e7);
    number("--save-seconds", save_seconds, "with --cluster: seconds a checkpoint stops the run", 1e-3, 1e6);
    text("--trace", trace, "with --cluster: the step as a timeline into this file, for ui.perfetto.dev or chrome://tracing");
  }
};

plan::RunShape shape_of(const config::RunConfig& config, const ClusterArguments& arguments, const cluster::Cluster& cluster) {
  plan::RunShape shape;
  shape.model = config.model;
  shape.sequence_length = config.batch.sequence_length;
  shape.global_batch = config.batch.global_batch;
  shape.micro_batch = config.batch.micro_batch;
  shape.framework = arguments.framework;
  shape.precision = arguments.precision == "fp8"    ? plan::Precision::fp8
                    : arguments.precision == "fp16" ? plan::Precision::fp16
                                                    : plan::Precision::bf16;
  if (arguments.layout.empty()) {
    shape.layout.dp = cluster.devices;
    shape.layout.zero = cluster.devices > 1 ? 1 : 0;
  } else {
    shape.layout = program::parse_layout(arguments.layout);
  }
  return shape;
}

Tokens tokens_of(const char* option, const std::string& text) {
  const auto tokens = parse_count(text);
  if (!tokens || *tokens < 1 || *tokens > kMostTokens)
    throw UsageError(fmt::format("{} '{}': write a number of tokens like 300B or 1.5T, at most 10,000T", option, text));
  return Tokens(*tokens);
}

/// Tokens of the data: as given, else as counted when the run file's dataset was prepared. A model alone has no data.
std::optional<Tokens> unique_tokens(const config::RunConfig& config, bool run_file, const std::string& given) {
  if (!given.empty()) return tokens_of("--unique-tokens", given);
  if (!run_file || !std::filesystem::exists(std::filesystem::path(config.data.directory) / "dataset.json")) return std::nullopt;
  return Tokens(data::Manifest::read(config.data.directory).train.tokens);
}

plan::JobFacts facts_of(const config::RunConfig& config, const ClusterArguments& arguments) {
  plan::JobFacts facts;
  facts.tokens = arguments.tokens.empty() ? Tokens(config.tokens_per_step() * config.run.steps) : tokens_of("--tokens", arguments.tokens);
  if (arguments.price > 0) facts.device_hours_price = arguments.price;
  if (arguments.mtbf_hours > 0) facts.mtbf = Seconds(arguments.mtbf_hours * 3600);
  if (arguments.save_seconds > 0) facts.save = Seconds(arguments.save_seconds);
  if (facts.mtbf && facts.save && facts.save->value >= facts.mtbf->value)
    throw UsageError(
        fmt::format("--save-seconds = {} is not below --mtbf-hours = {}: most saves would meet a failure; save faster, or give the "
                    "hours between failures of the whole job",
                    arguments.save_seconds, arguments.mtbf_hours));
  return facts;
}

/// A report as people or programs read it.
template <class Json, class Text>
void print(bool as_json, const Json& json, const Text& text) {
  if (as_json)
    std::cout << json().dump(2) << '\n';
  else
    fmt::print("{}", text());
}

/// `--explain list` or one line of the plan. @param explain gives the explanation of an id
template <class Plan, class Explain>
void print_explanation(const Plan& plan, const std::string& id, bool json, const Explain& explain) {
  if (id == "list") {
    const auto ids = plan::explainable(plan);
    return print(
        json, [&] { return nlohmann::json(ids); }, [&] { return plan::to_text(ids); });
  }
  const plan::Explanation explanation = explain(id);
  print(
      json, [&] { return plan::to_json(explanation); }, [&] { return plan::to_text(explanation); });
}

void write_trace(const std::string& path, const plan::Forecast& forecast, const plan::Calibration& calibration) {
  const plan::Trace trace = plan::trace(forecast, calibration);
  files::write_file_atomically(files::Disk(), path, trace.json);
  fmt::print(stderr, "{}: {} events, {}; layers and their work of the first {} of {} micro-batches\n", path,
             format_count(static_cast<std::int64_t>(trace.events)), format(Bytes(static_cast<std::int64_t>(trace.json.size()))),
             trace.detailed, forecast.shape.micro_batches());
}

/// What is asked of a plan, wherever it is for.
struct Question {
  std::string unique_tokens, explain;
  bool run_file = false, json = false;
};

void plan_on_cluster(const config::RunConfig& config, const ClusterArguments& arguments, const Question& asked) {
  const cluster::Cluster cluster = cluster::find_cluster(arguments.cluster);
  const plan::Calibration calibration = plan::shipped_calibration();
  plan::JobFacts facts = facts_of(config, arguments);
  facts.unique_tokens = unique_tokens(config, asked.run_file, asked.unique_tokens);
  const plan::Forecast forecast = plan::forecast(cluster, shape_of(config, arguments, cluster), facts, calibration);
  if (!arguments.trace.empty()) write_trace(arguments.trace, forecast, calibration);
  if (asked.explain.empty())
    print(
        asked.json, [&] { return plan::to_json(forecast); }, [&] { return plan::to_text(forecast); });
  else
    print_explanation(forecast, asked.explain, asked.json, [&](const std::string& id) { return plan::explain(forecast, calibration, id); });
}

void plan_on_this_machine(const config::RunConfig& config, const std::string& profile, const Question& asked) {
  const std::optional<std::string> only_countable = model::trainable(config.model);
  if (only_countable) fmt::print(stderr, "parameters and work only: {}\n", *only_countable);
  if (const auto unique = unique_tokens(config, asked.run_file, asked.unique_tokens))
    if (const auto warning = plan::warn_of_epochs(Tokens(config.tokens_per_step() * config.run.steps), *unique))
      fmt::print(stderr, "warning: {}\n", *warning);
  const plan::Account account =
      only_countable ? plan::count(config) : account_of(config, profile.empty() ? measure(config) : cluster::read_profile(profile));
  if (asked.explain.empty())
    print(
        asked.json, [&] { return plan::to_json(account); }, [&] { return plan::to_text(account, config); });
  else
    print_explanation(account, asked.explain, asked.json, [&](const std::string& id) { return plan::explain(account, config, id); });
}

}  // namespace

int verb_plan(int argc, char** argv) {
  CommandLine line("longhaul plan",
                   "Parameters, FLOPs, memory by line, tokens and time of a run before it starts: on one rank of this machine, or with\n"
                   "--cluster on any hardware of the catalogue and in any layout.\n"
                   "Example: longhaul plan examples/demo.toml\n"
                   "         longhaul plan --model gpt2-124m --set batch.micro_batch=4 --json\n"
                   "         longhaul plan --model llama-3-8b --cluster h100x64 --layout dp=16,tp=4,pp=1,zero=1,sp=1 --tokens 300B \\\n"
                   "             --set batch.sequence_length=8192 --set batch.global_batch=128 --price 2.5\n"
                   "         longhaul plan --model llama-3-8b --cluster h100x64 --explain memory.optimizer");
  RunArguments arguments;
  arguments.add_to(line);
  std::string profile;
  Question asked;
  ClusterArguments on_cluster;
  line.option("--profile", profile, "rates of the machine, as `longhaul calibrate --out` wrote them (default: measured now, about 1 s)");
  line.option("--explain", asked.explain,
              "one line of the plan instead: its formula, its numbers, its source, what would change it; `list` names all")
      .not_empty();
  line.option("--unique-tokens", asked.unique_tokens,
              "of the data, 100B (default: of the run's dataset, once prepared); warns above 4 epochs")
      .not_empty();
  on_cluster.add_to(line);
  if (const std::optional<int> code = line.parse(argc, argv)) return *code;

  asked.json = arguments.json, asked.run_file = !arguments.run_file.empty();
  const config::RunConfig config = arguments.resolve().config;
  if (on_cluster.cluster.empty())
    plan_on_this_machine(config, profile, asked);
  else
    plan_on_cluster(config, on_cluster, asked);
  return 0;
}

}  // namespace longhaul::app
