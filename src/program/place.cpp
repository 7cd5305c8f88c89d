#include "program/place.h"

#include <algorithm>
#include <bit>

namespace longhaul::program {
namespace {

/// Ranks with the same parameters, in the order of their leaves.
std::vector<int> data_ranks(const Layout& layout, const Place& place) {
  std::vector<int> ranks;
  for (int dp = 0; dp < layout.dp; ++dp)
    for (int cp = 0; cp < layout.cp; ++cp) ranks.push_back(rank_of({dp, place.tp, place.pp, cp}, layout));
  return ranks;
}

/// Expert parallelism folds over tp first, then cp and dp: the ranks of a pipeline stage in their own order.
std::vector<int> stage_ranks(const Layout& layout, const Place& place) {
  const int first = rank_of({0, 0, place.pp, 0}, layout);
  std::vector<int> ranks;
  for (int i = 0; i < layout.dp * layout.cp * layout.tp; ++i) ranks.push_back(first + i);
  return ranks;
}

/// Of `ranks`, `count` that follow each other at a distance of `step`, this rank among them.
Members among(const std::vector<int>& ranks, int me, int count, int step) {
  const int at = static_cast<int>(std::find(ranks.begin(), ranks.end(), me) - ranks.begin());
  const int first = at / (count * step) * (count * step) + at % step;
  Members out;
  for (int i = 0; i < count; ++i) out.ranks.push_back(ranks[static_cast<std::size_t>(first + i * step)]);
  out.index = (at - first) / step;
  return out;
}

void subtrees_below(Leaves node, Leaves own, std::vector<Leaves>& out) {
  if (node.end() <= own.first || own.end() <= node.first) return;
  if (own.first <= node.first && node.end() <= own.end()) return out.push_back(node);
  const int left = left_leaves(node.count);
  subtrees_below({node.first, left}, own, out);
  subtrees_below({node.first + left, node.count - left}, own, out);
}

}  // namespace

int rank_of(const Place& p, const Layout& l) { return ((p.pp * l.dp + p.dp) * l.cp + p.cp) * l.tp + p.tp; }

Place place_of(int rank, const Layout& l) {
  Place place;
  place.tp = rank % l.tp;
  place.cp = rank / l.tp % l.cp;
  place.dp = rank / l.tp / l.cp % l.dp;
  place.pp = rank / l.tp / l.cp / l.dp;
  return place;
}

Members members_of(Group group, const Layout& layout, const Place& place, std::int64_t kv_heads) {
  const int me = rank_of(place, layout), count = ranks_of(group, layout, kv_heads), stage = layout.dp * layout.cp * layout.tp;
  const std::vector<int> data = data_ranks(layout, place);
  std::vector<int> world;
  switch (group) {
    case Group::tensor:
      return among(stage_ranks(layout, place), me, layout.tp, 1);
    case Group::heads:
      return among(stage_ranks(layout, place), me, count, 1);
    case Group::context:
      return among(stage_ranks(layout, place), me, layout.cp, layout.tp);
    case Group::data:
    case Group::shard:
      return among(data, me, count, 1);
    case Group::replica:
      return among(data, me, count, layout.shards());
    case Group::expert:
      return among(stage_ranks(layout, place), me, layout.ep, 1);
    case Group::expert_data:
    case Group::expert_shard:
      return layout.ep > 1 ? among(stage_ranks(layout, place), me, count, layout.ep) : among(data, me, count, 1);
    case Group::expert_replica: {
      const int inside = ranks_of(Group::expert_shard, layout, kv_heads);
      return layout.ep > 1 ? among(stage_ranks(layout, place), me, count, layout.ep * inside) : among(data, me, count, inside);
    }
    case Group::pipeline:
      for (int pp = 0; pp < layout.pp; ++pp) world.push_back(rank_of({place.dp, place.tp, pp, place.cp}, layout));
      return among(world, me, layout.pp, 1);
    case Group::embedding: {
      const int first = me % stage, last = first + (layout.pp - 1) * stage;
      return {{first, last}, me == first ? 0 : 1};
    }
    case Group::world:
      for (int rank = 0; rank < layout.world(); ++rank) world.push_back(rank);
      return {world, me};
  }
  return {};
}

Leaves hosted(int virtual_ranks, int dp, int index) {
  const int each = virtual_ranks / dp, more = virtual_ranks % dp;
  return {index * each + std::min(index, more), each + (index < more ? 1 : 0)};
}

int left_leaves(int count) { return static_cast<int>(std::bit_floor(static_cast<unsigned>(count - 1))); }

std::vector<Leaves> subtrees(Leaves own, int all) {
  std::vector<Leaves> out;
  subtrees_below({0, all}, own, out);
  return out;
}

bool siblings(Leaves left, Leaves right, int all) {
  if (left.end() != right.first) return false;
  const std::vector<Leaves> merged = subtrees({left.first, left.count + right.count}, all);
  return merged.size() == 1 && left_leaves(merged[0].count) == left.count;
}

}  // namespace longhaul::program
