#include "report/plot.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace longhaul::report {
namespace {

constexpr double kWidth = 720, kHeight = 300, kLeft = 64, kRight = 12, kTop = 12, kBottom = 44;
constexpr int kColours = 8;               // variables --c0 … --c7 of the page
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

std::string number(double value) {
  const double size = std::abs(value);
  if (value != 0 && (size >= 1e6 || size < 1e-3)) return fmt::format("{:.3g}", value);
  return fmt::format("{:.6g}", value);
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
  Series out{series.name, {}, {}, series.points};
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

std::string area_path(const Series& upper, const Series* lower, const Scale& x, const Scale& y) {
  std::string path = line_path(upper, x, y);
  for (std::size_t k = upper.x.size(); k-- > 0;) path += fmt::format("L{:.1f} {:.1f}", x(upper.x[k]), y(lower ? lower->y[k] : y.low));
  return path + "Z";
}

std::string axes(const Plot& plot, const Scale& x, const Scale& y) {
  std::string out;
  for (double tick : ticks(x.low, x.high, 8))
    out += fmt::format("<path class='grid' d='M{0:.1f} {1}V{2}'/><text x='{0:.1f}' y='{3}' text-anchor='middle'>{4}</text>", x(tick), kTop,
                       kHeight - kBottom, kHeight - kBottom + 16, number(tick));
  std::vector<double> y_ticks = ticks(y.low, y.high, 6);
  if (plot.log_y) {
    y_ticks.clear();
    for (double power = std::pow(10, std::ceil(std::log10(y.low))); power <= y.high; power *= 10) y_ticks.push_back(power);
  }
  for (double tick : y_ticks)
    out += fmt::format("<path class='grid' d='M{1} {0:.1f}H{2}'/><text x='{3}' y='{0:.1f}' dy='4' text-anchor='end'>{4}</text>", y(tick),
                       kLeft, kWidth - kRight, kLeft - 6, number(tick));
  out +=
      fmt::format("<text x='{}' y='{}' text-anchor='middle'>{}</text>", (kLeft + kWidth - kRight) / 2, kHeight - 8, escaped(plot.x_label));
  out += fmt::format("<text transform='translate(14 {}) rotate(-90)' text-anchor='middle'>{}</text>", (kTop + kHeight - kBottom) / 2,
                     escaped(plot.y_label));
  return out;
}

std::string legend(const std::vector<std::string>& names) {
  std::string out = "<div class='legend'>";
  for (std::size_t i = 0; i < names.size(); ++i)
    out += fmt::format("<span><i style='background:var(--c{})'></i>{}</span>", i % kColours, escaped(names[i]));
  return out + "</div>";
}

/// The values that the page's script shows under the pointer.
std::string data_attribute(const std::vector<Series>& series, const Scale& x) {
  std::string out = fmt::format("[{},{},{},{},[", x.low, x.high, x.from, x.to);
  for (std::size_t i = 0; i < series.size(); ++i) {
    out += fmt::format("{}[\"{}\",[", i ? "," : "", escaped(series[i].name));
    for (std::size_t k = 0; k < series[i].x.size(); ++k)
      if (std::isfinite(series[i].y[k]))
        out += fmt::format("{}[{:.9g},{:.6g}]", out.back() == '[' ? "" : ",", series[i].x[k], series[i].y[k]);
    out += "]]";
  }
  return escaped(out + "]]");
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

std::string to_svg(const Plot& plot) {
  std::vector<Series> drawn;
  for (const Series& series : plot.stacked ? stack(plot.series) : plot.series) drawn.push_back(thinned(series));
  Range xs, ys;
  for (const Series& series : drawn)
    for (std::size_t k = 0; k < series.x.size(); ++k) {
      xs.include(series.x[k]);
      if (!plot.log_y || series.y[k] > 0) ys.include(series.y[k]);
    }
  if (xs.empty() || ys.empty()) return "";
  if (plot.from_zero || plot.stacked) ys.include(0);
  if (ys.low == ys.high) ys.high = ys.low + (ys.low == 0 ? 1 : std::abs(ys.low) * 0.1);
  if (xs.low == xs.high) xs.high = xs.low + 1;
  const Scale x{xs.low, xs.high, kLeft, kWidth - kRight, false};
  const Scale y{ys.low, ys.high, kHeight - kBottom, kTop, plot.log_y};

  std::string marks;
  for (std::size_t i = drawn.size(); i-- > 0;) {
    const Series& series = drawn[i];
    const std::string colour = fmt::format("var(--c{})", i % kColours);
    if (plot.stacked) {
      marks += fmt::format("<path d='{}' fill='{}' fill-opacity='.8'/>", area_path(series, i ? &drawn[i - 1] : nullptr, x, y), colour);
      continue;
    }
    marks += fmt::format("<path d='{}' fill='none' stroke='{}' stroke-width='1.5'/>", line_path(series, x, y), colour);
    if (series.points)
      for (std::size_t k = 0; k < series.x.size(); ++k)
        if (std::isfinite(series.y[k]))
          marks += fmt::format("<circle cx='{:.1f}' cy='{:.1f}' r='3' fill='{}'/>", x(series.x[k]), y(series.y[k]), colour);
  }
  std::vector<std::string> names;
  for (const Series& series : drawn) names.push_back(series.name);
  return fmt::format(
      "<figure><figcaption>{}</figcaption>{}<svg viewBox='0 0 {} {}' role='img' aria-label='{}' data-series='{}'>{}{}<path class='cursor' "
      "d=''/></svg>"
      "<output></output></figure>\n",
      escaped(plot.title), legend(names), kWidth, kHeight, escaped(plot.title), data_attribute(drawn, x), axes(plot, x, y), marks);
}

std::string to_svg(const Bars& bars) {
  Range range;
  range.include(0);
  for (const Bars::Row& row : bars.rows)
    for (double value : row.values) range.include(value);
  if (bars.rows.empty() || range.high <= 0) return "";
  constexpr double kBar = 12, kNames = 170, kValues = 70;
  const double row_height = kBar * static_cast<double>(bars.groups.size()) + 10;
  const double height = row_height * static_cast<double>(bars.rows.size()) + 8;
  std::string marks;
  for (std::size_t r = 0; r < bars.rows.size(); ++r) {
    const double top = 4 + row_height * static_cast<double>(r);
    marks += fmt::format("<text x='{}' y='{:.1f}' text-anchor='end' dy='4'>{}</text>", kNames - 8, top + (row_height - 10) / 2,
                         escaped(bars.rows[r].name));
    for (std::size_t g = 0; g < bars.rows[r].values.size(); ++g) {
      const double value = bars.rows[r].values[g];
      if (!std::isfinite(value)) continue;
      const double width = value / range.high * (kWidth - kNames - kValues), y = top + kBar * static_cast<double>(g);
      marks +=
          fmt::format("<rect x='{}' y='{:.1f}' width='{:.1f}' height='{}' fill='var(--c{})'/><text x='{:.1f}' y='{:.1f}' dy='10'>{}</text>",
                      kNames, y, std::max(width, 0.5), kBar - 1, g, kNames + width + 5, y, number(std::round(value * 1000) / 1000));
    }
  }
  return fmt::format("<figure><figcaption>{} ({})</figcaption>{}<svg viewBox='0 0 {} {}' role='img' aria-label='{}'>{}</svg></figure>\n",
                     escaped(bars.title), escaped(bars.unit), legend(bars.groups), kWidth, height, escaped(bars.title), marks);
}

}  // namespace longhaul::report
