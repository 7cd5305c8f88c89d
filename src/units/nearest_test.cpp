#include "units/nearest.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace longhaul {
namespace {

TEST(Nearest, TheDistanceCountsEdits) {
  EXPECT_EQ(edit_distance("", ""), 0U);
  EXPECT_EQ(edit_distance("abc", ""), 3U);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3U);
  EXPECT_EQ(edit_distance("lerning", "learning"), 1U);
  EXPECT_EQ(edit_distance("baet1", "beta1"), 2U);
  EXPECT_EQ(edit_distance("bewt", "bwet"), 1U) << "neighbours swapped";
  EXPECT_EQ(edit_distance(std::string(1'000'000, 'x'), "beta1"), 1'000'000U) << "junk is not compared letter by letter";
}

TEST(Nearest, IsTheFirstOfEquals) {
  EXPECT_EQ(nearest("interleved", std::vector<std::string>{"gpipe", "interleaved", "zb_h1"}), "interleaved");
  EXPECT_EQ(nearest("x", std::vector<std::string_view>{"a", "b"}), "a");
}

}  // namespace
}  // namespace longhaul
