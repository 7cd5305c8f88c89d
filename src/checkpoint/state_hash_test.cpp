#include "checkpoint/state_hash.h"

#include <gtest/gtest.h>

#include <cstring>
#include <set>

#include "checkpoint/testing.h"

namespace longhaul::checkpoint {
namespace {

using testing::State;

void flip(std::span<float> data, std::size_t element, int bit) {
  std::uint32_t bits = 0;
  std::memcpy(&bits, &data[element], sizeof bits);  // not through a float: a signalling NaN must not be quieted
  bits ^= std::uint32_t{1} << bit;
  std::memcpy(&data[element], &bits, sizeof bits);
}

TEST(StateHash, AnyBitOfAnyElementChangesTheRoot) {
  State state(3, 2);
  const std::string before = state.hash();
  std::set<std::string> seen = {before};
  int flips = 0;
  for (TensorEntry& tensor : state.registry()) {
    for (std::size_t i = 0; i < tensor.data.size(); ++i) {
      for (int bit = 0; bit < 32; ++bit, ++flips) {
        flip(tensor.data, i, bit);
        EXPECT_TRUE(seen.insert(state.hash()).second) << tensor.group << '/' << tensor.name << " element " << i << " bit " << bit;
        flip(tensor.data, i, bit);
      }
    }
  }
  EXPECT_EQ(flips, 4 * (2 * 12 + 7) * 32);
  EXPECT_EQ(state.hash(), before);
}

TEST(StateHash, RandomBitsOfALargeStateToo) {
  State state(4, 40'000);  // five blocks in the largest tensor, the last one short
  const std::string before = state.hash();
  std::mt19937_64 random(5);
  for (int i = 0; i < 200; ++i) {
    TensorEntry& tensor = state.registry()[random() % state.registry().size()];
    const std::size_t element = random() % tensor.data.size();
    const int bit = static_cast<int>(random() % 32);
    flip(tensor.data, element, bit);
    EXPECT_NE(state.hash(), before);
    flip(tensor.data, element, bit);
  }
  EXPECT_EQ(state.hash(), before);
}

TEST(StateHash, ThreadsDoNotReachIt) {
  const State state(6, 50'000);
  const StateHash one = hash_state(state.tensors(), 1);
  for (const int threads : {2, 3, 8}) {
    const StateHash many = hash_state(state.tensors(), threads);
    EXPECT_EQ(many.root, one.root);
    EXPECT_EQ(many.tensors, one.tensors);
  }
}

TEST(StateHash, ARankCanHashJustItsPart) {
  const State state(7, 40'000);
  std::vector<Digest> tensors;
  for (const TensorEntry& tensor : state.tensors()) {
    std::vector<Digest> blocks;
    for (std::size_t begin = 0; begin < tensor.data.size(); begin += kHashBlockElements) {
      blocks.push_back(hash_block(tensor.data.subspan(begin, std::min<std::size_t>(kHashBlockElements, tensor.data.size() - begin))));
    }
    tensors.push_back(hash_tensor(tensor.group, tensor.name, tensor.shape, blocks));
  }
  EXPECT_EQ(hash_root(tensors), hash_state(state.tensors()).root);
}

TEST(StateHash, NamesShapesGroupsAndTheOrderOfTensorsCount) {
  State state(8);
  const std::string before = state.hash();
  TensorEntry& first = state.registry()[0];
  const TensorEntry kept = first;
  first.name = "other";
  EXPECT_NE(state.hash(), before);
  first = kept;
  first.shape = {8, 5};
  EXPECT_NE(state.hash(), before);
  first = kept;
  std::swap(state.registry()[0], state.registry()[1]);
  EXPECT_NE(state.hash(), before);
  std::swap(state.registry()[0], state.registry()[1]);
  std::swap(state.registry()[0].data, state.registry()[3].data);  // weights for moments
  EXPECT_NE(state.hash(), before);
}

TEST(StateHash, HowGroupsInterleaveInTheRegistryDoesNotCount) {
  State state(9);
  const std::string before = state.hash();
  std::vector<TensorEntry>& tensors = state.registry();
  std::stable_sort(tensors.begin(), tensors.end(), [](const TensorEntry& a, const TensorEntry& b) { return a.name < b.name; });
  ASSERT_EQ(tensors[1].group, "moment1");
  EXPECT_EQ(state.hash(), before);
}

// Frozen: ledgers and manifests of older programs hold these values.
TEST(StateHash, GoldenValue) {
  std::vector<float> a = {1.0f, -2.0f, 0.5f, 0.0f, -0.0f, 3.25f}, b(65'537, 1.0f), none;
  const std::vector<TensorEntry> tensors = {
      {"a", {2, 3}, a, "weights"}, {"b", {65'537}, b, "weights"}, {"none", {0, 4}, none, "weights"}, {"a", {2, 3}, a, "moment1"}};
  EXPECT_EQ(hash_state(tensors).root.hex(), "191e4f5a5071d2378b741e0cf3e05ce2");
}

TEST(Digest, HexReadsBack) {
  const Digest digest = hash_root({});
  EXPECT_EQ(digest_from_hex(digest.hex()), digest);
  for (const char* bad : {"", "00", "0123456789abcdef0123456789abcdeg", "0123456789ABCDEF0123456789ABCDEF"}) {
    EXPECT_EQ(digest_from_hex(bad), std::nullopt);
  }
}

TEST(Registry, MistakesAreNamed) {
  std::vector<float> values(6);
  const auto check = [](const TensorEntry& a, const TensorEntry& b) { check_registry(std::vector{a, b}); };
  const TensorEntry good = {"a", {2, 3}, values, "weights"};
  EXPECT_NO_THROW(check(good, {"b", {6}, values, "weights"}));
  EXPECT_THROW(check(good, good), std::invalid_argument);
  EXPECT_THROW(check(good, {"b", {7}, values, "weights"}), std::invalid_argument);
  EXPECT_THROW(check(good, {"b", {-6, -1}, values, "weights"}), std::invalid_argument);
  EXPECT_THROW(check(good, {"b", {6}, values, "../weights"}), std::invalid_argument);
  EXPECT_THROW(check(good, {"", {6}, values, "weights"}), std::invalid_argument);
}

}  // namespace
}  // namespace longhaul::checkpoint
