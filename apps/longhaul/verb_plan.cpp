// longhaul plan: the account of a run before it starts, on this machine or on a cluster of the catalogue.
#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "cluster_arguments.h"
#include "command_line.h"
#include "console.h"
#include "data/manifest.h"
#include "files/disk.h"
#include "machine/measure.h"
#include "plan/explain/explain.h"
#include "plan/forecast.h"
#include "plan/search.h"
#include "plan/trace.h"
#include "report/plan_page.h"
#include "run_arguments.h"
#include "run_plan.h"
#include "scaling/law_file.h"
#include "units/error.h"
#include "units/format.h"
#include "verbs.h"

namespace longhaul::app {
namespace {

/// Options that matter with --cluster alone.
struct PlanArguments : ClusterArguments {
  std::string layout, trace;

  void add_to(CommandLine& line) {
    const Option of = ClusterArguments::add_to(line);
    line.option("--mtbf-hours", mtbf_hours, "with --cluster: mean hours between failures of the whole job").between(0.01, 1e7).needs(of);
    line.option("--save-seconds", save_seconds, "with --cluster: seconds a checkpoint stops the run").between(1e-3, 1e6).needs(of);
    line.option("--layout", layout,
                "with --cluster: dp=8,tp=4,pp=2,zero=1 …; default: [parallel] of the run file, else the fastest that fits")
        .not_empty()
        .needs(of);
    line.option("--trace", trace, "with --cluster: the step as a timeline into this file, for ui.perfetto.dev or chrome://tracing")
        .not_empty()
        .needs(of);
  }
};

/// Tokens of the data: as given, else as counted when the run file's dataset was prepared. A model alone has no data.
std::optional<Tokens> unique_tokens(const config::RunConfig& config, bool run_file, const std::string& given) {
  if (!given.empty()) return tokens_of("--unique-tokens", given);
  if (!run_file || !std::filesystem::exists(std::filesystem::path(config.data.directory) / "dataset.json")) return std::nullopt;
  return Tokens(data::Manifest::read(config.data.directory).train.tokens);
}

/// A report as people or programs read it.
template <class Json, class Text>
void print(bool as_json, const Json& json, const Text& text) {
  if (as_json)
    print_json(json());
  else
    fmt::print("{}", text());
}

/// `--explain list` or one line of the plan. @param explain gives the explanation of an id
template <class Plan, class Explain>
void print_explanation(const Plan& plan, const std::string& id, bool json, const Explain& explain) {
  if (id == "list") {
    const auto ids = plan::explainable(plan);
    return print(
        json, [&] { return plan::to_json(ids); }, [&] { return plan::to_text(ids); });
  }
  const plan::Explanation explanation = explain(id);
  print(
      json, [&] { return plan::to_json(explanation); }, [&] { return plan::to_text(explanation); });
}

void write_trace(const std::string& path, const plan::Forecast& forecast, const cost::Calibration& calibration) {
  const plan::Trace trace = plan::trace(forecast, calibration);
  files::write_named_file(path, trace.json);
  fmt::print(stderr, "{}: {} events, {}; layers and their work of the first {} of {} micro-batches\n", path,
             format_count(static_cast<std::int64_t>(trace.events)), format(Bytes(static_cast<std::int64_t>(trace.json.size()))),
             trace.detailed, forecast.shape.micro_batches());
}

void write_page(const std::string& path, const std::string& html) {
  files::write_named_file(path, html);
  fmt::print(stderr, "{}: {}\n", path, format(Bytes(static_cast<std::int64_t>(html.size()))));
}

/// The law of the page's loss surface: the most careful re-fit of the published points (docs/scaling.md).
scaling::Law page_law() { return scaling::find_law("epoch-2024"); }

/// What is asked of a plan, wherever it is for.
struct Question {
  std::string unique_tokens, explain, html;
  bool run_file = false, json = false;
};

/// Where the rates of this machine come from.
struct RatesArguments {
  std::string profile;
  bool measure = false;

  void add_to(CommandLine& line) {
    const Option file = line.option("--profile", profile,
                                    "rates of the machine, as `longhaul calibrate --out` wrote them (default: those in the user's cache; "
                                    "what is not there is measured, about 3 s)");
    line.flag("--measure", measure, "measures the kernels anew, whatever the cache holds").excludes(file);
  }
};

void plan_on_cluster(const RunArguments& run, const PlanArguments& arguments, const Question& asked) {
  const cluster::Cluster cluster = cluster::find_cluster(arguments.cluster);
  const config::ResolvedConfig resolved = arguments.resolve(run, {cluster.devices});
  const config::RunConfig& config = resolved.config;
  const cost::Calibration calibration = arguments.calibrate(cluster);
  plan::JobFacts facts = arguments.facts(config, run.model.empty());
  facts.unique_tokens = unique_tokens(config, asked.run_file, asked.unique_tokens);
  cost::RunShape shape = arguments.shape(config, cluster);
  std::optional<plan::SearchResult> considered;
  const LayoutChoice choice = choose_layout(arguments.layout, resolved);
  if (!choice.layout || !asked.html.empty()) considered = considered_layouts(shape, cluster, calibration, choice.kept);
  if (choice.layout)
    shape.layout = *choice.layout;
  else
    shape = fastest(*considered, shape);
  const plan::Forecast forecast = plan::forecast(cluster, shape, facts, calibration);
  if (!arguments.trace.empty()) write_trace(arguments.trace, forecast, calibration);
  if (!asked.html.empty()) write_page(asked.html, report::plan_page({forecast, calibration, config, *considered, page_law()}));
  if (asked.explain.empty())
    print(
        asked.json, [&] { return plan::to_json(forecast); }, [&] { return plan::to_text(forecast); });
  else
    print_explanation(forecast, asked.explain, asked.json, [&](const std::string& id) { return plan::explain(forecast, calibration, id); });
}

/// The rates of this machine's plan: from the profile that is named, else from the user's cache, what it lacks measured now.
cluster::Profile rates_for(const config::RunConfig& config, const program::Program& step, const RatesArguments& arguments) {
  if (!arguments.profile.empty()) return cluster::read_profile(arguments.profile);
  const machine::ProfileCache cache;
  const machine::Combination what = combination_of(config);
  const std::vector<cluster::KernelCall> calls = calls_of(config, step);
  const train::Console console = make_console();
  if (!arguments.measure)
    if (std::optional<cluster::Profile> kept = machine::kept_profile(cache, what, calls)) {
      console.say(fmt::format("rates measured {} ago; --measure measures them anew", format(machine::age(*kept))));
      return *std::move(kept);
    }
  console.begin("measuring kernels");
  return machine::measured_profile(cache, what, calls, arguments.measure ? machine::Measure::anew : machine::Measure::what_is_missing,
                                   {console.live});
}

void plan_on_this_machine(const config::RunConfig& config, const RatesArguments& rates_from, const Question& asked) {
  warn_of_threads(config);
  const std::optional<std::string> only_countable = model::trainable(config.model);
  if (only_countable) fmt::print(stderr, "parameters and work only: {}\n", *only_countable);
  if (const auto unique = unique_tokens(config, asked.run_file, asked.unique_tokens))
    if (const auto warning = plan::warn_of_epochs(Tokens(config.tokens_per_step() * config.run.steps), *unique))
      fmt::print(stderr, "warning: {}\n", *warning);
  if (only_countable && !asked.html.empty())
    throw UsageError(
        fmt::format("--html: a page of this machine needs a model that it can train ({}); --cluster plans any", *only_countable));
  plan::Account account;
  if (only_countable) {
    account = plan::count(config);
  } else {
    const program::Program step = step_of_run(config);
    const cluster::Profile rates = rates_for(config, step, rates_from);
    account = account_of(config, step, arena_of_run(config, step), rates);
    if (!asked.html.empty())
      write_page(asked.html,
                 report::plan_page({account, config, step, plan::operation_times(config, step, rates_of_run(rates, config)), page_law()}));
  }
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
  RatesArguments rates;
  Question asked;
  PlanArguments on_cluster;
  rates.add_to(line);
  line.option("--explain", asked.explain,
              "one line of the plan instead: its formula, its numbers, its source, what would change it; `list` names all")
      .not_empty();
  line.option("--html", asked.html, "the plan as one self-contained page into this file, with plots and every figure explained")
      .not_empty();
  line.option("--unique-tokens", asked.unique_tokens,
              "of the data, 100B (default: of the run's dataset, once prepared); warns above 4 epochs")
      .not_empty();
  on_cluster.add_to(line);
  if (const std::optional<int> code = line.parse(argc, argv)) return *code;

  asked.json = arguments.json, asked.run_file = !arguments.run_file.empty();
  if (on_cluster.cluster.empty())
    plan_on_this_machine(arguments.resolve_for_training().config, rates, asked);
  else
    plan_on_cluster(arguments, on_cluster, asked);
  return 0;
}

}  // namespace longhaul::app
