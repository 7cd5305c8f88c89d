#include "report/heat_map.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace longhaul::report {
namespace {

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t found = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

TEST(HeatMap, NamesTensorsByLayer) {
  EXPECT_EQ(short_tensor_name("model.layers.3.mlp.up_proj.weight"), "L3 mlp.up_proj");
  EXPECT_EQ(short_tensor_name("transformer.h.11.attn.c_attn.bias"), "L11 attn.c_attn.bias");
  EXPECT_EQ(short_tensor_name("model.embed_tokens.weight"), "embed_tokens");
  EXPECT_EQ(short_tensor_name("lm_head.weight"), "lm_head");
}

TEST(HeatMap, DrawsValuesAboveZeroOnALogarithmicScale) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const HeatMap map{"Norms", "step", {"a", "b<c"}, {1, 2}, {{1e-3, 1}, {0, nan}}};
  const std::string svg = to_svg(map);
  EXPECT_EQ(count(svg, "<path"), 4u) << "two shades, wide and narrow";
  EXPECT_EQ(count(svg, "h-"), 4u) << "a cell for each value above 0";
  EXPECT_NE(svg.find("0.001"), std::string::npos);
  EXPECT_NE(svg.find("b&lt;c"), std::string::npos);
  EXPECT_EQ(to_svg(HeatMap{"None", "step", {"a"}, {1}, {{0}}}), "");
  EXPECT_EQ(to_svg(HeatMap{"None", "step", {}, {}, {}}), "");
}

TEST(HeatMap, OfManyColumnsDrawsSomeWithTheLastAndNamesLayers) {
  HeatMap map{"Many", "step", {}, {}, {}};
  for (int c = 0; c < 1000; ++c) map.columns.push_back(c + 1);
  for (int r = 0; r < 100; ++r) {
    map.rows.push_back("L" + std::to_string(r / 10) + " t" + std::to_string(r % 10));
    map.values.emplace_back(1000, 1.0 + r);
  }
  const std::string svg = to_svg(map);
  EXPECT_EQ(count(svg, "h-"), 2u * 100 * 60);
  EXPECT_NE(svg.find(">1000<"), std::string::npos);
  EXPECT_EQ(count(svg, ">L7<"), 2u);
  EXPECT_EQ(count(svg, "t7"), 0u);
}

}  // namespace
}  // namespace longhaul::report
