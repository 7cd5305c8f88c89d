#include "plan/forecast.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>
#include <set>

#include "config/derive.h"
#include "cost/framework.h"
#include "cost/prices.h"
#include "cost/stages.h"
#include "plan/document.h"
#include "plan/search_space.h"
#include "units/error.h"
#include "units/format.h"
#include "units/nearest.h"

namespace longhaul::plan {
namespace {

using program::Recompute;

/// Everything that makes the run impossible, in one error: each sentence names its field and a fix.
void check(const cost::RunShape& run, const cost::Calibration& calibration) {
  check_framework(run.framework, calibration);
  const std::vector<std::string> wrong = cost::contradictions(run);
  if (wrong.empty()) return;
  std::string all = "this layout cannot run";
  for (const std::string& sentence : wrong) all += "\n  " + sentence;
  throw UsageError(all);
}

std::string bytes(double value) { return format(Bytes(static_cast<std::int64_t>(value)), ByteUnits::binary); }

std::vector<std::string> warnings_of(const cost::RunShape& run, const Forecast& out, const cost::Calibration& calibration) {
  std::vector<std::string> said = out.step.warnings;
  for (std::string& sentence : cost::assumed_rates(run, calibration)) said.push_back(std::move(sentence));
  if (out.fit && out.fit->fits && !out.fit_is_certain())
    said.push_back(
        fmt::format("that it fits is not certain: the 80 % interval of what it needs reaches {} of {} usable; `search --memory` keeps "
                    "a margin",
                    bytes(*out.most_needed()), bytes(out.fit->available)));
  if (!out.memory_calibrated && run.model.experts.count == 0)
    said.push_back(fmt::format("memory is uncalibrated: no run of {} on {} with a measured peak; counted from shapes with usual copies",
                               run.framework, run.accelerator));
  if (run.layout.tp > run.devices_per_node)
    said.push_back(
        fmt::format("tp = {} crosses nodes of {} devices: every layer waits for the network", run.layout.tp, run.devices_per_node));
  if (run.model.vocab % run.layout.tp != 0)
    said.push_back(
        fmt::format("vocab = {} is not a multiple of tp = {}: pad it, or the last rank's head is shorter", run.model.vocab, run.layout.tp));
  if (run.model.layers % run.layout.virtual_stages() != 0 && !cost::ends_count_as_layers(run))
    said.push_back(
        fmt::format("{} layers over {} stages are uneven: the longest sets the pace", run.model.layers, run.layout.virtual_stages()));
  if (run.layout.pp > 1 && run.layout.zero > 1) {
    const Restriction offers = parse_restriction(cost::framework(run.framework).offers);
    const auto zero = offers.find("zero");
    if (zero != offers.end() && std::find(zero->second.begin(), zero->second.end(), std::to_string(run.layout.zero)) == zero->second.end())
      said.push_back(
          fmt::format("{} itself offers no ZeRO {} with a pipeline, only zero = {}: planned as if it gathered weights once a step",
                      run.framework, run.layout.zero, fmt::join(zero->second, " or ")));
  }
  if (out.facts.unique_tokens)
    if (auto epochs = warn_of_epochs(out.facts.tokens, *out.facts.unique_tokens)) said.push_back(std::move(*epochs));
  if (run.model.experts.count > 0)
    said.push_back("experts: parameters and work are counted; time and memory are uncalibrated (no measured rows)");
  return said;
}

}  // namespace

void place(cost::RunShape& run, const cluster::Cluster& cluster) {
  run.accelerator = cluster.accelerator.id;
  run.hardware = std::make_shared<const cluster::Cluster>(cluster);
  run.devices = cluster.devices;
  run.devices_per_node = cluster.devices_per_node;
  if (run.precision == cost::Precision::fp16)
    run.fp32_gradients = false;  // as evidence/runs.cpp: kept and reduced in fp16 under a loss scale
}

void check_framework(const std::string& name, const cost::Calibration& calibration) {
  std::set<std::string, std::less<>> known;
  for (const std::string_view each : cost::framework_names()) known.emplace(each);
  // "megatron" of a calibration is a family, no software of its own.
  for (const auto& [key, parameter] : calibration.parameters)
    if (key.second.framework != "*" && key.second.framework != "megatron") known.insert(key.second.framework);
  if (known.contains(name) || known.contains(name.substr(0, name.find('+')))) return;
  throw UsageError(fmt::format("framework '{}' is unknown; known: {}; nearest: {}", name, fmt::join(known, ", "), nearest(name, known)));
}

std::optional<std::string> warn_of_epochs(Tokens tokens, Tokens unique) {
  const double times = cost::epochs(tokens, unique);
  if (times <= cost::kManyEpochs) return std::nullopt;
  return fmt::format("{:.1f} epochs over {}: beyond {:.0f} a repeated token teaches ever less; use more data or fewer tokens", times,
                     format(unique), cost::kManyEpochs);
}

std::optional<double> Forecast::most_needed() const {
  if (!fit || !memory_interval) return std::nullopt;
  return fit->needed * memory_interval->high / memory.reported();
}
bool Forecast::fit_is_certain() const { return !most_needed() || *most_needed() <= fit->available; }

double Forecast::hfu() const { return (flops_per_token.value + recomputed_flops_per_token().value) * tokens_per_second() / peak_flops; }
Flops Forecast::recomputed_flops_per_token() const {
  switch (shape.layout.recompute) {
    case Recompute::none:
      return Flops(0);
    case Recompute::selective:
      return model::recompute_attention_flops_per_token(shape.model, shape.sequence_length);
    case Recompute::layer:
      break;
  }
  return model::recompute_flops_per_token(shape.model, shape.sequence_length);
}

Forecast forecast(const cluster::Cluster& cluster, cost::RunShape shape, const JobFacts& facts, const cost::Calibration& calibration) {
  place(shape, cluster);
  check(shape, calibration);
  Forecast out;
  out.cluster = cluster;
  out.facts = facts;
  out.parameters = model::count_params(shape.model);
  out.flops_per_token = model::flops_per_token(shape.model, shape.sequence_length);
  for (const model::Convention convention : model::all_conventions())
    out.conventions.emplace_back(model::name(convention), model::flops_per_token(shape.model, shape.sequence_length, convention));
  out.step = cost::estimate_step(shape, calibration);
  out.memory = cost::estimate_memory(shape, calibration, {out.step.layer.launch_ratio(), out.step.stalled});
  out.seconds_interval = evidence::interval(out.step.seconds, evidence::time_kinds(shape, out.step), calibration.time);
  out.memory_calibrated = evidence::memory_calibrated(shape, out.step, calibration);
  out.memory_interval = evidence::interval(out.memory.reported(), evidence::memory_kinds(shape, out.step, calibration), calibration.memory);
  if (cluster.accelerator.memory) out.fit = cost::judge_fit(shape, calibration, static_cast<double>(cluster.accelerator.memory->value));
  out.checkpoint = Bytes(out.parameters.total.value * 14);
  out.peak_flops = cluster.accelerator.peak(name(shape.precision)) * cluster.devices;
  if (facts.mtbf && facts.save) {
    out.save_every = cost::daly_interval(*facts.save, *facts.mtbf);
    out.goodput = cost::expected_goodput(*out.save_every, *facts.save, facts.restart, *facts.mtbf);
  }
  out.shape = std::move(shape);
  out.warnings = warnings_of(out.shape, out, calibration);
  return out;
}

namespace {

nlohmann::json interval_json(const std::optional<evidence::Interval>& interval) {
  if (!interval) return nullptr;
  return {{"level_pct", 80}, {"low", interval->low}, {"high", interval->high}, {"rests_on", interval->kind}, {"rows", interval->rows}};
}

nlohmann::json lines_json(const cost::StageMemory& stage) {
  nlohmann::json lines;
  for (const auto& [name, member] : cost::kMemoryParts) lines[fmt::format("{}_bytes", name)] = stage.*member;
  return lines;
}

nlohmann::json memory_json(const Forecast& f) {
  nlohmann::json stages = nlohmann::json::array();
  for (const cost::StageMemory& stage : f.memory.stages)
    stages.push_back({{"bytes", stage.total()}, {"in_flight", stage.in_flight}, {"lines", lines_json(stage)}});
  nlohmann::json out = {
      {"peak_bytes_per_rank", f.memory.peak()}, {"lines_at_peak", lines_json(f.memory.stages[static_cast<std::size_t>(f.memory.fullest)])},
      {"fullest_stage", f.memory.fullest},      {"reported_bytes", f.memory.reported()},
      {"reporting_stage", f.memory.reporting},  {"interval_bytes", interval_json(f.memory_interval)},
      {"calibrated", f.memory_calibrated},      {"stages", stages}};
  if (f.fit)
    out["fit"] = {{"fits", f.fit->fits},
                  {"certain", !f.fit->fits || f.fit_is_certain()},
                  {"needed_bytes", f.fit->needed},
                  {"available_bytes", f.fit->available},
                  {"reason", f.fit->reason}};
  return out;
}

}  // namespace

nlohmann::json to_json(const Forecast& f) {
  nlohmann::json split;
  for (const auto& [name, member] : cost::kStepParts) split[fmt::format("{}_seconds", name)] = f.step.*member;
  const cost::RunShape& run = f.shape;
  nlohmann::json out = to_json(DocumentHead{run.layout,
                                            {run.global_batch, run.micro_batch, run.sequence_length},
                                            f.parameters,
                                            f.flops_per_token,
                                            f.conventions,
                                            Tokens(run.tokens_per_step()),
                                            f.facts.tokens,
                                            config::steps_for(f.facts.tokens.value, run.tokens_per_step())});
  out.update(
      nlohmann::json{{"cluster", {{"id", f.cluster.id}, {"devices", f.cluster.devices}, {"devices_per_node", f.cluster.devices_per_node}}},
                     {"framework", run.framework},
                     {"memory", memory_json(f)},
                     {"step",
                      {{"seconds", f.step.seconds},
                       {"interval_seconds", interval_json(f.seconds_interval)},
                       {"split", split},
                       {"tokens_per_s", f.tokens_per_second()},
                       {"mfu", f.mfu()},
                       {"hfu", f.hfu()},
                       {"peak_flops", f.peak_flops},
                       {"calibrated", f.step.calibrated},
                       {"estimate", true}}},
                     {"run", {{"seconds", f.run().value}, {"days", f.run().value / 86400}, {"device_hours", f.device_hours()}}},
                     {"checkpoint", {{"bytes", f.checkpoint.value}}},
                     {"warnings", f.warnings}});
  const std::optional<double> money = f.money();
  out["run"]["dollars"] = money ? nlohmann::json(*money) : nlohmann::json();
  out["run"]["dollars_with_failures"] = money && f.goodput ? nlohmann::json(*money / f.goodput->useful) : nlohmann::json();
  out["run"]["epochs"] = f.facts.unique_tokens ? nlohmann::json(cost::epochs(f.facts.tokens, *f.facts.unique_tokens)) : nlohmann::json();
  out["checkpoint"]["save_every_seconds"] = f.save_every ? nlohmann::json(f.save_every->value) : nlohmann::json();
  out["goodput"] = nullptr;
  if (f.goodput)
    out["goodput"] = {
        {"useful", f.goodput->useful}, {"saving", f.goodput->saving}, {"lost", f.goodput->lost}, {"restarting", f.goodput->restarting}};
  return out;
}

namespace {

std::string line(std::string_view what, const std::string& value) { return fmt::format("  {:<22}{}\n", what, value); }

std::string memory_text(const Forecast& f) {
  const cost::StageMemory& fullest = f.memory.stages[static_cast<std::size_t>(f.memory.fullest)];
  std::string out = fmt::format("memory of one rank of the fullest stage ({} of {}), {} micro-batches in flight\n", f.memory.fullest,
                                f.memory.stages.size(), fullest.in_flight);
  for (const auto& [name, member] : cost::kMemoryParts)
    if (fullest.*member > 0) out += line(name, bytes(fullest.*member));
  const auto& interval = f.memory_interval;
  const std::string likely =
      interval ? fmt::format("; 80 %: {} to {} ({})", bytes(interval->low), bytes(interval->high), evidence::rests_on(*interval)) : "";
  const bool elsewhere = f.memory.reporting != f.memory.fullest;
  out += line("peak", bytes(fullest.total()) + (elsewhere ? "" : likely));
  if (elsewhere)
    out += line("reported",
                fmt::format("{} by {}, the peak of stage {}{}", bytes(f.memory.reported()), f.shape.framework, f.memory.reporting, likely));
  if (!f.fit) return out + line("fits", "unknown: the catalogue has no memory of this device");
  return out + line("fits", fmt::format("{}: needs {} of {} usable; {}",
                                        !f.fit->fits         ? "NO"
                                        : f.fit_is_certain() ? "yes"
                                                             : "probably",
                                        bytes(f.fit->needed), bytes(f.fit->available), f.fit->reason));
}

std::string time_text(const Forecast& f) {
  std::string out = fmt::format("time of a step ({}; an estimate{})\n", f.shape.framework, f.step.calibrated ? "" : ", uncalibrated");
  for (const auto& [name, member] : cost::kStepParts)
    if (f.step.*member > 0)
      out += line(name, fmt::format("{:<10} {:5.1f} %", format(Seconds(f.step.*member)), 100 * (f.step.*member) / f.step.seconds));
  out += line("step", fmt::format("{} for {} tokens", format(Seconds(f.step.seconds)), format_count(f.shape.tokens_per_step())));
  if (const auto& interval = f.seconds_interval)
    out += line("80 %", fmt::format("{} to {} ({})", format(Seconds(interval->low)), format(Seconds(interval->high)),
                                    evidence::rests_on(*interval)));
  return out + line("speed", fmt::format("{}, MFU {:.1f} %, HFU {:.1f} % of {}", format_token_rate(f.tokens_per_second()), 100 * f.mfu(),
                                         100 * f.hfu(), format_flops_rate(f.peak_flops)));
}

std::string run_text(const Forecast& f) {
  std::string out = "run\n";
  out += line("tokens", fmt::format("{}, {}", format(f.facts.tokens),
                                    format(Flops(f.flops_per_token.value * static_cast<double>(f.facts.tokens.value)))));
  out += line("time", fmt::format("{}, {:.0f} device-hours, without saves and failures", format(f.run()), f.device_hours()));
  out += line("checkpoint", fmt::format("{} (14 bytes a parameter)", format(f.checkpoint)));
  if (f.goodput)
    out += line("failures", fmt::format("save every {} (Daly); {:.1f} % useful, {:.1f} % saving, {:.1f} % lost, {:.1f} % restarting",
                                        format(*f.save_every), 100 * f.goodput->useful, 100 * f.goodput->saving, 100 * f.goodput->lost,
                                        100 * f.goodput->restarting));
  else
    out += line("failures", "not given (--mtbf-hours and --save-seconds)");
  const std::optional<double> money = f.money();
  if (!money) return out + line("money", "not given (--price)");
  return out + line("money", f.goodput ? fmt::format("${:.0f}, with saves and failures ${:.0f}", *money, *money / f.goodput->useful)
                                       : fmt::format("${:.0f}, without saves and failures", *money));
}

}  // namespace

std::string to_text(const Forecast& f) {
  std::string out =
      fmt::format("model {} on {} ({}), {}\n", f.shape.model.name, f.cluster.id, f.cluster.accelerator.name, to_text(f.shape.layout));
  out +=
      line("parameters", fmt::format("{} ({} multiply)", format_count(f.parameters.total.value), format_count(f.parameters.matmul.value)));
  if (f.parameters.active != f.parameters.total) out += line("active parameters", format_count(f.parameters.active.value));
  out += line("work per token", fmt::format("{} (6·N_matmul + 12·L·heads·head_dim·s)", format(f.flops_per_token)));
  out += memory_text(f) + time_text(f) + run_text(f);
  for (const std::string& warning : f.warnings) out += "warning: " + warning + "\n";
  return out;
}

}  // namespace longhaul::plan
