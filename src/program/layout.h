// program/layout.h — how one step is spread over ranks, and its rules.
//
// world = dp · tp · pp · cp (accounting C1). Expert parallelism folds into dp · cp · tp and does not multiply the world. Ranks are numbered
// with tp fastest, then cp, dp, pp (the order of Megatron-LM), so that the groups that talk most are nearest.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/parallel.h"
#include "model/spec.h"

namespace longhaul::program {

using config::name;
using config::Recompute;
using ScheduleKind = config::PipelineSchedule;

struct Layout {
  int dp = 1, tp = 1, pp = 1, cp = 1, ep = 1;
  int zero = 0;         ///< ZeRO stage, 0 to 3 (Rajbhandari et al. 2020); 3 is FSDP's full shard
  int shard_ranks = 0;  ///< ranks that share one copy of the sharded states (HSDP: fewer than dp · cp); 0: all of them
  int chunks = 1;       ///< virtual stages of a rank (interleaved schedule)
  bool sequence_parallel = false;
  Recompute recompute = Recompute::none;
  ScheduleKind schedule = ScheduleKind::one_f_one_b;
  /// Layers of each virtual stage in the order of the model; empty: see even_stages().
  std::vector<int> stage_layers;

  int world() const { return dp * tp * pp * cp; }
  int virtual_stages() const { return pp * chunks; }
  /// One rank with one stage: nothing to exchange.
  bool alone() const { return world() == 1 && chunks == 1; }
  /// Ranks over which ZeRO divides: shard_ranks or dp · cp.
  int shards() const { return shard_ranks > 0 ? shard_ranks : dp * cp; }
  bool operator==(const Layout&) const = default;
};

/// Ranks that exchange something.
enum class Group : std::uint8_t {
  pipeline,     ///< ranks that differ in pp alone: messages
  tensor,       ///< tensor-parallel ranks
  heads,        ///< of those, the ones that share a key/value head (tp > kv_heads)
  context,      ///< context-parallel ranks
  data,         ///< ranks with the same parameters: dp · cp
  shard,        ///< of those, the ones among which ZeRO divides one copy of the states
  replica,      ///< ranks that hold the same piece (HSDP)
  expert,       ///< ranks among which experts are divided
  expert_data,  ///< ranks with the same experts: dp · cp · tp ÷ ep; its divisions as above
  expert_shard,
  expert_replica,
  embedding,  ///< the first and the last pipeline rank, when they share the embedding
  world,
};
std::string_view name(Group group);
/// Whether a collective of the group has members on different pipeline ranks.
constexpr bool spans_pipeline(Group group) { return group == Group::embedding || group == Group::world; }
/// Ranks of a group. With experts divided (ep > 1), expert parallelism folds over tp first, and an expert is whole on its rank.
int ranks_of(Group group, const Layout& layout, std::int64_t kv_heads);
/// Tensor-parallel ranks with keys and values of their own: where there are more ranks than heads, several hold the same (Group::heads).
std::int64_t key_value_parts(const Layout& layout, std::int64_t kv_heads);

/// The layout of a run file.
Layout layout_of(const config::ParallelTable& parallel);

/// "dp=8,tp=4,pp=2,zero=1": what differs from one rank, in the words of the run file's [parallel] table.
std::string to_text(const Layout& layout);
/// The inverse; keys: layout_keys(), values as in a run file; of shard also "all".
/// Throws UsageError that names the key, the allowed values and the nearest name.
Layout parse_layout(std::string_view text);

/// The keys of [parallel] that reach no bit: dp, tp, pp, cp, ep, zero, shard, virtual, sp, recompute, schedule, stages.
std::span<const std::string_view> layout_keys();
/// One of them, as parse_layout() reads it. Both throw UsageError for an unknown key, the second for a value that the key cannot have.
std::string layout_value(const Layout& layout, std::string_view key);
void set_layout_value(Layout& layout, std::string_view key, std::string_view value);

/// Layers shared out so that no two virtual stages differ by more than one; the longer ones first.
std::vector<int> even_stages(int layers, int stages);

/// What is wrong with a layout for this model, one sentence each that names the field and a fix; empty when it can run.
/// @param micro_batches of one data-parallel rank in a step
std::vector<std::string> contradictions(const model::ModelSpec& spec, const Layout& layout, std::int64_t sequence_length,
                                        int micro_batches);

}  // namespace longhaul::program
