#include "comm/team.h"

#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <numeric>
#include <thread>

#include "units/error.h"

namespace longhaul::comm {
namespace {

/// Runs one function on every rank, each on a thread of its own; a rank that throws ends the job. @return what each rank threw
std::vector<std::string> run(Team& team, int ranks, const std::function<void(Communicator&)>& work) {
  std::vector<std::string> thrown(static_cast<std::size_t>(ranks));
  std::vector<std::jthread> threads;
  for (int rank = 0; rank < ranks; ++rank)
    threads.emplace_back([&, rank] {
      const auto communicator = team.communicator(rank);
      try {
        work(*communicator);
      } catch (const std::exception& error) {
        thrown[static_cast<std::size_t>(rank)] = error.what();
        team.fail(rank, error.what());
      }
    });
  threads.clear();
  return thrown;
}

std::span<const std::byte> bytes(const std::vector<int>& numbers) { return std::as_bytes(std::span(numbers)); }
std::span<std::byte> bytes(std::vector<int>& numbers) { return std::as_writable_bytes(std::span(numbers)); }

TEST(Team, MessagesOfAChannelArriveInOrderAndChannelsDoNotMix) {
  Team team(2);
  const auto thrown = run(team, 2, [](Communicator& c) {
    std::vector<int> a(1), b(1);
    if (c.rank() == 0) {
      for (int i = 0; i < 100; ++i) {
        a[0] = i, b[0] = -i;
        c.send(1, "up", bytes(std::as_const(a)));
        c.send(1, "down", bytes(std::as_const(b)));
      }
      return;
    }
    for (int i = 0; i < 100; ++i) {
      c.receive(0, "down", bytes(b));
      EXPECT_EQ(b[0], -i);
    }
    for (int i = 0; i < 100; ++i) {
      c.receive(0, "up", bytes(a));
      EXPECT_EQ(a[0], i);
    }
  });
  EXPECT_EQ(thrown, std::vector<std::string>(2));
}

// Parts are cut otherwise at the two ends; nobody goes on before its memory has been read.
TEST(Team, ExchangesOfPieces) {
  constexpr int kRanks = 5;
  Team team(kRanks);
  const auto thrown = run(team, kRanks, [](Communicator& c) {
    for (int round = 0; round < 50; ++round) {
      std::vector<int> own(7), all(7 * kRanks, -1);
      std::iota(own.begin(), own.end(), 100 * c.rank() + round);
      std::vector<Outgoing> out;
      std::vector<Incoming> in;
      for (int other = 0; other < kRanks; ++other) {
        out.push_back({other, {bytes(std::as_const(own)).first(12), bytes(std::as_const(own)).subspan(12)}});
        in.push_back({other,
                      {bytes(all).subspan(static_cast<std::size_t>(other) * 28, 20),
                       bytes(all).subspan(static_cast<std::size_t>(other) * 28 + 20, 8)}});
      }
      c.exchange("pieces", out, in);
      std::fill(own.begin(), own.end(), -7);  // free again
      for (int other = 0; other < kRanks; ++other)
        for (int i = 0; i < 7; ++i) {
          if (other != c.rank()) {
            ASSERT_EQ(all[static_cast<std::size_t>(other * 7 + i)], 100 * other + round + i);
          }
        }
    }
    EXPECT_EQ(c.traffic().at("pieces"), (Traffic{50 * 28 * 4, 50 * 28 * 4}));
  });
  EXPECT_EQ(thrown, std::vector<std::string>(kRanks));
}

TEST(Team, GathersOfUnequalSizes) {
  Team team(3);
  run(team, 3, [](Communicator& c) {
    const std::vector<int> own(static_cast<std::size_t>(c.rank()), c.rank());
    const auto all = c.all_gather("counts", bytes(own));
    for (int rank = 0; rank < 3; ++rank)
      EXPECT_EQ(all[static_cast<std::size_t>(rank)].size(), static_cast<std::size_t>(rank) * sizeof(int));
    const std::vector<int> word = {c.rank() + 42};
    int heard = 0;
    const auto root = c.broadcast("word", bytes(word));
    ASSERT_EQ(root.size(), sizeof heard);
    std::memcpy(&heard, root.data(), sizeof heard);
    EXPECT_EQ(heard, 42);
  });
}

TEST(Team, ARankThatFailsEndsTheWaitingOfAll) {
  Team team(3);
  const auto thrown = run(team, 3, [](Communicator& c) {
    if (c.rank() == 1) throw Error("out of paper");
    std::vector<int> message(1);
    c.receive(1, "never", bytes(message));
  });
  for (const int rank : {0, 2}) EXPECT_EQ(thrown[static_cast<std::size_t>(rank)], "rank 1: out of paper");
}

// Its memory is freed while others still wait for more: what they had not begun to read is taken back.
TEST(Team, ARankThatGivesUpTakesItsMemoryBack) {
  for (int round = 0; round < 50; ++round) {
    Team team(3);
    const auto thrown = run(team, 3, [](Communicator& c) {
      std::vector<int> own(1 << 16, c.rank()), other(1 << 16);
      if (c.rank() == 1) {
        const auto posted = c.post("pieces", {{0, {bytes(std::as_const(own))}}, {2, {bytes(std::as_const(own))}}}, {});
        throw Error("out of paper");
      }
      c.exchange("pieces", {}, {{1, {bytes(other)}}});
      c.exchange("pieces", {}, {{1, {bytes(other)}}});
    });
    for (const int rank : {0, 2}) EXPECT_EQ(thrown[static_cast<std::size_t>(rank)], "rank 1: out of paper");
  }
}

TEST(Team, ARankThatKeepsOthersWaitingIsNamedWithItsPlace) {
  Team team(2, std::chrono::milliseconds(50));
  const auto thrown = run(team, 2, [](Communicator& c) {
    std::vector<int> message(1);
    c.at(12, "mb3/s0/L1/attn.fwd");
    if (c.rank() == 0) c.receive(1, "never", bytes(message));
    if (c.rank() == 1) std::this_thread::sleep_for(std::chrono::milliseconds(200));
  });
  EXPECT_EQ(thrown[0], "rank 1: rank 0 has waited for it for 0 s; it is at step 12, mb3/s0/L1/attn.fwd");
}

TEST(Team, MessagesOfAnotherSizeAreNamed) {
  Team team(2);
  const auto thrown = run(team, 2, [](Communicator& c) {
    std::vector<int> two(2), one(1);
    if (c.rank() == 0) c.send(1, "rows", bytes(std::as_const(two)));
    if (c.rank() == 1) c.receive(0, "rows", bytes(one));
  });
  EXPECT_EQ(thrown[1], "rank 0: sent 8 bytes of rows to rank 1, which expects 4");
}

}  // namespace
}  // namespace longhaul::comm
