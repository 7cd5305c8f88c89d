#include "report/plot.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <sstream>

#include "report/page.h"

namespace longhaul::report {
namespace {

TEST(Plot, TicksAreRoundAndInsideTheRange) {
  EXPECT_EQ(ticks(0, 10, 5), (std::vector<double>{0, 2, 4, 6, 8, 10}));
  EXPECT_EQ(ticks(95, 1000, 5), (std::vector<double>{200, 400, 600, 800, 1000}));
  EXPECT_EQ(ticks(3, 3, 5), std::vector<double>{3});
}

TEST(Plot, NothingToDrawIsNothing) {
  EXPECT_EQ(to_svg(Plot{"empty", "x", "y", {}}), "");
  EXPECT_EQ(to_svg(Plot{"all nan", "x", "y", {{"a", {1, 2}, {NAN, NAN}}}}), "");
}

TEST(Plot, NotFiniteValuesBreakTheLine) {
  const std::string svg = to_svg(Plot{"loss", "step", "nats", {{"a", {1, 2, 3, 4, 5}, {1, 2, NAN, 4, 5}}}});
  const std::size_t path = svg.find("fill='none' stroke='var(--c0)'");
  ASSERT_NE(path, std::string::npos);
  const std::string d = svg.substr(svg.rfind("d='", path), path - svg.rfind("d='", path));
  EXPECT_EQ(std::count(d.begin(), d.end(), 'M'), 2);
  EXPECT_EQ(svg.find("nan"), std::string::npos);
}

TEST(Plot, LongSeriesKeepTheirExtremes) {
  Series series{"a", {}, {}};
  for (int i = 0; i < 100000; ++i) {
    series.x.push_back(i);
    series.y.push_back(i == 51234 ? 9.25 : std::sin(i));
  }
  const std::string svg = to_svg(Plot{"long", "step", "y", {series}});
  EXPECT_LT(svg.size(), 200000U);
  EXPECT_NE(svg.find("[51234,9.25]"), std::string::npos);
}

// Each series is thinned by its own extremes: the edge of an area is that of the series below, wherever its points are.
TEST(Plot, StackedAreasStandOnTheSeriesBelow) {
  Series flat{"flat", {}, {}}, jagged{"jagged", {}, {}};
  for (int i = 0; i < 5000; ++i) {
    flat.x.push_back(i), flat.y.push_back(10);
    jagged.x.push_back(i), jagged.y.push_back(i % 7);
  }
  flat.colour = jagged.colour = 3;
  Plot plot{"stacked", "x", "y", {flat, jagged}};
  plot.stacked = true;
  const std::string svg = to_svg(plot);
  const std::size_t fill = svg.find("fill='var(--c3)' fill-opacity");  // the upper area: it is drawn first
  ASSERT_NE(fill, std::string::npos);
  const std::size_t begin = svg.rfind("d='", fill) + 3;
  const std::string path = svg.substr(begin, svg.find('\'', begin) - begin);
  // The last point of the way back is the first of the series below, and all of the way back is at its height.
  const std::size_t last = path.rfind('L');
  const std::string first_x = path.substr(1, path.find(' ') - 1), last_x = path.substr(last + 1, path.find(' ', last) - last - 1);
  EXPECT_EQ(first_x, last_x);
  const std::string height = path.substr(path.find(' ', last), path.size() - 1 - path.find(' ', last));
  std::size_t at_height = 0;
  for (std::size_t at = path.find(height); at != std::string::npos; at = path.find(height, at + 1)) ++at_height;
  EXPECT_GE(at_height, 700u);
}

/// Heights that the line or the upper edge of the first drawing passes, as shares of the axis.
std::vector<double> heights(const std::string& svg) {
  const std::size_t frame = svg.find("data-frame='[720,");
  const std::size_t drawn = svg.find("stroke='var(--c0)'", frame) != std::string::npos ? svg.find("stroke='var(--c0)'", frame)
                                                                                       : svg.find("fill='var(--c0)' fill-opacity", frame);
  const std::size_t begin = svg.rfind("d='", drawn) + 3;
  std::istringstream path(svg.substr(begin, svg.find('\'', begin) - begin));
  std::vector<double> out;
  for (std::string x, y; std::getline(path, x, ' ') && std::getline(path, y, 'L');) out.push_back((256 - std::stod(y)) / 244);
  return out;
}

TEST(Plot, NoSingleValueFlattensARobustAxis) {
  for (const bool stacked : {false, true})
    for (const std::size_t place : {0U, 7U, 49U})
      for (const double value : {12.0, 1234.0, 1.23e7}) {
        Plot plot{"phases", "step", "seconds", {{"a", {}, {}}}};
        plot.stacked = stacked, plot.robust_y = plot.from_zero = true;
        for (std::size_t i = 0; i < 50; ++i)
          plot.series[0].x.push_back(static_cast<double>(i)),
              plot.series[0].y.push_back(i == place ? value : 1 + 0.01 * static_cast<double>(i));
        const std::string svg = to_svg(plot);
        std::vector<double> shares = heights(svg);
        ASSERT_GE(shares.size(), 50U);
        EXPECT_NEAR(shares[place], 1, 0.01) << "the outlier reaches the upper edge";
        EXPECT_GT(shares[(place + 20) % 50], 0.5) << value;
        EXPECT_NE(svg.find("class='outlier'"), std::string::npos);
        EXPECT_NE(svg.find(fmt::format(">{:.3g}</text>", value)), std::string::npos) << "its value is written beside the mark";
        EXPECT_NE(svg.find(fmt::format("[{},{:.6g}]", place, value)), std::string::npos) << "the pointer reads the value itself";
      }
}

TEST(Plot, AnAxisIsCutForFewFarValuesOnly) {
  EXPECT_EQ(robust_top({}), std::nullopt);
  EXPECT_EQ(robust_top({1, 1, 1, 2.9}), std::nullopt) << "not far";
  EXPECT_EQ(robust_top({1, 1, 1, 9, 9, 9, 9, 9}), std::nullopt) << "not few";
  EXPECT_EQ(robust_top({0, 0, 0, 0, 5}), std::nullopt) << "no scale to speak of";
  EXPECT_EQ(robust_top({NAN, INFINITY, 1, 1, 1, 1}), std::nullopt) << "no value";
  EXPECT_DOUBLE_EQ(robust_top({2, 1, 2, 1, 2, 60}).value(), 2 * 1.15);
  EXPECT_EQ(to_svg(Plot{"a", "x", "y", {{"a", {1, 2, 3}, {1, 2, 3}}}}).find("outlier"), std::string::npos);
}

TEST(Plot, ThePointerReadsASeriesOwnValueWhereAreasAreStacked) {
  Plot plot{"stacked", "x", "y", {{"low", {1, 2}, {10, 10}}, {"high", {1, 2}, {3, 4}}}};
  plot.stacked = true;
  const std::string svg = to_svg(plot);
  EXPECT_NE(svg.find("[&quot;high&quot;,[[1,3],[2,4]]]"), std::string::npos) << svg;
}

TEST(Plot, TextFromOutsideIsEscaped) {
  const std::string svg = to_svg(Plot{"<script>alert(1)</script>", "x", "y", {{"a'b\"c", {1, 2}, {1, 2}}}});
  EXPECT_EQ(svg.find("<script>"), std::string::npos);
  EXPECT_EQ(svg.find("a'b"), std::string::npos);
  EXPECT_EQ(table({"<h>"}, {{"<img src=x>"}}).find("<img"), std::string::npos);
}

}  // namespace
}  // namespace longhaul::report
