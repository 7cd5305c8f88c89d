#include "report/timeline.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace longhaul::report {
namespace {

/// What the page's script reads.
nlohmann::json data_of(const std::string& html) {
  const std::string open = "<script type='application/json'>";
  const std::size_t begin = html.find(open) + open.size();
  return nlohmann::json::parse(html.substr(begin, html.find("</script>", begin) - begin));
}

TEST(Timeline, SlicesStandInTheirRows) {
  const Timeline timeline{"step", {"a", "b"}, {"forward", "backward"}, {{1, 0, 0, 2, "x"}, {0, 1, 1, 3, "y"}, {0, 1, 3, 3, "none"}}, ""};
  const nlohmann::json data = data_of(to_html(timeline));
  EXPECT_EQ(data.at("end"), 3);
  EXPECT_EQ(data.at("slices"), nlohmann::json::parse(R"([[[1, 1.0, 3.0, "y"]], [[0, 0.0, 2.0, "x"]]])"));
}

TEST(Timeline, NothingToDrawIsNothing) { EXPECT_EQ(to_html({"step", {"a"}, {"k"}, {}, ""}), ""); }

TEST(Timeline, TextCannotLeaveItsElement) {
  const std::string html = to_html({"<b>", {"</script><script>alert(1)"}, {"<i>"}, {{0, 0, 0, 1, "</script>"}}, "<u>"});
  EXPECT_EQ(data_of(html).at("rows").at(0), "</script><script>alert(1)");
  EXPECT_EQ(html.find("<b>"), std::string::npos);
  EXPECT_EQ(html.find("<u>"), std::string::npos);
  EXPECT_EQ(html.find("alert(1)</script>"), std::string::npos);
}

TEST(Timeline, OfTooManyTheFirstAreDrawnAndSaidSo) {
  Timeline timeline{"long", {"a"}, {"k"}, {}, ""};
  for (std::size_t i = 0; i < 2 * kMostSlices; ++i)
    timeline.slices.push_back({0, 0, static_cast<double>(i), static_cast<double>(i + 1), "op"});
  const std::string html = to_html(timeline);
  EXPECT_EQ(data_of(html).at("slices").at(0).size(), kMostSlices);
  EXPECT_NE(html.find("The first 60000 of 120000 operations"), std::string::npos);
}

}  // namespace
}  // namespace longhaul::report
