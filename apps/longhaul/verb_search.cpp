// longhaul search: the best layouts of a run on a cluster, and why the others lost.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <utility>

#include "cluster_arguments.h"
#include "console.h"
#include "plan/forecast.h"
#include "plan/search.h"
#include "run_arguments.h"
#include "units/error.h"
#include "units/format.h"
#include "verbs.h"

namespace longhaul::app {
namespace {

constexpr std::array<std::string_view, 3> kObjectives{"time", "device-hours", "memory"};
constexpr std::array<std::string_view, 4> kOutcomes{"contradiction", "too_large", "bounded", "simulated"};

struct SearchArguments {
  RunArguments run;
  ClusterArguments on;
  std::vector<std::string> allow;
  std::string by = "time", devices, memory, why;
  std::int64_t max_tp = 0, max_pp = 0;
  int top = 10;
  bool all = false, simulate_all = false;
};

/// "64,128,256"; the cluster's own number where nothing is given.
std::vector<int> device_counts(const std::string& text, int otherwise) {
  if (text.empty()) return {otherwise};
  std::vector<int> out;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    const auto count = parse_count(text.substr(begin, end - begin));
    if (!count || *count < 1 || *count > (1 << 20))
      throw UsageError(fmt::format("--devices '{}': write numbers from 1 to {} with commas, like 64,128,256", text, 1 << 20));
    if (std::find(out.begin(), out.end(), *count) == out.end()) out.push_back(static_cast<int>(*count));
    begin = end + 1;
  }
  return out;
}

void limit(plan::Restriction& space, const std::string& key, std::int64_t most) {
  if (most > 0) std::erase_if(space[key], [&](const std::string& value) { return parse_count(value).value_or(0) > most; });
}

std::vector<cost::RunShape> shapes_of(const SearchArguments& arguments, const config::RunConfig& config, const cluster::Cluster& on,
                                      const std::vector<int>& counts, plan::Restriction kept) {
  plan::Restriction user;
  for (const std::string& text : arguments.allow)
    for (const auto& [key, values] : plan::parse_restriction(text)) user[key] = values, kept.erase(key);
  if (!kept.empty()) fmt::print(stderr, "every layout considered has {} of [parallel]; --allow replaces what it names\n", to_text(kept));
  for (const auto& [key, values] : kept)
    if (key != "dp") user[key] = values;  // dp follows from the others
  std::vector<cost::RunShape> shapes;
  for (const int devices : counts) {
    cost::RunShape base = arguments.on.shape(config, on);
    base.devices = devices;
    plan::Restriction space = plan::search_space(base, user);
    limit(space, "tp", arguments.max_tp);
    limit(space, "pp", arguments.max_pp);
    std::vector<cost::RunShape> more = plan::enumerate(base, space);
    keep_only(more, kept);
    shapes.insert(shapes.end(), more.begin(), more.end());
  }
  if (shapes.empty())
    throw UsageError(fmt::format("no layout is left to consider: tp·pp·cp must divide the devices; loosen --allow, --max-tp or --max-pp{}",
                                 kept.empty() ? "" : fmt::format(", or {} of [parallel]", to_text(kept))));
  return shapes;
}

/// No accelerator has less: a smaller number is one without its unit.
constexpr std::int64_t kLeastMemory = 1 << 20;

double device_memory(const std::string& text, const cluster::Cluster& on) {
  if (text.empty()) {
    if (on.accelerator.memory) return static_cast<double>(on.accelerator.memory->value);
    throw UsageError(fmt::format("the catalogue has no memory of {}; give --memory, for example 80GB", on.accelerator.id));
  }
  const auto bytes = parse_bytes(text);
  if (!bytes || bytes->value < kLeastMemory)
    throw UsageError(fmt::format("--memory '{}': write the memory of a device with its unit, 1 MiB or more, like 80GB or 64GiB{}", text,
                                 parse_count(text) ? fmt::format("; nearest: write {}GB", text) : ""));
  return static_cast<double>(bytes->value);
}

std::size_t bounded(const plan::SearchResult& result) {
  return result.count(plan::Outcome::contradiction) + result.count(plan::Outcome::too_large) + result.count(plan::Outcome::bounded);
}

/// What a person asks of a layout, beside its step time.
struct Row {
  double tokens_per_s, mfu, days, device_hours;
};
Row row_of(const plan::Considered& c, const cluster::Cluster& on, const plan::JobFacts& facts) {
  const double rate = static_cast<double>(c.run.tokens_per_step()) / c.seconds;
  const double peak = on.accelerator.peak(name(c.run.precision)) * c.run.devices;
  const double seconds = static_cast<double>(facts.tokens.value) / rate;
  return {rate, model::flops_per_token(c.run.model, c.run.sequence_length).value * rate / peak, seconds / 86400,
          seconds / 3600 * c.run.devices};
}

nlohmann::json candidate_json(const plan::Considered& c, const cluster::Cluster& on, const plan::JobFacts& facts) {
  nlohmann::json out = {{"layout", to_text(c.run.layout)},
                        {"micro_batch", c.run.micro_batch},
                        {"devices", c.run.devices},
                        {"outcome", kOutcomes[static_cast<std::size_t>(c.outcome)]}};
  if (c.outcome < plan::Outcome::bounded) {
    out["reason"] = c.reason;
    return out;
  }
  const Row row = row_of(c, on, facts);
  out["step_seconds"] = c.seconds;
  out["peak_bytes_per_rank"] = c.memory;
  out["dollars"] = facts.device_hours_price ? nlohmann::json(row.device_hours * *facts.device_hours_price) : nlohmann::json();
  out["tokens_per_s"] = row.tokens_per_s, out["mfu"] = row.mfu, out["days"] = row.days, out["device_hours"] = row.device_hours;
  return out;
}

/// The whole plan of the best: its interval and what there is to warn of.
std::optional<plan::Forecast> plan_of_first(const plan::SearchResult& result, cluster::Cluster on, const plan::JobFacts& facts,
                                            const cost::Calibration& calibration) {
  if (result.best.empty()) return std::nullopt;
  const cost::RunShape& run = result.all[result.best.front()].run;
  on.devices = run.devices;
  return plan::forecast(on, run, facts, calibration);
}

nlohmann::json to_json(const plan::SearchResult& result, const SearchArguments& arguments, const cluster::Cluster& on,
                       const plan::JobFacts& facts, const std::optional<plan::Forecast>& first) {
  const auto count = [&](plan::Outcome outcome) { return result.count(outcome); };
  const std::size_t simulated = count(plan::Outcome::simulated);
  nlohmann::json best = nlohmann::json::array(), choices = nlohmann::json::array();
  for (const std::size_t i : result.best) best.push_back(candidate_json(result.all[i], on, facts));
  for (const plan::Alternative& a : alternatives(result)) {
    nlohmann::json choice = {{"key", a.key}, {"value", a.value}, {"considered", a.considered}, {"best", nullptr}};
    if (a.best) choice["best"] = candidate_json(result.all[*a.best], on, facts);
    choices.push_back(choice);
  }
  nlohmann::json out = {{"objective", arguments.by},
                        {"considered", result.all.size()},
                        {"bounded",
                         {{"total", bounded(result)},
                          {"contradiction", count(plan::Outcome::contradiction)},
                          {"too_large", count(plan::Outcome::too_large)},
                          {"slower_at_best", count(plan::Outcome::bounded)}}},
                        {"simulated", simulated},
                        {"search_seconds", result.seconds},
                        {"simulated_per_s", result.simulation_seconds > 0 ? static_cast<double>(simulated) / result.simulation_seconds : 0},
                        {"best", best},
                        {"choices", choices}};
  out["interval_of_first"] = nullptr, out["warnings"] = nlohmann::json::array();
  if (first) {
    const nlohmann::json plan = plan::to_json(*first);
    out["interval_of_first"] = {{"seconds", plan["step"]["interval_seconds"]}, {"bytes", plan["memory"]["interval_bytes"]}};
    out["warnings"] = first->warnings;
  }
  if (arguments.all)
    for (const plan::Considered& c : result.all) out["layouts"].push_back(candidate_json(c, on, facts));
  return out;
}

/// What rules most layouts out, where nothing is left: "most (12 of 12) are contradictions, for example tp=64 …: heads = 32 …".
std::string commonest_reason(const plan::SearchResult& result) {
  const std::size_t contradictions = result.count(plan::Outcome::contradiction), large = result.count(plan::Outcome::too_large);
  const plan::Outcome commonest = contradictions >= large ? plan::Outcome::contradiction : plan::Outcome::too_large;
  const auto at = std::find_if(result.all.begin(), result.all.end(), [&](const plan::Considered& c) { return c.outcome == commonest; });
  return fmt::format("{} of {} {}, for example {}: {}", std::max(contradictions, large), result.all.size(),
                     commonest == plan::Outcome::contradiction ? "are contradictions" : "are too large", to_text(at->run), at->reason);
}

void print(const plan::SearchResult& result, const SearchArguments& arguments, const cluster::Cluster& on, const plan::JobFacts& facts,
           const cost::Calibration& calibration, const std::optional<plan::Forecast>& first) {
  const std::size_t simulated = result.count(plan::Outcome::simulated);
  fmt::print("considered {} layouts = {} bounded ({} contradictions, {} too large, {} slower at best) + {} simulated\n",
             format_count(static_cast<std::int64_t>(result.all.size())), bounded(result), result.count(plan::Outcome::contradiction),
             result.count(plan::Outcome::too_large), result.count(plan::Outcome::bounded), simulated);
  fmt::print("in {}, {:.0f} layouts simulated a second on one core\n", format(Seconds(result.seconds)),
             result.simulation_seconds > 0 ? static_cast<double>(simulated) / result.simulation_seconds : 0.0);
  if (result.best.empty()) return fmt::print("no layout fits; {}; `--all --json` says why each does not\n", commonest_reason(result));
  const auto money = [&](const std::string& text) { return facts.device_hours_price ? fmt::format(" {:>12}", text) : ""; };
  fmt::print("\nthe best by {}\n{:>4} {:>8} {:>9} {:>6} {:>9} {:>13}{} {:>10}  layout\n", arguments.by, "", "devices", "step", "MFU",
             "days", "device-hours", money("money"), "memory");
  int rank = 0;
  for (const std::size_t i : result.best) {
    const plan::Considered& c = result.all[i];
    const Row row = row_of(c, on, facts);
    fmt::print("{:>4} {:>8} {:>9} {:>5.1f}% {:>9.2f} {:>13.0f}{} {:>10}  {}\n", ++rank, c.run.devices, format(Seconds(c.seconds)),
               100 * row.mfu, row.days, row.device_hours,
               money(fmt::format("${:.0f}", row.device_hours * facts.device_hours_price.value_or(0))),
               format(Bytes(static_cast<std::int64_t>(c.memory)), ByteUnits::binary), to_text(c.run));
  }
  if (first->seconds_interval)
    fmt::print("80 % interval of the first's step: {} to {} ({})\n", format(Seconds(first->seconds_interval->low)),
               format(Seconds(first->seconds_interval->high)), rests_on(*first->seconds_interval));
  fmt::print("\nwhat another choice costs: the best layout that has it, against the best of all\n");
  for (const plan::Alternative& a : alternatives(result)) {
    if (a.best == result.best.front()) continue;
    fmt::print("  {:<24}{}\n", fmt::format("{}={}", a.key, a.value),
               a.best ? why_lost(result, *a.best, calibration) : fmt::format("none of {} can run", a.considered));
  }
}

/// What "LAYOUT" or "LAYOUT micro_batch=2" names.
struct Named {
  program::Layout layout;
  std::optional<std::int64_t> micro_batch;
  bool is(const cost::RunShape& run) const { return run.layout == layout && (!micro_batch || run.micro_batch == *micro_batch); }
};
Named named(const std::string& text) {
  constexpr std::string_view kMicroBatch = "micro_batch=";
  const std::size_t space = text.find(' ');
  Named out{program::parse_layout(text.substr(0, space)), {}};
  if (space == std::string::npos) return out;
  const std::string_view rest = std::string_view(text).substr(space + 1);
  if (rest.starts_with(kMicroBatch)) out.micro_batch = parse_count(rest.substr(kMicroBatch.size()));
  if (!out.micro_batch || *out.micro_batch < 1)
    throw UsageError(fmt::format("--why '{}': after the layout write micro_batch=N or nothing, as the table does", text));
  return out;
}

/// A layout outside the space is considered too once it is asked for: on each number of devices, by each micro-batch of the space.
void consider(const Named& asked, std::vector<cost::RunShape>& shapes) {
  if (std::any_of(shapes.begin(), shapes.end(), [&](const cost::RunShape& run) { return asked.is(run); })) return;
  std::set<std::pair<int, std::int64_t>> tried;
  std::vector<cost::RunShape> more;
  for (cost::RunShape run : shapes) {
    run.layout = asked.layout, run.micro_batch = asked.micro_batch.value_or(run.micro_batch);
    if (tried.emplace(run.devices, run.micro_batch).second) more.push_back(run);
  }
  shapes.insert(shapes.end(), more.begin(), more.end());
}

/// The considered layout that a text names; of several micro-batches and numbers of devices the best.
std::size_t find(const plan::SearchResult& result, const Named& asked) {
  std::optional<std::size_t> best;
  for (std::size_t i = 0; i < result.all.size(); ++i) {
    const plan::Considered& c = result.all[i];
    if (!asked.is(c.run)) continue;
    const auto rank = [](const plan::Considered& of) { return std::pair(of.outcome < plan::Outcome::bounded, of.figure); };
    if (!best || rank(c) < rank(result.all[*best])) best = i;
  }
  return best.value();  // consider() has seen to it
}

}  // namespace

int verb_search(int argc, char** argv) {
  CommandLine line(
      "longhaul search",
      "The best layouts of a run on a cluster, by time, device-hours or memory, and why the others lost. Every layout of the space\n"
      "is considered: ruled out by a contradiction, by memory, by the least time it could take, or simulated.\n"
      "Example: longhaul search --model llama-3-8b --cluster h100x64 --tokens 300B \\\n"
      "             --set batch.sequence_length=8192 --set batch.global_batch=128\n"
      "         longhaul search run.toml --cluster a100 --devices 256,512,1024 --by device-hours --price 2\n"
      "         longhaul search run.toml --cluster h100x64 --allow tp=4+8,zero=1 --why 'dp=8,tp=8,pp=1,zero=1'");
  SearchArguments arguments;
  arguments.run.add_to(line);
  arguments.on.add_to(line).required();
  line.option("--devices", arguments.devices, "numbers of devices to consider instead of the cluster's, with commas");
  line.option("--by", arguments.by, "what is best: time (default), device-hours, memory").one_of({kObjectives.begin(), kObjectives.end()});
  line.option("--allow", arguments.allow, "key=value+value,…: values that keys of the layout and micro_batch may take; may be repeated")
      .one_value_each_time();
  line.option("--max-tp", arguments.max_tp, "largest tensor-parallel group (default: a node)").positive();
  line.option("--max-pp", arguments.max_pp, "most pipeline stages (default: layers)").positive();
  line.option("--memory", arguments.memory, "of a device, like 64GB (default: the catalogue's)");
  line.option("--top", arguments.top, "how many of the best to print (default 10)").positive();
  line.option("--why", arguments.why, "why this layout lost, instead of the table; it need not be one that the search would consider")
      .not_empty();
  line.flag("--simulate-all", arguments.simulate_all, "simulate everything that fits: the same best layouts, slower");
  line.flag("--all", arguments.all, "each layout considered and its reason too, in the JSON");
  if (const std::optional<int> code = line.parse(argc, argv)) return *code;

  const cluster::Cluster on = cluster::find_cluster(arguments.on.cluster);
  const std::vector<int> counts = device_counts(arguments.devices, on.devices);
  const config::ResolvedConfig resolved = arguments.on.resolve(arguments.run, counts);
  const config::RunConfig& config = resolved.config;
  const cost::Calibration calibration = arguments.on.calibrate(on);
  plan::check_framework(arguments.on.framework, calibration);
  const plan::JobFacts facts = arguments.on.facts(config, arguments.run.model.empty());
  const train::Console console = make_console();
  plan::SearchOptions options;
  options.objective = static_cast<plan::Objective>(std::find(kObjectives.begin(), kObjectives.end(), arguments.by) - kObjectives.begin());
  options.keep = static_cast<std::size_t>(arguments.top);
  options.device_memory = device_memory(arguments.memory, on);
  options.simulate_all = arguments.simulate_all;
  options.progress = [&](std::size_t done, std::size_t all) {
    if (done % 1000 == 0) console.live(fmt::format("looked at {} of {} layouts", done, all));
  };
  std::vector<cost::RunShape> shapes = shapes_of(arguments, config, on, counts, keys_given(resolved));
  std::optional<Named> asked;
  if (!arguments.why.empty()) consider(asked.emplace(named(arguments.why)), shapes);
  const plan::SearchResult result = plan::search(std::move(shapes), calibration, options);
  if (asked) {
    const std::size_t at = find(result, *asked);
    const std::string why = plan::why_lost(result, at, calibration);
    if (arguments.run.json) {
      nlohmann::json out = candidate_json(result.all[at], on, facts);
      out["why"] = why;
      print_json(out);
      return 0;
    }
    fmt::print("{}: {}\n", to_text(result.all[at].run), why.empty() ? "the best" : why);
    return 0;
  }
  const std::optional<plan::Forecast> first = plan_of_first(result, on, facts, calibration);
  if (arguments.run.json)
    print_json(to_json(result, arguments, on, facts, first));
  else
    print(result, arguments, on, facts, calibration, first);
  if (first)
    for (const std::string& warning : first->warnings) fmt::print(stderr, "warning: {}\n", warning);
  return 0;
}

}  // namespace longhaul::app
