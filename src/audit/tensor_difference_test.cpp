#include "audit/tensor_difference.h"

#include <gtest/gtest.h>

#include <vector>

#include "checkpoint/registry.h"
#include "checkpoint/safetensors.h"
#include "files/testing.h"

namespace longhaul::audit {
namespace {

/// A directory with one file of two tensors.
checkpoint::Commit commit_of(const std::filesystem::path& directory, std::string_view group, const std::vector<float>& first,
                             const std::vector<float>& second) {
  std::filesystem::create_directories(directory);
  const auto view = [](const char* name, const std::vector<float>& data) {
    return checkpoint::TensorView{name, ElementType::f32, {std::ssize(data)}, std::as_bytes(std::span(data))};
  };
  checkpoint::write_safetensors(files::Disk(), directory / (std::string(group) + ".safetensors"), {view("a", first), view("b", second)});
  return {1, 0, directory};
}

TEST(TensorDifference, NamesTensorBlockAndElement) {
  const files::testing::TemporaryDirectory scratch;
  std::vector<float> one(10, 1.0F), two(70'000, 2.0F);
  const checkpoint::Commit a = commit_of(scratch.path() / "a", checkpoint::kMoment1, one, two);
  EXPECT_FALSE(first_difference(a, commit_of(scratch.path() / "same", checkpoint::kMoment1, one, two)));
  two[65'540] = 3;
  const auto found = first_difference(a, commit_of(scratch.path() / "b", checkpoint::kMoment1, one, two));
  ASSERT_TRUE(found);
  EXPECT_EQ(found->group + "/" + found->tensor, "moment1/b");
  EXPECT_EQ(found->block, 1);
  EXPECT_EQ(found->element, 65'540);
}

}  // namespace
}  // namespace longhaul::audit
