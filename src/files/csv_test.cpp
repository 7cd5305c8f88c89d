#include "files/csv.h"

#include <gtest/gtest.h>

#include "units/testing.h"

namespace longhaul::files {
namespace {

using longhaul::testing::usage_error;

TEST(Csv, ReadsQuotedCellsAndLineEnds) {
  const Csv csv = Csv::parse(
      "\xEF\xBB\xBF"
      "a,b,c\r\n1,\"x, \"\"y\"\"\nz\",\r\n\r\n-2.5e1,,3\n",
      "f.csv");
  ASSERT_EQ(csv.rows(), 2u);
  EXPECT_EQ(csv.text(0, "b"), "x, \"y\"\nz");
  EXPECT_EQ(csv.number(1, "a"), -25.0);
  EXPECT_EQ(csv.number(1, "b"), std::nullopt);
  EXPECT_EQ(csv.count(1, "c"), 3);
  EXPECT_EQ(csv.text(0, "nosuch"), "");
}

TEST(Csv, ErrorsNameLineAndColumn) {
  const Csv csv = Csv::parse("a,b\n\"1\n2\",x\n3,1.5\n-1,nan\n", "f.csv");
  EXPECT_EQ(usage_error([&] { (void)csv.number(0, "b"); }), "f.csv:2: b 'x' is not a finite number");
  EXPECT_EQ(usage_error([&] { (void)csv.count(1, "b"); }), "f.csv:4: b '1.5' is not a whole number of at least 0");
  EXPECT_EQ(usage_error([&] { (void)csv.count(2, "a"); }), "f.csv:5: a '-1' is not a whole number of at least 0");
  EXPECT_EQ(usage_error([&] { (void)csv.number(2, "b"); }), "f.csv:5: b 'nan' is not a finite number");
  EXPECT_EQ(usage_error([&] { csv.require({"a", "tp", "pp"}); }), "f.csv:1: no column tp, pp; the header has a, b");
  EXPECT_EQ(usage_error([] { (void)Csv::parse("", "f"); }), "f:1: the first line is empty; it must name the columns");
  EXPECT_EQ(usage_error([] { (void)Csv::parse("a,b,a\n", "f"); }), "f:1: column 'a' twice; leave one of them out");
  EXPECT_NE(usage_error([] { (void)Csv::parse("\xFF\xFE,a\n", "f"); }).find("no text"), std::string::npos);
  EXPECT_EQ(usage_error([] { (void)Csv::parse("a,b\n1\n", "f"); }), "f:2: 1 cells, the header has 2 columns");
  EXPECT_EQ(usage_error([] { (void)Csv::parse("a,b\n1,\"2\n", "f"); }), "f:2: a quoted cell has no end");
}

}  // namespace
}  // namespace longhaul::files
