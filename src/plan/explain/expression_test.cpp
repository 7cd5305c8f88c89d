#include "plan/explain/expression.h"

#include <gtest/gtest.h>

#include <stdexcept>

namespace longhaul::plan {
namespace {

double value(std::string_view text) {
  return evaluate(text, [](std::string_view symbol) {
    return symbol == "x" ? 3.0 : symbol == "layers_2" ? 5.0 : throw std::out_of_range("no such symbol");
  });
}

TEST(Expression, OperatorsBindAsInPrint) {
  EXPECT_EQ(value("2 + x · layers_2 − 1"), 16);
  EXPECT_EQ(value("12 ÷ x · 2"), 8);
  EXPECT_EQ(value("12 ÷ (x · 2)"), 2);
  EXPECT_EQ(value("2 · x^2^1"), 18);
  EXPECT_EQ(value("2·x²/(6-x)"), 6);
  EXPECT_EQ(value("1.5e1 − 5 − 5"), 5);
}
TEST(Expression, Functions) {
  EXPECT_EQ(value("max(x, layers_2 − 1) + min(x, 1)"), 5);
  EXPECT_EQ(value("sqrt(16) + log2(8) + ceil(x ÷ 2) + exp(0)"), 10);
}
TEST(Expression, WhatIsNoFormulaIsAMistake) {
  for (const char* wrong : {"", "2 +", "(x", "x x", "max(1)", "2 * x", "unknown"}) EXPECT_ANY_THROW(value(wrong)) << wrong;
}
TEST(Expression, SubstitutionLeavesFunctionsAndNumbers) {
  const auto bracket = [](std::string_view symbol) { return "<" + std::string(symbol) + ">"; };
  EXPECT_EQ(substitute("max(a_1, 2e3) · b ÷ a_1", bracket), "max(<a_1>, 2e3) · <b> ÷ <a_1>");
  EXPECT_EQ(symbols("max(a_1, 2e3) · b ÷ a_1"), (std::vector<std::string>{"a_1", "b"}));
}

}  // namespace
}  // namespace longhaul::plan
