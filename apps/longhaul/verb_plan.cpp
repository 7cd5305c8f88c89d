// longhaul plan: the account of a run before it starts, on this machine or on a cluster of the catalogue.
#include <fmt/format.h>

#include <iostream>
#include <nlohmann/json.hpp>

#include "command_line.h"
#include "console.h"
#include "machine.h"
#include "plan/forecast.h"
#include "run_arguments.h"
#include "units/error.h"
#include "units/format.h"
#include "verbs.h"

namespace longhaul::app {
namespace {

/// Options that matter with --cluster alone.
struct ClusterArguments {
  std::string cluster, layout, tokens, framework = "megatron-lm", precision = "bf16";
  double price = 0, mtbf_hours = 0, save_seconds = 0;

  void add_to(CommandLine& line) {
    line.option("--cluster", cluster, "plan for NAME or NAMExDEVICES of the catalogue (`longhaul cluster list`) instead of this machine");
    line.option("--layout", layout, "with --cluster: dp=8,tp=4,pp=2,zero=1 …; default: dp = all devices, zero=1");
    line.option("--tokens", tokens, "with --cluster: of the whole run, 300B or 1.5T (default: the run file's)");
    line.option("--framework", framework, "with --cluster: megatron-lm (default), megatron-deepspeed, nanotron, llm-foundry, torchtitan");
    line.option("--precision", precision, "with --cluster: bf16 (default), fp16, fp8").one_of({"bf16", "fp16", "fp8"});
    line.option("--price", price, "with --cluster: dollars a device-hour").positive();
    line.option("--mtbf-hours", mtbf_hours, "with --cluster: mean hours between failures of the whole job").positive();
    line.option("--save-seconds", save_seconds, "with --cluster: seconds a checkpoint stops the run").positive();
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

plan::JobFacts facts_of(const config::RunConfig& config, const ClusterArguments& arguments) {
  plan::JobFacts facts;
  facts.tokens = Tokens(config.tokens_per_step() * config.run.steps);
  if (!arguments.tokens.empty()) {
    const auto tokens = parse_count(arguments.tokens);
    if (!tokens || *tokens < 1)
      throw UsageError(fmt::format("--tokens '{}': write a number of tokens like 300B or 1.5T", arguments.tokens));
    facts.tokens = Tokens(*tokens);
  }
  if (arguments.price > 0) facts.device_hours_price = arguments.price;
  if (arguments.mtbf_hours > 0) facts.mtbf = Seconds(arguments.mtbf_hours * 3600);
  if (arguments.save_seconds > 0) facts.save = Seconds(arguments.save_seconds);
  return facts;
}

int plan_on_cluster(const config::RunConfig& config, const ClusterArguments& arguments, bool json) {
  const cluster::Cluster cluster = cluster::find_cluster(arguments.cluster);
  const plan::Forecast forecast =
      plan::forecast(cluster, shape_of(config, arguments, cluster), facts_of(config, arguments), plan::shipped_calibration());
  if (json)
    std::cout << plan::to_json(forecast).dump(2) << '\n';
  else
    fmt::print("{}", plan::to_text(forecast));
  return 0;
}

}  // namespace

int verb_plan(int argc, char** argv) {
  CommandLine line("longhaul plan",
                   "Parameters, FLOPs, memory by line, tokens and time of a run before it starts: on one rank of this machine, or with\n"
                   "--cluster on any hardware of the catalogue and in any layout.\n"
                   "Example: longhaul plan examples/demo.toml\n"
                   "         longhaul plan --model gpt2-124m --set batch.micro_batch=4 --json\n"
                   "         longhaul plan --model llama-3-8b --cluster h100x64 --layout dp=16,tp=4,pp=1,zero=1,sp=1 --tokens 300B \\\n"
                   "             --set batch.sequence_length=8192 --set batch.global_batch=128 --price 2.5");
  RunArguments arguments;
  arguments.add_to(line);
  std::string profile;
  ClusterArguments on_cluster;
  line.option("--profile", profile, "rates of the machine, as `longhaul calibrate --out` wrote them (default: measured now, about 1 s)");
  on_cluster.add_to(line);
  if (const std::optional<int> code = line.parse(argc, argv)) return *code;

  const config::RunConfig config = arguments.resolve().config;
  if (!on_cluster.cluster.empty()) return plan_on_cluster(config, on_cluster, arguments.json);
  if (!on_cluster.layout.empty()) throw UsageError("--layout needs --cluster: this machine runs one rank");
  warn_of_threads(config);
  const std::optional<std::string> only_countable = model::trainable(config.model);
  if (only_countable) fmt::print(stderr, "parameters and work only: {}\n", *only_countable);
  const plan::Account account =
      only_countable ? plan::count(config)
                     : account_of(config, profile.empty() ? measure(config, make_console().live) : cluster::read_profile(profile));
  if (arguments.json)
    std::cout << plan::to_json(account).dump(2) << '\n';
  else
    fmt::print("{}", plan::to_text(account, config));
  return 0;
}

}  // namespace longhaul::app
