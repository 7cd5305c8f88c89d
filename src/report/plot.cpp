#include "report/plot.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

namespace longhaul::report {
namespace {

/// A drawing's size and where its axes lie, in its own units.
struct Frame {
  const char* name;
  double width, height, left, right, top, bottom;  ///< the last four: distances from the edges
  int x_ticks, y_ticks;
  double plot_right() const { return width - right; }
  double plot_bottom() const { return height - bottom; }
};
constexpr std::array<Frame, 2> kFrames{{{"wide", 720, 300, 64, 12, 12, 44, 8, 6}, {"narrow", 380, 260, 56, 10, 10, 44, 4, 5}}};
constexpr int kColours = 11;              // variables --c0 … --c10 of the page
constexpr std::size_t kMaxPoints = 1500;  // a point a pixel or so: more are thinned to minimum and maximum of each bin

struct Range {
  double low = std::numeric_limits<double>::infinity(), high = -std::numeric_limits<double>::infinity();
  void include(double value) {
    if (!std::isfinite(value)) return;
    low = std::min(low, value);
    high = std::max(high, value);
  }
  bool empty() const { return low > high; }
};

struct Scale {
  double low, high, from, to;
  bool log;
  double operator()(double value) const {
    const auto place = [this](double v) { return log ? std::log10(v) : v; };
    return from + (place(value) - place(low)) / (place(high) - place(low)) * (to - from);
  }
};

/// Short enough for an axis: "1500", "2.5e-4", "3e+12".
std::string number(double value) {
  const double size = std::abs(value);
  if (value == 0 || (size < 1e6 && size >= 1e-3)) return fmt::format("{:.6g}", value);
  const int power = static_cast<int>(std::floor(std::log10(size) + 1e-9));
  return fmt::format("{:.3g}e{}{}", value / std::pow(10, power), power < 0 ? "-" : "+", std::abs(power));
}

/// Sums of the series below: what a stacked plot draws.
std::vector<Series> stack(std::vector<Series> series) {
  for (std::size_t i = 1; i < series.size(); ++i)
    for (std::size_t k = 0; k < series[i].y.size(); ++k) series[i].y[k] += series[i - 1].y[k];
  return series;
}

/// Keeps what a pixel can show: first, smallest, largest and last value of each bin.
Series thinned(const Series& series) {
  if (series.x.size() <= kMaxPoints) return series;
  Series out = series;
  out.x.clear(), out.y.clear();
  const std::size_t bin = (series.x.size() * 4 + kMaxPoints - 1) / kMaxPoints;
  for (std::size_t first = 0; first < series.x.size(); first += bin) {
    const std::size_t end = std::min(first + bin, series.x.size());
    const auto [low, high] =
        std::minmax_element(series.y.begin() + static_cast<std::ptrdiff_t>(first), series.y.begin() + static_cast<std::ptrdiff_t>(end));
    std::vector<std::size_t> keep = {first, static_cast<std::size_t>(low - series.y.begin()),
                                     static_cast<std::size_t>(high - series.y.begin()), end - 1};
    std::sort(keep.begin(), keep.end());
    keep.erase(std::unique(keep.begin(), keep.end()), keep.end());
    for (std::size_t k : keep) {
      out.x.push_back(series.x[k]);
      out.y.push_back(series.y[k]);
    }
  }
  return out;
}

/// A value that holds until the next becomes two points.
Series in_steps(const Series& series) {
  Series out = series;
  out.x.clear(), out.y.clear();
  for (std::size_t k = 0; k < series.x.size(); ++k) {
    if (k > 0) out.x.push_back(series.x[k]), out.y.push_back(series.y[k - 1]);
    out.x.push_back(series.x[k]), out.y.push_back(series.y[k]);
  }
  return out;
}

/// A series' colour, by its place unless it says.
int colour_of(const Series& series, std::size_t place) { return series.colour >= 0 ? series.colour : static_cast<int>(place) % kColours; }

std::string line_path(const Series& series, const Scale& x, const Scale& y) {
  std::string path;
  bool pen_down = false;
  for (std::size_t k = 0; k < series.x.size(); ++k) {
    if (!std::isfinite(series.y[k]) || (y.log && series.y[k] <= 0)) {
      pen_down = false;
      continue;
    }
    path += fmt::format("{}{:.1f} {:.1f}", pen_down ? "L" : "M", x(series.x[k]), y(series.y[k]));
    pen_down = true;
  }
  return path;
}

/// Between two lines; each has points of its own, for they are thinned apart. Without a lower one, down to the axis.
std::string area_path(const Series& upper, const Series* lower, const Scale& x, const Scale& y) {
  if (upper.x.empty()) return "";
  std::string path = line_path(upper, x, y);
  if (!lower) return path + fmt::format("L{:.1f} {:.1f}L{:.1f} {:.1f}Z", x(upper.x.back()), y(y.low), x(upper.x.front()), y(y.low));
  for (std::size_t k = lower->x.size(); k-- > 0;) path += fmt::format("L{:.1f} {:.1f}", x(lower->x[k]), y(lower->y[k]));
  return path + "Z";
}

std::string axes(const Plot& plot, const Frame& frame, const Scale& x, const Scale& y) {
  std::string out;
  for (double tick : x.log ? log_ticks(x.low, x.high, frame.x_ticks) : ticks(x.low, x.high, frame.x_ticks))
    out +=
        fmt::format("<path class='grid' d='M{0:.1f} {1}V{2}'/><text x='{0:.1f}' y='{3}' text-anchor='{5}'>{4}</text>", x(tick), frame.top,
                    frame.plot_bottom(), frame.plot_bottom() + 16, number(tick), x(tick) > frame.width - 24 ? "end" : "middle");
  for (double tick : y.log ? log_ticks(y.low, y.high, frame.y_ticks) : ticks(y.low, y.high, frame.y_ticks))
    out += fmt::format("<path class='grid' d='M{1} {0:.1f}H{2}'/><text x='{3}' y='{0:.1f}' dy='4' text-anchor='end'>{4}</text>", y(tick),
                       frame.left, frame.plot_right(), frame.left - 6, number(tick));
  out += fmt::format("<text x='{}' y='{}' text-anchor='middle'>{}</text>", (frame.left + frame.plot_right()) / 2, frame.height - 8,
                     escaped(plot.x_label));
  out += fmt::format("<text transform='translate(12 {}) rotate(-90)' text-anchor='middle'>{}</text>", (frame.top + frame.plot_bottom()) / 2,
                     escaped(plot.y_label));
  return out;
}

std::string legend_entry(const std::string& name, int colour) {
  return fmt::format("<span><i style='background:var(--c{})'></i>{}</span>", colour, escaped(name));
}

/// The values that the page's script shows under the pointer (assets/page.js).
std::string data_attribute(const Plot& plot, const std::vector<Series>& series, const Scale& x) {
  std::string out = fmt::format("[{},{},{},{},[", x.low, x.high, x.log, nlohmann::json(plot.x_label).dump());
  bool more = false;
  for (const Series& each : series) {
    if (each.name.empty()) continue;
    out += fmt::format("{}[{},[", more ? "," : "", nlohmann::json(each.name).dump());
    more = true;
    for (std::size_t k = 0; k < each.x.size(); ++k)
      if (std::isfinite(each.y[k])) out += fmt::format("{}[{:.9g},{:.6g}]", out.back() == '[' ? "" : ",", each.x[k], each.y[k]);
    out += "]]";
  }
  return escaped(out + "]]");
}

struct Axes {
  Range x, y;
  bool log_x, log_y;
};

/// What a plot's y axis must reach: the sums of a stacked plot, else every value.
std::vector<double> highest_values(const Plot& plot, const std::vector<Series>& whole) {
  std::vector<double> out;
  for (std::size_t i = plot.stacked && !whole.empty() ? whole.size() - 1 : 0; i < whole.size(); ++i)
    out.insert(out.end(), whole[i].y.begin(), whole[i].y.end());
  return out;
}

/// Points above the axis of a plot.
struct Outlier {
  double x, y;
};

/// Of a stacked plot the sums, else every series; the largest first.
std::vector<Outlier> outliers_of(const Plot& plot, const std::vector<Series>& drawn, double top) {
  std::vector<Outlier> out;
  for (std::size_t i = plot.stacked && !drawn.empty() ? drawn.size() - 1 : 0; i < drawn.size(); ++i)
    for (std::size_t k = 0; k < drawn[i].x.size(); ++k)
      if (std::isfinite(drawn[i].y[k]) && drawn[i].y[k] > top) out.push_back({drawn[i].x[k], drawn[i].y[k]});
  std::sort(out.begin(), out.end(), [](const Outlier& a, const Outlier& b) { return std::pair(-a.y, a.x) < std::pair(-b.y, b.x); });
  return out;
}

/// A mark at the upper edge for each, and its value where no larger one's stands.
std::string outlier_marks(const std::vector<Outlier>& outliers, const Frame& frame, const Scale& x) {
  std::string out;
  std::vector<Range> labels;
  for (const Outlier& outlier : outliers) {
    const double at = x(outlier.x), top = frame.top;
    out += fmt::format("<path class='outlier' d='M{:.1f} {}L{:.1f} {}H{:.1f}Z'/>", at, top, at + 4, top + 7, at - 4);
    const std::string text = fmt::format("{:.3g}", outlier.y);
    const double width = 6.5 * static_cast<double>(text.size()) + 4;
    const double middle = std::min(at, frame.plot_right() - width / 2);
    const Range place{middle - width / 2, middle + width / 2};
    if (std::any_of(labels.begin(), labels.end(), [&](const Range& r) { return place.low < r.high && r.low < place.high; })) continue;
    labels.push_back(place);
    out += fmt::format("<text class='outlier-value' x='{:.1f}' y='{}' text-anchor='middle'>{}</text>", middle, top + 18, text);
  }
  return out;
}

/// Values of the series as far as the axis reaches.
std::vector<Series> below(std::vector<Series> series, double top) {
  for (Series& each : series)
    for (double& y : each.y)
      if (y > top) y = top;
  return series;
}

Axes axes_of(const Plot& plot, const std::vector<Series>& drawn) {
  Axes out{{}, {}, plot.log_x, plot.log_y};
  for (const Series& series : drawn)
    for (std::size_t k = 0; k < series.x.size(); ++k) {
      if (!std::isfinite(series.y[k])) continue;
      if (!plot.log_x || series.x[k] > 0) out.x.include(series.x[k]);
      if (!plot.log_y || series.y[k] > 0) out.y.include(series.y[k]);
    }
  if (out.x.empty() || out.y.empty()) return out;
  if (plot.from_zero || plot.stacked) out.y.include(0);
  const auto widened = [](const Range& range) { return range.low + (range.low == 0 ? 1 : std::abs(range.low) * 0.1); };
  if (out.y.low == out.y.high) out.y.high = widened(out.y);
  if (out.x.low == out.x.high) out.x.high = out.x.low + 1;
  return out;
}

std::string marks(const Plot& plot, const std::vector<Series>& drawn, const Frame& frame, const Scale& x, const Scale& y) {
  std::string out;
  for (std::size_t i = drawn.size(); i-- > 0;) {
    const Series& series = drawn[i];
    const std::string colour = fmt::format("var(--c{})", colour_of(series, i));
    if (plot.stacked) {
      out += fmt::format("<path d='{}' fill='{}' fill-opacity='.8'/>", area_path(series, i ? &drawn[i - 1] : nullptr, x, y), colour);
      continue;
    }
    if (series.joined)
      out += fmt::format("<path d='{}' fill='none' stroke='{}' stroke-width='1.5'{}/>", line_path(series, x, y), colour,
                         series.dashed ? " stroke-dasharray='5 4'" : "");
    for (std::size_t k = 0; k < series.x.size() && series.points; ++k)
      if (std::isfinite(series.y[k]))
        out += fmt::format("<circle cx='{:.1f}' cy='{:.1f}' r='3.5' fill='{}'/>", x(series.x[k]), y(series.y[k]), colour);
    if (!series.label.empty() && !series.x.empty()) {
      const bool end = x(series.x.back()) > frame.width * 0.7;
      out += fmt::format("<text x='{:.1f}' y='{:.1f}' text-anchor='{}'>{}</text>", x(series.x.back()) + (end ? -4 : 4),
                         std::max(y(series.y.back()) - 5, 10.0), end ? "end" : "start", escaped(series.label));
    }
  }
  return out;
}

std::string mark_lines(const Plot& plot, const Frame& frame, const Scale& x) {
  std::string out;
  for (const PlotMark& mark : plot.marks)
    if (mark.x >= x.low && mark.x <= x.high)
      out += fmt::format("<path class='mark' d='M{:.1f} {}V{}'><title>step {}: {}</title></path>", x(mark.x), frame.top,
                         frame.plot_bottom(), mark.x, escaped(mark.name));
  return out;
}

std::string drawing(const Plot& plot, const std::vector<Series>& drawn, const Axes& ranges, const Frame& frame,
                    const std::vector<Outlier>& outliers) {
  const Scale x{ranges.x.low, ranges.x.high, frame.left, frame.plot_right(), ranges.log_x};
  const Scale y{ranges.y.low, ranges.y.high, frame.plot_bottom(), frame.top, ranges.log_y};
  return fmt::format(
      "<svg class='{}' viewBox='0 0 {} {}' role='img' aria-label='{}' data-frame='[{},{},{},{},{}]'>{}{}{}{}<path class='cursor' "
      "d=''/></svg>",
      frame.name, frame.width, frame.height, escaped(plot.title), frame.width, frame.left, frame.plot_right(), frame.top,
      frame.plot_bottom(), axes(plot, frame, x, y), mark_lines(plot, frame, x), marks(plot, drawn, frame, x, y),
      outlier_marks(outliers, frame, x));
}

std::string drawing(const Bars& bars, double most, const Frame& frame) {
  const bool wide = frame.width > 500;  // else a name has a line of its own above its bars
  constexpr double kBar = 12, kValues = 70;
  const double names = wide ? 170 : 4, above = wide ? 0 : 14;
  const double row_height = above + kBar * static_cast<double>(bars.groups.size()) + 10;
  const double height = row_height * static_cast<double>(bars.rows.size()) + 8;
  std::string out;
  for (std::size_t r = 0; r < bars.rows.size(); ++r) {
    const double top = 4 + row_height * static_cast<double>(r);
    out += fmt::format("<text x='{}' y='{:.1f}' text-anchor='{}' dy='4'>{}</text>", wide ? names - 8 : names,
                       top + (wide ? (row_height - 10) / 2 : 6), wide ? "end" : "start", escaped(bars.rows[r].name));
    for (std::size_t g = 0; g < bars.rows[r].values.size(); ++g) {
      const double value = bars.rows[r].values[g];
      if (!std::isfinite(value)) continue;
      const double width = value / most * (frame.width - names - kValues), y = top + above + kBar * static_cast<double>(g);
      out +=
          fmt::format("<rect x='{}' y='{:.1f}' width='{:.1f}' height='{}' fill='var(--c{})'/><text x='{:.1f}' y='{:.1f}' dy='10'>{}</text>",
                      names, y, std::max(width, 0.5), kBar - 1, g, names + width + 5, y, fmt::format("{:.4g}", value));
    }
  }
  return fmt::format("<svg class='{}' viewBox='0 0 {} {}' role='img' aria-label='{}'>{}</svg>", frame.name, frame.width, height,
                     escaped(bars.title), out);
}

}  // namespace

std::string escaped(const std::string& text) {
  std::string out;
  for (char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::vector<double> ticks(double low, double high, int count) {
  std::vector<double> out;
  if (!(high > low)) return {low};
  const double raw = (high - low) / count;
  const double power = std::pow(10, std::floor(std::log10(raw)));
  const double step = power * (raw / power <= 1 ? 1 : raw / power <= 2 ? 2 : raw / power <= 5 ? 5 : 10);
  for (double k = std::ceil(low / step); k * step <= high + step * 1e-9; ++k) out.push_back(k * step);
  return out;
}

std::vector<double> log_ticks(double low, double high, int count) {
  std::vector<double> out;
  const double decades = std::log10(high / low);
  const std::vector<double> within = decades * 3 <= count + 3 ? std::vector<double>{1, 2, 5} : std::vector<double>{1};
  const int every = std::max(1, static_cast<int>(std::ceil(decades / count)));
  for (int power = static_cast<int>(std::floor(std::log10(low))); power <= std::log10(high); ++power)
    for (double digit : within) {
      const double value = digit * std::pow(10, power);
      if (power % every == 0 && value >= low * (1 - 1e-9) && value <= high * (1 + 1e-9)) out.push_back(value);
    }
  return out.size() < 2 ? ticks(low, high, count) : out;
}

std::optional<double> robust_top(std::vector<double> values) {
  std::erase_if(values, [](double value) { return !std::isfinite(value); });
  if (values.empty()) return std::nullopt;
  constexpr double kMost = 3, kRoom = 1.15;
  const auto quartile = values.begin() + (std::ssize(values) - 1) * 3 / 4;
  std::nth_element(values.begin(), quartile, values.end());
  const double limit = kMost * *quartile;
  double largest = -std::numeric_limits<double>::infinity(), top = 0;
  for (const double value : values) {
    largest = std::max(largest, value);
    if (value <= limit) top = std::max(top, value);
  }
  return limit > 0 && largest > limit ? std::optional(top * kRoom) : std::nullopt;
}

std::string to_svg(const Plot& plot) {
  const std::vector<Series> whole = plot.stacked ? stack(plot.series) : plot.series;
  std::vector<Series> drawn, own;  // as drawn, and the values that the pointer reads
  for (const Series& series : whole) drawn.push_back(thinned(plot.steps ? in_steps(series) : series));
  for (const Series& series : plot.series) own.push_back(thinned(plot.steps ? in_steps(series) : series));
  const std::optional<double> top = plot.robust_y ? robust_top(highest_values(plot, whole)) : std::nullopt;
  std::vector<Outlier> outliers;
  if (top) outliers = outliers_of(plot, drawn, *top), drawn = below(std::move(drawn), *top);
  const Axes ranges = axes_of(plot, drawn);
  if (ranges.x.empty() || ranges.y.empty()) return "";
  std::string legend, drawings;
  for (std::size_t i = 0; i < drawn.size(); ++i)
    if (!drawn[i].name.empty()) legend += legend_entry(drawn[i].name, colour_of(drawn[i], i));
  if (!outliers.empty()) legend += fmt::format("<span>▲ above the axis: {}, up to {:.3g}</span>", outliers.size(), outliers.front().y);
  if (!plot.marks.empty()) legend += "<span>┆ a branch begins or a setting changes (tables below)</span>";
  for (const Frame& frame : kFrames) drawings += drawing(plot, drawn, ranges, frame, outliers);
  std::string surface;
  if (plot.surface) {
    const scaling::Surface& law = *plot.surface;
    const nlohmann::json coefficients = {{"E", law.irreducible}, {"A", law.a},         {"alpha", law.alpha},  {"B", law.b},
                                         {"beta", law.beta},     {"gamma", law.outer}, {"low", ranges.y.low}, {"high", ranges.y.high}};
    surface = fmt::format(" data-surface='{}'", escaped(coefficients.dump()));
  }
  return fmt::format("<figure data-series='{}'{}><figcaption>{}</figcaption><div class='legend'>{}</div>{}<output></output></figure>\n",
                     data_attribute(plot, own, {ranges.x.low, ranges.x.high, 0, 1, plot.log_x}), surface, escaped(plot.title), legend,
                     drawings);
}

std::string to_svg(const Bars& bars) {
  Range range;
  range.include(0);
  for (const Bars::Row& row : bars.rows)
    for (double value : row.values) range.include(value);
  if (bars.rows.empty() || range.high <= 0) return "";
  std::string legend, drawings;
  for (std::size_t g = 0; g < bars.groups.size() && bars.groups.size() > 1; ++g)
    legend += legend_entry(bars.groups[g], static_cast<int>(g) % kColours);
  for (const Frame& frame : kFrames) drawings += drawing(bars, range.high, frame);
  return fmt::format("<figure><figcaption>{} ({})</figcaption><div class='legend'>{}</div>{}</figure>\n", escaped(bars.title),
                     escaped(bars.unit), legend, drawings);
}

}  // namespace longhaul::report
