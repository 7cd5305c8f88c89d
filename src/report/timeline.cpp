#include "report/timeline.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "report/page.h"
#include "report/plot.h"

namespace longhaul::report {
namespace {

/// Seconds in nine digits: what touches still touches on a screen.
nlohmann::json rounded(double seconds) { return std::stod(fmt::format("{:.9g}", seconds)); }

/// When the drawing ends: after so many slices.
double horizon(const std::vector<Timeline::Slice>& slices) {
  double end = 0;
  for (const Timeline::Slice& slice : slices) end = std::max(end, slice.end);
  if (slices.size() <= kMostSlices) return end;
  std::vector<double> begins;
  for (const Timeline::Slice& slice : slices) begins.push_back(slice.begin);
  std::nth_element(begins.begin(), begins.begin() + static_cast<std::ptrdiff_t>(kMostSlices), begins.end());
  return begins[kMostSlices];
}

}  // namespace

std::string to_html(const Timeline& timeline) {
  if (timeline.slices.empty()) return "";
  const double end = horizon(timeline.slices);
  nlohmann::json rows = nlohmann::json::array();
  for (std::size_t r = 0; r < timeline.rows.size(); ++r) rows.push_back(nlohmann::json::array());
  std::size_t drawn = 0;
  std::vector<bool> seen(timeline.kinds.size(), false);
  for (const Timeline::Slice& slice : timeline.slices) {
    if (slice.begin >= end || slice.end <= slice.begin) continue;
    rows[slice.row].push_back({slice.kind, rounded(slice.begin), rounded(slice.end), slice.label});
    seen[slice.kind] = true;
    ++drawn;
  }
  std::string legend, note = timeline.note;
  for (std::size_t k = 0; k < timeline.kinds.size(); ++k)
    if (seen[k]) legend += fmt::format("<span><i style='background:var(--c{})'></i>{}</span>", k % 8, escaped(timeline.kinds[k]));
  if (timeline.slices.size() > kMostSlices) note += fmt::format(" The first {} of {} operations are drawn.", drawn, timeline.slices.size());
  return fmt::format(
      "<figure class='timeline'><figcaption>{}</figcaption><div class='legend'>{}</div>{}<canvas tabindex='0' aria-label='{}'></canvas>"
      "<output></output><p><button data-zoom='.5'>zoom in</button> <button data-zoom='2'>zoom out</button> <button data-zoom='1e9'>all of "
      "it</button> <span class='note'>Click, then the wheel zooms; dragging or the arrow keys move.{}{}</span></p></figure>\n",
      escaped(timeline.title), legend,
      data_script({{"rows", timeline.rows}, {"kinds", timeline.kinds}, {"end", rounded(end)}, {"slices", rows}}), escaped(timeline.title),
      note.empty() ? "" : " ", escaped(note));
}

}  // namespace longhaul::report
