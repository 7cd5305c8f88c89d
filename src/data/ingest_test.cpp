#include "data/ingest.h"

#include <gtest/gtest.h>

#include <string>

namespace longhaul::data {
namespace {

TEST(Split, DependsOnTheDocumentAndTheSaltAlone) {
  int heldout = 0, moved = 0;
  for (int i = 0; i < 20000; ++i) {
    const std::string text = "document " + std::to_string(i);
    const bool here = is_heldout(text, "longhaul", 0.05);
    EXPECT_EQ(here, is_heldout(text, "longhaul", 0.05));
    EXPECT_TRUE(!here || is_heldout(text, "longhaul", 0.10)) << "a larger fraction keeps what a smaller one holds out";
    heldout += here;
    moved += here != is_heldout(text, "another", 0.05);
  }
  EXPECT_NEAR(heldout, 1000, 154);  // five standard deviations of a binomial with p = 0.05
  EXPECT_NEAR(moved, 1900, 207);    // independent salts: 2·p·(1−p)
  EXPECT_FALSE(is_heldout("document", "longhaul", 0));
}

TEST(Split, IsTheSameOnEveryMachineForEver) {
  // Stored when the split was defined: a change here moves documents between training and validation.
  std::string pattern;
  for (int i = 0; i < 32; ++i) pattern += is_heldout("document " + std::to_string(i), "longhaul", 0.25) ? '1' : '0';
  EXPECT_EQ(pattern, "00010001100001001111001010011001");
}

}  // namespace
}  // namespace longhaul::data
