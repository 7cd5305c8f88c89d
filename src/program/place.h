// program/place.h — where a rank is in a layout, who shares a group with it, and which leaves of the gradient it hosts.
//
// Ranks are numbered with tp fastest, then cp, dp, pp (the order of Megatron-LM), so that the groups that talk most are nearest. Leaves
// (numerics contract): the batch's V virtual ranks are hosted contiguously, the first V mod dp ranks have one more; with context
// parallelism each of them is cp leaves, one a sequence shard. The tree over n leaves splits at the largest power of two below n, left part
// first, so a rank whose leaves are no whole subtree hands over several: the largest that it owns.
#pragma once

#include <cstdint>
#include <vector>

#include "program/layout.h"

namespace longhaul::program {

struct Place {
  int dp = 0, tp = 0, pp = 0, cp = 0;
  bool operator==(const Place&) const = default;
};
int rank_of(const Place& place, const Layout& layout);
Place place_of(int rank, const Layout& layout);

/// A group that this rank belongs to: its members as ranks of the world, in the order in which pieces are dealt out, and its own index.
struct Members {
  std::vector<int> ranks;
  int index = 0;
  int count() const { return static_cast<int>(ranks.size()); }
};
Members members_of(Group group, const Layout& layout, const Place& place, std::int64_t kv_heads);

/// Consecutive leaves: of a rank, or below one node of the tree.
struct Leaves {
  int first = 0, count = 0;
  int end() const { return first + count; }
  bool operator==(const Leaves&) const = default;
};
/// The virtual ranks that a data-parallel rank hosts: the first V mod dp have ⌈V/dp⌉, the others ⌊V/dp⌋.
Leaves hosted(int virtual_ranks, int dp, int index);
/// The largest nodes of the tree over `all` leaves that lie in `own`, from left to right.
std::vector<Leaves> subtrees(Leaves own, int all);
/// Whether the two are the left and the right part of one node of the tree over `all` leaves.
bool siblings(Leaves left, Leaves right, int all);
/// Leaves of the left part of a node of `count` leaves: the largest power of two below count.
int left_leaves(int count);

}  // namespace longhaul::program
