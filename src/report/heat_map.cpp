#include "report/heat_map.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "report/plot.h"

namespace longhaul::report {
namespace {

constexpr int kColour = 0;                  // of the page's palette
constexpr int kShades = 16;                 // few enough that one path holds all cells of a shade
constexpr std::size_t kMostColumns = 60;    // 10 units of a wide drawing each
constexpr std::size_t kMostNamedRows = 64;  // above, only the first row of a layer is named

struct HeatFrame {
  const char* name;
  double width, left;
};
constexpr std::array<HeatFrame, 2> kHeatFrames{{{"wide", 720, 150}, {"narrow", 380, 138}}};

struct ValueRange {
  double low = std::numeric_limits<double>::infinity(), high = 0;
  int shade(double value) const {
    if (high <= low) return kShades - 1;
    return std::clamp(static_cast<int>(std::log(value / low) / std::log(high / low) * kShades), 0, kShades - 1);
  }
};

bool is_drawn(double value) { return std::isfinite(value) && value > 0; }

ValueRange range_of(const HeatMap& map) {
  ValueRange range;
  for (const std::vector<double>& row : map.values)
    for (const double value : row)
      if (is_drawn(value)) {
        range.low = std::min(range.low, value);
        range.high = std::max(range.high, value);
      }
  return range;
}

/// Places of the columns that are drawn, evenly, the last among them.
std::vector<std::size_t> drawn_columns(std::size_t count) {
  const std::size_t drawn = std::min(count, kMostColumns);
  std::vector<std::size_t> out;
  for (std::size_t k = 1; k <= drawn; ++k) out.push_back(k * count / drawn - 1);
  return out;
}

double opacity(int shade) { return 0.06 + 0.94 * (shade + 0.5) / kShades; }

/// The layer of a row, "L3" of "L3 mlp.up_proj"; the whole name of one outside the layers.
std::string layer_of(const std::string& row) { return row.substr(0, row.find(' ')); }

std::string row_names(const HeatMap& map, const HeatFrame& frame, double row_height) {
  const bool all = map.rows.size() <= kMostNamedRows;
  std::string out;
  for (std::size_t r = 0; r < map.rows.size(); ++r) {
    if (!all && r > 0 && layer_of(map.rows[r]) == layer_of(map.rows[r - 1])) continue;
    out += fmt::format("<text x='{}' y='{:.1f}' dy='3' text-anchor='end' style='font-size:{}px'>{}</text>", frame.left - 5,
                       (static_cast<double>(r) + 0.5) * row_height, all ? 9 : 8, escaped(all ? map.rows[r] : layer_of(map.rows[r])));
  }
  return out;
}

std::string heat_drawing(const HeatMap& map, const ValueRange& range, const HeatFrame& frame) {
  const std::vector<std::size_t> columns = drawn_columns(map.columns.size());
  const double row_height = map.rows.size() <= kMostNamedRows ? 11 : std::max(4.0, 704.0 / static_cast<double>(map.rows.size()));
  const double cell = std::min(40.0, (frame.width - frame.left - 10) / static_cast<double>(columns.size()));
  const double bottom = row_height * static_cast<double>(map.rows.size());
  std::array<std::string, kShades> paths;
  for (std::size_t r = 0; r < map.rows.size(); ++r)
    for (std::size_t c = 0; c < columns.size(); ++c) {
      const double value = map.values[r][columns[c]];
      if (!is_drawn(value)) continue;
      paths[static_cast<std::size_t>(range.shade(value))] +=
          fmt::format("M{:.1f} {:.1f}h{:.1f}v{:.1f}h-{:.1f}z", frame.left + cell * static_cast<double>(c),
                      row_height * static_cast<double>(r), cell, row_height, cell);
    }
  std::string out = row_names(map, frame, row_height);
  for (int shade = 0; shade < kShades; ++shade)
    if (const std::string& path = paths[static_cast<std::size_t>(shade)]; !path.empty())
      out += fmt::format("<path fill='var(--c{})' fill-opacity='{:.2f}' d='{}'/>", kColour, opacity(shade), path);
  const double end = frame.left + cell * static_cast<double>(columns.size());
  out += fmt::format("<text x='{}' y='{:.1f}'>{}</text><text x='{:.1f}' y='{:.1f}' text-anchor='end'>{}</text>", frame.left, bottom + 14,
                     map.columns[columns.front()], std::max(end, frame.left + 60), bottom + 14,
                     columns.size() > 1 ? fmt::format("{}", map.columns[columns.back()]) : "");
  out += fmt::format("<text x='{:.1f}' y='{:.1f}' text-anchor='middle'>{}</text>", (frame.left + std::max(end, frame.left + 120)) / 2,
                     bottom + 14, escaped(map.x_label));
  return fmt::format("<svg class='{}' viewBox='0 0 {} {:.0f}' role='img' aria-label='{}'>{}</svg>", frame.name, frame.width, bottom + 22,
                     escaped(map.title), out);
}

/// The shades from the smallest value to the largest.
std::string heat_legend(const ValueRange& range) {
  std::string shades;
  for (int shade = 0; shade < kShades; ++shade)
    shades += fmt::format("<i style='background:var(--c{});opacity:{:.2f};margin:0'></i>", kColour, opacity(shade));
  return fmt::format("<span>{:.3g}&ensp;{}&ensp;{:.3g} (logarithmic)</span>", range.low, shades, range.high);
}

}  // namespace

std::string short_tensor_name(const std::string& name) {
  std::string out = name;
  for (const char* prefix : {"model.", "transformer."})
    if (out.starts_with(prefix)) out.erase(0, std::string(prefix).size());
  for (const char* layers : {"layers.", "h."}) {
    const std::string start = layers;
    if (!out.starts_with(start)) continue;
    if (const std::size_t dot = out.find('.', start.size()); dot != std::string::npos)
      out = "L" + out.substr(start.size(), dot - start.size()) + " " + out.substr(dot + 1);
    break;
  }
  if (out.ends_with(".weight")) out.resize(out.size() - std::string(".weight").size());
  return out;
}

std::string to_svg(const HeatMap& map) {
  const ValueRange range = range_of(map);
  if (map.columns.empty() || range.high <= 0) return "";
  std::string drawings;
  for (const HeatFrame& frame : kHeatFrames) drawings += heat_drawing(map, range, frame);
  return fmt::format("<figure><figcaption>{}</figcaption><div class='legend'>{}</div>{}</figure>\n", escaped(map.title), heat_legend(range),
                     drawings);
}

}  // namespace longhaul::report
