// Points of a scaling law: headers as people write them, and figures that cannot be.
#include "scaling/points.h"

#include <gtest/gtest.h>

#include "units/error.h"

namespace longhaul::scaling {
namespace {

files::Csv csv(const std::string& text) { return files::Csv::parse(text, "points.csv"); }

void expect_refused(const std::string& text, const std::string& says) {
  try {
    (void)read_points(csv(text));
    ADD_FAILURE() << "taken: " << text;
  } catch (const UsageError& error) {
    EXPECT_NE(std::string(error.what()).find(says), std::string::npos) << error.what();
  }
}

TEST(Points, HeadersAsPeopleWriteThem) {
  for (const char* header : {"params,tokens,loss", "N,D,loss", "Model Size,training_tokens,val_loss", "num_params,Num Tokens,Final Loss"}) {
    const auto points = read_points(csv(std::string(header) + "\n1e9,2e10,2.5\n"));
    ASSERT_EQ(points.size(), 1u) << header;
    EXPECT_DOUBLE_EQ(points[0].at.parameters, 1e9);
    EXPECT_DOUBLE_EQ(points[0].at.tokens, 2e10);
    EXPECT_DOUBLE_EQ(points[0].flops, 1.2e20);
    EXPECT_DOUBLE_EQ(points[0].loss, 2.5);
  }
  const auto of_flops = read_points(csv("x,color,Model Size,Training FLOP,loss\n1,#fff,1e9,1.2e20,2.5\n"));
  EXPECT_DOUBLE_EQ(of_flops[0].at.tokens, 2e10) << "D = FLOP/(6N)";
  EXPECT_DOUBLE_EQ(read_points(csv("tokens,flops,loss\n2e10,1.2e20,2.5\n"))[0].at.parameters, 1e9);
  EXPECT_DOUBLE_EQ(read_points(csv("n,d,c,loss\n1e9,2e10,1.5e20,2.5\n"))[0].flops, 1.5e20) << "all three given: FLOPs as counted";
}

TEST(Points, TellsPointsFromRuns) {
  EXPECT_EQ(kind_of(csv("n,d,loss\n")), TableKind::points);
  EXPECT_EQ(kind_of(csv("id,layers,hidden,gpu\n")), TableKind::runs);
  EXPECT_THROW((void)kind_of(csv("a,b\n1,2\n")), UsageError);
  expect_refused("n,loss\n1e9,2\n", "of the others 1");
  expect_refused("n,d\n1e9,2e10\n", "no column named loss");
}

TEST(Points, RefusesWithFileLineAndColumn) {
  expect_refused("n,d,loss\n1e9,2e10,2.5\n1e9,,2.5\n", "points.csv:3: d '' must be given");
  expect_refused("n,d,loss\n-1e9,2e10,2.5\n", "points.csv:2: n '-1e9' must be parameters from 1");
  expect_refused("n,d,loss\n0,2e10,2.5\n", "n '0'");
  expect_refused("n,d,loss\n1e9,2e10,0\n", "loss '");
  expect_refused("n,d,loss\n1e9,2e10,-2\n", "loss '");
  expect_refused("n,d,loss\n1e9,2e10,nan\n", "loss");
  expect_refused("n,d,loss\n1e9,2e10,inf\n", "loss");
  expect_refused("n,d,loss\n1e9,2e10,1e5\n", "nats per token");
  expect_refused("n,d,loss\n1e9,1e300,2\n", "tokens");
  expect_refused("n,d,loss\n0.5,2e10,2\n", "a billion is 1e9");
  expect_refused("n,d,c,loss\n1e9,2e10,1e18,2\n", "contradicts 6");
  expect_refused("n,c,loss\n1e9,1e3,2\n", "too few to be meant");
  expect_refused("n,d,loss\n", "no points");
}

}  // namespace
}  // namespace longhaul::scaling
