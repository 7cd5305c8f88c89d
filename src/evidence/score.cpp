#include "evidence/score.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "units/statistics.h"

namespace longhaul::evidence {
namespace {

using nlohmann::json;

/// Pairs of what was predicted and what was, of one class of "fits" as the positive one.
struct Confusion {
  std::size_t right = 0, false_alarms = 0, missed = 0;
  static std::optional<double> ratio(std::size_t part, std::size_t whole) {
    if (whole == 0) return std::nullopt;
    return static_cast<double>(part) / static_cast<double>(whole);
  }
  std::optional<double> precision() const { return ratio(right, right + false_alarms); }
  std::optional<double> recall() const { return ratio(right, right + missed); }
  std::optional<double> f1() const { return ratio(2 * right, 2 * right + false_alarms + missed); }
};

Confusion confusion(const std::vector<ScoredRun>& runs, bool seen, bool positive) {
  Confusion out;
  for (const ScoredRun& run : runs) {
    if (run.seen != seen || !run.fits || !run.measured_fits) continue;
    const bool predicted = *run.fits == positive, was = *run.measured_fits == positive;
    out.right += predicted && was, out.false_alarms += predicted && !was, out.missed += !predicted && was;
  }
  return out;
}

json to_json(const ErrorSummary& errors) {
  const auto figure = [&](double value) { return errors.rows > 0 ? json(value) : json(nullptr); };
  return {{"rows", errors.rows},
          {"median_abs_pct", figure(errors.median_abs)},
          {"mean_abs_pct", figure(errors.mean_abs)},
          {"p90_abs_pct", figure(errors.p90_abs)},
          {"worst_abs_pct", figure(errors.worst_abs)},
          {"bias_pct", figure(errors.bias)},
          {"interval",
           {{"level_pct", 80},
            {"rows", errors.intervals},
            {"covered_pct", errors.intervals > 0 ? json(errors.covered) : json(nullptr)},
            {"median_half_width_pct", errors.intervals > 0 ? json(errors.half_width) : json(nullptr)}}}};
}

json to_json(const FitSummary& fit) {
  const auto figure = [](const std::optional<double>& value) { return value ? json(*value) : json(nullptr); };
  return {{"rows", fit.rows},
          {"precision", figure(fit.precision)},
          {"recall", figure(fit.recall)},
          {"f1", figure(fit.f1)},
          {"f1_not", figure(fit.f1_not)}};
}

json to_json(const Score& score) { return {{"time", to_json(score.time)}, {"memory", to_json(score.memory)}, {"fit", to_json(score.fit)}}; }

std::string to_line(const char* what, const char* rows, const ErrorSummary& e) {
  if (e.rows == 0) return {};
  std::string out =
      fmt::format("  {:<7} {:<7}{:>5} rows  bias {:>+6.1f} %  median {:>5.1f}  mean {:>5.1f}  90th {:>5.1f}  worst {:>6.1f} % ({})\n", what,
                  rows, e.rows, e.bias, e.median_abs, e.mean_abs, e.p90_abs, e.worst_abs, e.worst_id);
  if (e.intervals > 0)
    out += fmt::format("  {:<15}{:>5} rows  {:.0f} % inside the 80 % interval, median half-width {:.1f} %, {:.1f} times the median error\n",
                       "", e.intervals, e.covered, e.half_width, e.half_width / e.median_abs);
  return out;
}

std::string to_line(const char* rows, const FitSummary& fit) {
  if (fit.rows == 0) return {};
  const auto figure = [](const std::optional<double>& value) { return value ? fmt::format("{:.3f}", *value) : std::string("–"); };
  return fmt::format("  {:<7} {:<7}{:>5} rows  precision {}  recall {}  F1 {}  F1 of \"does not fit\" {}\n", "fits", rows, fit.rows,
                     figure(fit.precision), figure(fit.recall), figure(fit.f1), figure(fit.f1_not));
}

std::string to_lines(const char* rows, const Score& score) {
  return to_line("time", rows, score.time) + to_line("memory", rows, score.memory) + to_line(rows, score.fit);
}

}  // namespace

ErrorSummary summarize_errors(const std::vector<ScoredRun>& runs, bool seen, bool memory) {
  ErrorSummary out;
  std::vector<double> errors, sizes, half_widths;
  double sum = 0;
  std::size_t covered = 0;
  for (const ScoredRun& run : runs) {
    const std::optional<double>& predicted = memory ? run.memory : run.seconds;
    const std::optional<double>& measured = memory ? run.measured_memory : run.measured_seconds;
    if (run.seen != seen || !predicted || !measured) continue;
    errors.push_back(100 * (*predicted / *measured - 1));
    sizes.push_back(std::abs(errors.back()));
    sum += sizes.back();
    if (sizes.back() >= out.worst_abs) out.worst_abs = sizes.back(), out.worst_id = run.id;
    if (const std::optional<Interval>& interval = memory ? run.memory_interval : run.seconds_interval) {
      half_widths.push_back(50 * (interval->high - interval->low) / *predicted);
      covered += interval->contains(*measured);
    }
  }
  out.rows = errors.size();
  if (errors.empty()) return out;
  out.bias = quantile(errors, 0.5);
  out.median_abs = quantile(sizes, 0.5);
  out.mean_abs = sum / static_cast<double>(sizes.size());
  out.p90_abs = quantile(sizes, 0.9);
  out.intervals = half_widths.size();
  if (half_widths.empty()) return out;
  out.covered = 100 * static_cast<double>(covered) / static_cast<double>(half_widths.size());
  out.half_width = quantile(half_widths, 0.5);
  return out;
}

FitSummary summarize_fits(const std::vector<ScoredRun>& runs, bool seen) {
  const Confusion fits = confusion(runs, seen, true), fails = confusion(runs, seen, false);
  FitSummary out;
  // Every row is right in one of the two classes, or a false alarm of one and missed by the other.
  out.rows = fits.right + fits.false_alarms + fits.missed + fails.right;
  out.precision = fits.precision(), out.recall = fits.recall(), out.f1 = fits.f1(), out.f1_not = fails.f1();
  return out;
}

Score score_rows(const std::vector<ScoredRun>& runs, bool seen) {
  return {summarize_errors(runs, seen, false), summarize_errors(runs, seen, true), summarize_fits(runs, seen)};
}

std::vector<FamilyScore> score(const std::vector<ScoredRun>& runs) {
  std::vector<FamilyScore> out;
  std::map<std::string, std::vector<ScoredRun>, std::less<>> by_family;
  for (const ScoredRun& run : runs) {
    std::vector<ScoredRun>& family = by_family[run.family];
    if (family.empty()) out.emplace_back().family = run.family;
    family.push_back(run);
  }
  for (FamilyScore& family : out) {
    const std::vector<ScoredRun>& rows = by_family[family.family];
    family.rows = rows.size();
    for (const ScoredRun& run : rows)
      if (!run.skipped.empty()) ++family.skipped[run.skipped];
    family.unseen = score_rows(rows, false);
    family.seen = score_rows(rows, true);
  }
  return out;
}

json to_json(const std::vector<FamilyScore>& families, const Score& all) {
  json list = json::array();
  for (const FamilyScore& family : families) {
    json entry = to_json(family.unseen);
    entry["family"] = family.family;
    entry["rows"] = family.rows;
    entry["skipped"] = json::object();
    for (const auto& [reason, rows] : family.skipped) entry["skipped"][reason] = rows;
    entry["seen"] = to_json(family.seen);
    list.push_back(std::move(entry));
  }
  return {{"families", std::move(list)}, {"all", to_json(all)}};
}

std::string to_text(const std::vector<FamilyScore>& families, const Score& all) {
  std::string out;
  for (const FamilyScore& family : families) {
    out += fmt::format("{}: {} rows\n", family.family, family.rows);
    out += to_lines("unseen", family.unseen) + to_lines("seen", family.seen);
    for (const auto& [reason, rows] : family.skipped) out += fmt::format("  skipped {:>12} rows  {}\n", rows, reason);
  }
  if (families.size() > 1 && all.time.rows + all.memory.rows > 0) out += "all families\n" + to_lines("unseen", all);
  const bool any_seen = std::any_of(families.begin(), families.end(),
                                    [](const FamilyScore& family) { return family.seen.time.rows + family.seen.memory.rows > 0; });
  return any_seen ? out + "rows that a fit has seen flatter it: --folds 5 and --leave-out score rows that it has not\n" : out;
}

namespace {

constexpr std::size_t kNamedRows = 10;

std::vector<const ScoredRun*> skipped_of(const std::vector<ScoredRun>& runs) {
  std::vector<const ScoredRun*> out;
  for (const ScoredRun& run : runs)
    if (!run.skipped.empty()) out.push_back(&run);
  std::sort(out.begin(), out.end(), [](const ScoredRun* a, const ScoredRun* b) { return a->line < b->line; });
  return out;
}

}  // namespace

json skipped_json(const std::vector<ScoredRun>& runs) {
  const std::vector<const ScoredRun*> skipped = skipped_of(runs);
  json out = {{"rows", skipped.size()}, {"reasons", json::object()}, {"first", json::array()}};
  for (const ScoredRun* run : skipped) {
    out["reasons"][run->skipped] = out["reasons"].value(run->skipped, 0) + 1;
    if (out["first"].size() < kNamedRows) out["first"].push_back({{"line", run->line}, {"id", run->id}, {"reason", run->skipped}});
  }
  return out;
}

std::string skipped_text(const std::vector<ScoredRun>& runs) {
  const std::vector<const ScoredRun*> skipped = skipped_of(runs);
  if (skipped.empty()) return "";
  std::string out = fmt::format("skipped: {} of {} rows\n", skipped.size(), runs.size());
  for (std::size_t i = 0; i < std::min(skipped.size(), kNamedRows); ++i)
    out += fmt::format("  line {}, {}: {}\n", skipped[i]->line, skipped[i]->id, skipped[i]->skipped);
  if (skipped.size() > kNamedRows) out += fmt::format("  and {} more\n", skipped.size() - kNamedRows);
  return out;
}

}  // namespace longhaul::evidence
