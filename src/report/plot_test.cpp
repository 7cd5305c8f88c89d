#include "report/plot.h"

#include <gtest/gtest.h>

#include <cmath>

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

TEST(Plot, TextFromOutsideIsEscaped) {
  const std::string svg = to_svg(Plot{"<script>alert(1)</script>", "x", "y", {{"a'b\"c", {1, 2}, {1, 2}}}});
  EXPECT_EQ(svg.find("<script>"), std::string::npos);
  EXPECT_EQ(svg.find("a'b"), std::string::npos);
  EXPECT_EQ(table({"<h>"}, {{"<img src=x>"}}).find("<img"), std::string::npos);
}

}  // namespace
}  // namespace longhaul::report
