// report/plot.h — line plots and bars as SVG in a page: axes with units, a legend, values under the pointer, readable in light and dark.
//
// Hand-written so that a page is one file without network or library. Each plot is drawn twice, for a wide page and for a telephone: the
// page's style shows the one that fits, so that letters keep their size. Colours are CSS variables of the page (assets/page.css).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "scaling/law.h"

namespace longhaul::report {

struct Series {
  std::string name;          ///< in the legend; empty: not there
  std::vector<double> x, y;  ///< equal lengths; points that are not finite break the line
  bool points = false;       ///< marks beside the line (few values, e.g. validations)
  int colour = -1;           ///< of the palette's eleven; -1: by its place among the series
  bool dashed = false;
  std::string label{};  ///< written at the line's last point
  bool joined = true;   ///< false: marks alone
};

/// A line across the plot where something happened, with its name under the pointer.
struct PlotMark {
  double x;
  std::string name;
};

struct Plot {
  std::string title;
  std::string x_label, y_label;  ///< with units
  std::vector<Series> series;
  bool log_y = false;
  bool from_zero = false;  ///< the y axis starts at 0
  bool stacked = false;    ///< areas one above the other: all series share their x
  bool log_x = false;
  bool steps = false;  ///< a value holds until the next x: lines go across, then up
  bool robust_y =
      false;  ///< the y axis of values ≥ 0 ends below few far larger ones: each is marked at the top, with its value where it fits
  std::vector<PlotMark> marks{};
  std::optional<scaling::Surface> surface{};  ///< under axes N and D, both logarithmic: the pointer then reads N, D, loss and 6ND
};

/// One horizontal bar a row: planned beside measured.
struct Bars {
  std::string title;
  std::string unit;
  struct Row {
    std::string name;
    std::vector<double> values;  ///< one per entry of `groups`; NaN: absent
  };
  std::vector<std::string> groups;
  std::vector<Row> rows;
};

/// Where a robust axis of these values (≥ 0) ends: at the largest that is at most three times their 75th percentile, with room above for
/// marks; nothing where no value is larger than that, so that the axis is a plain one.
std::optional<double> robust_top(std::vector<double> values);

/// <figure>…</figure>; empty when there is nothing to draw.
std::string to_svg(const Plot& plot);
std::string to_svg(const Bars& bars);

/// Tick positions that people read easily (1, 2, 5 × 10^k), about `count` of them, covering [low, high].
std::vector<double> ticks(double low, double high, int count);
/// Powers of ten in [low, high], and 2 and 5 times them where there are few; thinned to about `count`.
std::vector<double> log_ticks(double low, double high, int count);
/// Text with &, <, >, " and ' replaced: safe inside HTML and attributes.
std::string escaped(const std::string& text);

}  // namespace longhaul::report
