#include "cost/stages.h"

#include <algorithm>
#include <cmath>

#include "cost/work.h"
#include "model/param_table.h"
#include "program/holdings.h"

namespace longhaul::cost {
namespace {

using model::ModelSpec;
using model::ParamTable;
using model::ParamTensor;

std::vector<StageContent> with_ends(const std::vector<int>& layers) {
  std::vector<StageContent> stages(layers.size());
  for (std::size_t i = 0; i < layers.size(); ++i) stages[i].layers = layers[i];
  stages.front().embedding = true;
  stages.back().norm = stages.back().head = stages.back().loss = true;
  return stages;
}

/// nanotron's PipelineEngine: a block goes to the present stage, and the next stage begins once the sum exceeds this stage's share.
std::vector<StageContent> split_by_cost(const ModelSpec& model, int count) {
  std::vector<StageContent> stages(static_cast<std::size_t>(count));
  const double h = static_cast<double>(model.width);
  const double layer = 4 * h * h + 3 * h * static_cast<double>(model.ffn_width), head = h * static_cast<double>(model.vocab);
  const double total = layer * static_cast<double>(model.layers) + head;
  double sum = 0;
  std::size_t at = 0;
  const auto place = [&](double cost, const auto& put) {
    put(stages[at]);
    sum += cost;
    const double share = total * (static_cast<double>(at + 1) / count);
    if (sum > share && at + 1 < stages.size()) ++at;
  };
  place(0, [](StageContent& s) { s.embedding = true; });
  for (std::int64_t i = 0; i < model.layers; ++i) place(layer, [](StageContent& s) { ++s.layers; });
  place(0, [](StageContent& s) { s.norm = true; });
  place(head, [](StageContent& s) { s.head = true; });
  place(0, [](StageContent& s) { s.loss = true; });  // the cast to fp32
  place(0, [](StageContent& s) { s.loss = true; });  // the cross-entropy
  return stages;
}

/// Embedding and head take the place of a layer each.
std::vector<int> ends_as_layers(int layers, int stages) {
  std::vector<int> out(static_cast<std::size_t>(stages), (layers + 2) / stages);
  --out.front(), --out.back();
  return out;
}

/// Parameters of one layer of a kind, counted from a model that has nothing but it.
HeldParameters count_layer(ModelSpec spec, bool dense, const program::Layout& layout) {
  spec.layers = 1;
  spec.experts.dense_layers = dense ? 1 : 0;
  HeldParameters out;
  const ParamTable table(spec);
  for (const ParamTensor& tensor : table.tensors()) {
    if (tensor.layer < 0) continue;
    const bool routed = tensor.expert >= 0 && tensor.expert < spec.experts.count;
    (routed ? out.experts : out.dense) += static_cast<double>(program::held(tensor, spec, layout));
  }
  return out;
}

}  // namespace

bool ends_count_as_layers(const RunShape& run) {
  const std::int64_t layers = run.model.layers, stages = run.layout.virtual_stages();
  return run.layout.stage_layers.empty() && (run.framework == "megatron-deepspeed" || run.framework == "megatron-lm") && stages > 1 &&
         layers % stages != 0 && (layers + 2) % stages == 0;
}

std::vector<StageContent> split_stages(const RunShape& run) {
  const int layers = static_cast<int>(run.model.layers), stages = run.layout.virtual_stages();
  if (!run.layout.stage_layers.empty()) return with_ends(run.layout.stage_layers);
  if (run.framework == "nanotron") return split_by_cost(run.model, stages);
  if (ends_count_as_layers(run)) return with_ends(ends_as_layers(layers, stages));
  return with_ends(program::even_stages(layers, stages));
}

std::vector<int> layers_of_stages(const RunShape& run) {
  std::vector<int> out;
  for (const StageContent& stage : split_stages(run)) out.push_back(stage.layers);
  return out;
}

StageContent rank_content(const RunShape& run, const std::vector<StageContent>& stages, int rank) {
  StageContent out;
  for (std::size_t i = static_cast<std::size_t>(rank); i < stages.size(); i += static_cast<std::size_t>(run.layout.pp)) {
    out.layers += stages[i].layers;
    out.embedding |= stages[i].embedding, out.norm |= stages[i].norm, out.head |= stages[i].head, out.loss |= stages[i].loss;
  }
  return out;
}

StageParameters::StageParameters(const RunShape& run) : tied_(run.model.tied_embeddings) {
  const ModelSpec& spec = run.model;
  const double share = sparse_share(spec);
  if (share < 1) layer_.dense += (1 - share) * count_layer(spec, true, run.layout).dense;
  if (share > 0) {
    const HeldParameters sparse = count_layer(spec, false, run.layout);
    layer_.dense += share * sparse.dense, layer_.experts += share * sparse.experts;
  }
  ModelSpec ends = spec;
  ends.layers = 1, ends.experts = {}, ends.tied_embeddings = false;
  const ParamTable table(ends);
  for (const ParamTensor& tensor : table.tensors()) {
    if (tensor.layer >= 0) continue;
    const bool is_norm = tensor.role == model::Role::final_norm_weight || tensor.role == model::Role::final_norm_bias;
    (tensor.role == model::Role::head_weight ? head_
     : is_norm                               ? norm_
                                             : embedding_) += static_cast<double>(program::held(tensor, ends, run.layout));
  }
}

HeldParameters StageParameters::of(const StageContent& stage) const {
  HeldParameters out{stage.layers * layer_.dense, stage.layers * layer_.experts};
  if (stage.embedding) out.dense += embedding_;
  if (stage.norm) out.dense += norm_;
  if (stage.head && !(tied_ && stage.embedding)) out.dense += head_;
  return out;
}

std::array<DataGroup, 2> data_groups(const RunShape& run, const HeldParameters& held) {
  using program::Group;
  const program::Layout& layout = run.layout;
  const auto group = [&](double parameters, Group data, Group shard, int stride) {
    return DataGroup{parameters, ranks_of(data, layout, run.model.kv_heads), ranks_of(shard, layout, run.model.kv_heads), stride};
  };
  if (layout.ep == 1) return {group(held.total(), Group::data, Group::shard, layout.tp), DataGroup{}};
  return {group(held.dense, Group::data, Group::shard, layout.tp), group(held.experts, Group::expert_data, Group::expert_shard, layout.ep)};
}

std::vector<HeldParameters> held_by_ranks(const RunShape& run, const StageParameters& parameters, const std::vector<StageContent>& stages) {
  std::vector<HeldParameters> out;
  for (int rank = 0; rank < run.layout.pp; ++rank)
    if (const HeldParameters held = parameters.of(rank_content(run, stages, rank)); out.empty() || !(held == out.back()))
      out.push_back(held);
  return out;
}

double stage_parameters(const RunShape& run, const StageContent& stage) { return StageParameters(run).of(stage).total(); }

}  // namespace longhaul::cost
