#include "train/ranks.h"

#include <gtest/gtest.h>

#include <atomic>

#include "units/error.h"

namespace longhaul::train {
namespace {

TEST(RunRanks, RunsEveryRankOnce) {
  std::atomic<int> seen{0};
  run_ranks(program::parse_layout("dp=2,pp=2"), 1, [&](comm::Communicator& communicator) {
    EXPECT_EQ(communicator.ranks(), 4);
    EXPECT_EQ(communicator.agree(communicator.rank() + 7), 7);
    seen += 1 << (4 * communicator.rank());
  });
  EXPECT_EQ(seen, 0x1111);
  run_ranks(program::Layout{}, 1, [&](comm::Communicator& communicator) { EXPECT_EQ(communicator.ranks(), 1); });
}

TEST(RunRanks, TheFirstFailureIsNamedWithItsPlaceAndEndsTheOthers) {
  const auto failure = [](int failing) -> std::string {
    try {
      run_ranks(program::parse_layout("dp=2,pp=2"), 1, [&](comm::Communicator& communicator) {
        if (communicator.rank() == failing) throw DataError("shard 3 is damaged");
        (void)communicator.all_gather("never", {});  // waits for the one that fails
      });
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::damaged);
      return error.what();
    }
    return "";
  };
  EXPECT_EQ(failure(3), "rank 3 (dp 1, pp 1): shard 3 is damaged");
  EXPECT_EQ(failure(0), "shard 3 is damaged") << "rank 0 speaks for the job";
}

}  // namespace
}  // namespace longhaul::train
