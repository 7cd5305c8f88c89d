#include "cost/traffic.h"

#include <algorithm>

#include "cost/formulas.h"
#include "cost/framework.h"
#include "cost/layer_time.h"
#include "cost/stages.h"
#include "cost/work.h"

namespace longhaul::cost {
namespace {

void add(StepTraffic& out, const RunShape& run, const std::vector<WorkItem>& items, double times) {
  for (const WorkItem& item : items) {
    if (item.kind != WorkKind::collective) continue;
    const program::Layout& layout = run.layout;
    const int ranks = item.group == Group::tensor ? layout.tp : item.group == Group::context ? layout.cp : layout.ep;
    const double halves = item.collective == CollectiveKind::all_reduce ? 2 : 1;
    (item.group == Group::tensor    ? out.tensor
     : item.group == Group::context ? out.context
                                    : out.expert) += times * halves * ring_bytes(item.bytes, ranks);
  }
}

/// Layers of a mixture count as the mean layer.
void add_layers(StepTraffic& out, const RunShape& run, double times) {
  const double sparse = sparse_share(run.model);
  if (sparse < 1) add(out, run, layer_work(run, false), times * (1 - sparse));
  if (sparse > 0) add(out, run, layer_work(run, true), times * sparse);
}

/// Gradients and 16-bit parameters of one group.
double group_bytes(const RunShape& run, const DataGroup& group) {
  const program::Layout& layout = run.layout;
  const double gradient = run.fp32_gradients ? 4 : 2, weight = 2;
  if (layout.zero == 0) return 2 * ring_bytes(gradient * group.parameters, group.ranks);
  const double across = 2 * ring_bytes(gradient * group.parameters / group.shards, group.copies());
  if (!shards_by_layer(run)) return ring_bytes((gradient + weight) * group.parameters, group.shards) + across;
  // Layer by layer: gathered for the forward pass and, sharded weights let go between, once more for the backward pass.
  const double often = layout.pp > 1 ? 1 : run.micro_batches(), gathers = layout.zero == 3 ? 2 : 1;
  return often * ring_bytes((gathers * weight + gradient) * group.parameters, group.shards) + across;
}

}  // namespace

double data_bytes(const RunShape& run, const HeldParameters& held) {
  double bytes = 0;
  for (const DataGroup& group : data_groups(run, held)) bytes += group_bytes(run, group);
  return bytes;
}

StepTraffic step_traffic(const RunShape& run) {
  const std::vector<StageContent> stages = split_stages(run);
  const StageParameters parameters(run);
  const program::Layout& layout = run.layout;
  const double m = run.micro_batches(), message = 2 * tokens(run) * static_cast<double>(run.model.width);
  const bool split = framework(run.framework).splits_messages || layout.sequence_parallel;
  StepTraffic most;
  for (int rank = 0; rank < layout.pp; ++rank) {
    const StageContent content = rank_content(run, stages, rank);
    StepTraffic of_rank;
    add_layers(of_rank, run, m * content.layers);
    if (content.embedding) add(of_rank, run, embedding_work(run), m);
    if (content.head) add(of_rank, run, head_work(run), m);
    for (int stage = rank; stage < layout.virtual_stages(); stage += layout.pp) {
      const int neighbours = (stage > 0) + (stage + 1 < layout.virtual_stages());
      if (layout.pp > 1) of_rank.pipeline += m * neighbours * message / (split ? layout.tp : 1);
    }
    of_rank.data = data_bytes(run, parameters.of(content));
    for (double StepTraffic::*kind :
         {&StepTraffic::tensor, &StepTraffic::context, &StepTraffic::expert, &StepTraffic::pipeline, &StepTraffic::data})
      most.*kind = std::max(most.*kind, of_rank.*kind);
  }
  return most;
}

}  // namespace longhaul::cost
