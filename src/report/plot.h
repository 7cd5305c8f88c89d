// report/plot.h — line plots and bars as SVG in a page: axes with units, a legend, values under the pointer, readable in light and dark.
//
// Hand-written so that a report is one file without network or library. Colours are CSS variables of the page (report/page.cpp); the
// Okabe-Ito palette, distinguishable with the common colour-vision deficiencies.
#pragma once

#include <string>
#include <vector>

namespace longhaul::report {

struct Series {
  std::string name;
  std::vector<double> x, y;  ///< equal lengths; points that are not finite break the line
  bool points = false;       ///< marks instead of a line alone (few values, e.g. validations)
};

struct Plot {
  std::string title;
  std::string x_label, y_label;  ///< with units
  std::vector<Series> series;
  bool log_y = false;
  bool from_zero = false;  ///< the y axis starts at 0
  bool stacked = false;    ///< areas one above the other: all series share their x
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

/// <figure>…</figure>; empty when there is nothing to draw.
std::string to_svg(const Plot& plot);
std::string to_svg(const Bars& bars);

/// Tick positions that people read easily (1, 2, 5 × 10^k), about `count` of them, covering [low, high].
std::vector<double> ticks(double low, double high, int count);
/// Text with &, <, >, " and ' replaced: safe inside HTML and attributes.
std::string escaped(const std::string& text);

}  // namespace longhaul::report
