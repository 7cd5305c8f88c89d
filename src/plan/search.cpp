#include "plan/search.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <set>

#include "units/format.h"

namespace longhaul::plan {
namespace {

using Clock = std::chrono::steady_clock;
double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

/// What rounding may add to a bound.
constexpr double kRounding = 1e-9;

class Search {
 public:
  Search(const cost::Calibration& calibration, const SearchOptions& options) : calibration_(calibration), options_(options) {}

  SearchResult run(std::vector<cost::RunShape> shapes) {
    const auto start = Clock::now();
    for (cost::RunShape& shape : shapes) {
      result_.all.emplace_back().run = std::move(shape);
      look(result_.all.back());
      options_.progress(result_.all.size(), shapes.size());
    }
    simulate();
    result_.seconds = seconds_since(start);
    return std::move(result_);
  }

 private:
  /// Everything that is known without playing the pipeline.
  void look(Considered& c) {
    c.reason = contradiction(c.run);
    if (!c.reason.empty()) return void(c.outcome = Outcome::contradiction);
    const cost::FitVerdict fit = cost::judge_fit(c.run, calibration_, options_.device_memory);
    if (!fit.fits) {
      c.outcome = Outcome::too_large, c.memory = fit.needed;
      c.reason = fmt::format("needs {} of {} usable; {}", bytes(fit.needed), bytes(fit.available), fit.reason);
      return;
    }
    const cost::StepEstimate least = cost::bound_step(c.run, calibration_);
    c.outcome = Outcome::bounded;
    c.memory = cost::estimate_memory(c.run, calibration_, {least.layer.launch_ratio(), least.stalled}).peak();
    rank(c, least.seconds * (1 - kRounding));
  }

  static std::string contradiction(const cost::RunShape& run) { return fmt::format("{}", fmt::join(cost::contradictions(run), "; ")); }

  void rank(Considered& c, double seconds) const {
    c.seconds = seconds;
    c.figure = options_.objective == Objective::memory ? c.memory
               : options_.objective == Objective::time ? seconds
                                                       : seconds * c.run.devices;
  }

  /// From the best bound up, until the next bound is worse than the worst that is kept.
  void simulate() {
    const auto start = Clock::now();
    std::vector<std::size_t> order;
    for (std::size_t i = 0; i < result_.all.size(); ++i)
      if (result_.all[i].outcome == Outcome::bounded) order.push_back(i);
    const auto better = [this](std::size_t a, std::size_t b) {
      const Considered &x = result_.all[a], &y = result_.all[b];
      if (x.figure != y.figure) return x.figure < y.figure;
      return x.seconds != y.seconds ? x.seconds < y.seconds : to_text(x.run) < to_text(y.run);
    };
    std::sort(order.begin(), order.end(), better);
    std::set<std::size_t, decltype(better)> kept(better);
    for (const std::size_t i : order) {
      Considered& c = result_.all[i];
      if (!options_.simulate_all && kept.size() == options_.keep && c.figure > result_.all[*kept.rbegin()].figure) break;
      c.outcome = Outcome::simulated;
      rank(c, cost::estimate_step(c.run, calibration_).seconds);
      kept.insert(i);
      if (kept.size() > options_.keep) kept.erase(std::prev(kept.end()));
    }
    result_.best.assign(kept.begin(), kept.end());
    result_.simulation_seconds = seconds_since(start);
  }

  static std::string bytes(double value) { return format(Bytes(static_cast<std::int64_t>(value)), ByteUnits::binary); }

  const cost::Calibration& calibration_;
  const SearchOptions& options_;
  SearchResult result_;
};

/// The three parts of a step that differ most from the best one's, longer ones first: "bubble +1.20 s, optimizer −0.30 s".
std::string compare(const cost::StepEstimate& lost, const cost::StepEstimate& best) {
  std::vector<std::pair<double, std::string_view>> parts;
  for (const auto& [name, member] : cost::kStepParts) parts.emplace_back(lost.*member - best.*member, name);
  std::sort(parts.begin(), parts.end(), [](const auto& a, const auto& b) { return std::abs(a.first) > std::abs(b.first); });
  std::string out;
  for (std::size_t i = 0; i < 3; ++i)
    if (std::abs(parts[i].first) > 1e-3 * best.seconds)
      out += fmt::format("{}{} {}{}", out.empty() ? "" : ", ", parts[i].second, parts[i].first < 0 ? "−" : "+",
                         format(Seconds(std::abs(parts[i].first))));
  return out;
}

}  // namespace

std::size_t SearchResult::count(Outcome outcome) const {
  return static_cast<std::size_t>(std::count_if(all.begin(), all.end(), [&](const Considered& c) { return c.outcome == outcome; }));
}

SearchResult search(std::vector<cost::RunShape> shapes, const cost::Calibration& calibration, const SearchOptions& options) {
  return Search(calibration, options).run(std::move(shapes));
}

std::string why_lost(const SearchResult& result, std::size_t index, const cost::Calibration& calibration) {
  const Considered& c = result.all.at(index);
  if (c.outcome < Outcome::bounded) return c.reason;
  if (result.best.empty() || result.best.front() == index) return "";
  const Considered& best = result.all[result.best.front()];
  const double slower = 100 * (c.seconds / best.seconds - 1);
  const bool least = c.outcome == Outcome::bounded;
  const cost::StepEstimate lost = least ? cost::bound_step(c.run, calibration) : cost::estimate_step(c.run, calibration);
  const std::string devices =
      c.run.devices == best.run.devices
          ? ""
          : fmt::format("{:+.1f} % device-hours on {} devices instead of {}, ",
                        100 * (c.seconds * c.run.devices / (best.seconds * best.run.devices) - 1), c.run.devices, best.run.devices);
  return fmt::format("{}{}{:+.1f} % step time{}: {}", least ? "at least " : "", devices, slower,
                     c.memory > best.memory * 1.001 ? fmt::format(", {:+.1f} % memory", 100 * (c.memory / best.memory - 1)) : "",
                     compare(lost, cost::estimate_step(best.run, calibration)));
}

std::vector<Alternative> alternatives(const SearchResult& result) {
  std::vector<Alternative> out;
  std::vector<std::string_view> keys(program::layout_keys().begin(), program::layout_keys().end());
  keys.emplace_back("micro_batch");
  for (const std::string_view key : keys) {
    if (key == "dp" || key == "stages") continue;  // dp follows from the others
    const std::size_t first = out.size();
    for (std::size_t i = 0; i < result.all.size(); ++i) {
      const Considered& c = result.all[i];
      const std::string value = key == "micro_batch" ? std::to_string(c.run.micro_batch) : layout_value(c.run.layout, key);
      auto at =
          std::find_if(out.begin() + static_cast<std::ptrdiff_t>(first), out.end(), [&](const Alternative& a) { return a.value == value; });
      if (at == out.end()) at = out.insert(at, {std::string(key), value, std::nullopt, 0});
      ++at->considered;
      if (c.outcome >= Outcome::bounded && (!at->best || c.figure < result.all[*at->best].figure)) at->best = i;
    }
    if (out.size() - first == 1) out.pop_back();  // one value is no choice
  }
  return out;
}

}  // namespace longhaul::plan
