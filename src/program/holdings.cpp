#include "program/holdings.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

namespace longhaul::program {
namespace {

using model::ModelSpec;
using model::ParamTable;
using model::ParamTensor;
using model::Role;

bool is_key_or_value(Role role) { return role == Role::k_weight || role == Role::v_weight || role == Role::k_bias || role == Role::v_bias; }
bool is_table(const ParamTensor& tensor) { return tensor.role == Role::token_embedding || tensor.role == Role::position_embedding; }
bool is_routed(const ParamTensor& tensor, const ModelSpec& spec) { return tensor.expert >= 0 && tensor.expert < spec.experts.count; }

bool is_partial(const ParamTensor& tensor, const Layout& layout) {
  if (layout.tp == 1 || tensor.split_axis >= 0) return false;
  return layout.sequence_parallel || tensor.role == Role::q_norm || tensor.role == Role::k_norm;
}

/// A bucket that is being filled.
class Filling {
 public:
  Filling(const ParamTable& table, std::string_view part, int stage, int layer, bool experts) : table_(table) {
    bucket_.part = part;
    bucket_.stage = stage;
    bucket_.layer = layer;
    bucket_.experts = experts;
  }

  /// @param head  the copy of a tied head
  void add(const ParamTensor& tensor, const ModelSpec& spec, const Layout& layout, bool head = false) {
    const std::int64_t count = held(tensor, spec, layout);
    if (count == 0) return;
    bucket_.weights_at.add({index(tensor), head, weights_.place(tensor, count), 0, count});
    if (is_partial(tensor, layout)) bucket_.partial += count;
    if (tensor.multiplies || is_table(tensor)) return;
    bucket_.vectors_at.add({index(tensor), head, bucket_.vectors, 0, count});
    bucket_.vectors += count;
  }
  void add_product(const ParamTensor& tensor, std::int64_t count) {
    if (count > 0) bucket_.products_at.add({index(tensor), false, products_.place(tensor, count), 0, count});
  }
  /// A second accumulator beside the first, that of a tied head.
  void add_accumulator(const ParamTensor& tensor, std::int64_t count) { head_accumulator_ = {index(tensor), true, 0, 0, count}; }

  Bucket done() {
    bucket_.weights = rounded_up(weights_.end(), kWeightAlignment);
    bucket_.products = products_.end();
    bucket_.gradients_at = bucket_.weights_at;
    head_accumulator_.offset = bucket_.weights;
    bucket_.gradients_at.add(head_accumulator_);
    bucket_.gradients = bucket_.weights + head_accumulator_.count();
    return bucket_;
  }

 private:
  int index(const ParamTensor& tensor) const { return static_cast<int>(&tensor - table_.tensors().data()); }

  const ParamTable& table_;
  Bucket bucket_;
  Packing weights_{kWeightAlignment}, products_{kOperandAlignment};
  Placed head_accumulator_;
};

class Filler {
 public:
  Filler(const ModelSpec& spec, const ParamTable& table, const Layout& layout, int rank, Holdings& out)
      : spec_(spec), table_(table), layout_(layout), rank_(rank), out_(out) {}

  void fill() {
    const int last = layout_.virtual_stages() - 1;
    out_.of_layer.assign(static_cast<std::size_t>(spec_.layers), -1);
    out_.experts_of_layer = out_.of_layer;
    if (layout_.alone()) {
      out_.embed = out_.embed_rest = out_.final_norm = out_.head = open("", 0, -1);
      out_.of_layer.assign(out_.of_layer.size(), out_.embed);
      out_.experts_of_layer = out_.of_layer;
    } else {
      if (rank_ == 0) out_.embed = open("embed", 0, -1);
      if (rank_ == 0 && (spec_.position == model::PositionKind::learned || spec_.embedding_norm))
        out_.embed_rest = open("embed_rest", 0, -1);
      for (int stage = rank_; stage <= last; stage += layout_.pp) open_layers(stage);
      if (holds(last)) {
        out_.final_norm = open("final_norm", last, -1);
        out_.head = open("head", last, -1);
      }
    }
    for (const ParamTensor& tensor : table_.tensors()) add(tensor);
    if (spec_.tied_embeddings && out_.head >= 0) add_tied_head(table_.at(Role::token_embedding));
    for (Filling& filling : fillings_) out_.buckets.push_back(filling.done());
  }

 private:
  bool holds(int stage) const { return stage % layout_.pp == rank_; }

  int open(std::string_view part, int stage, int layer, bool experts = false) {
    fillings_.emplace_back(table_, part, stage, layer, experts);
    return static_cast<int>(fillings_.size()) - 1;
  }
  void open_layers(int stage) {
    for (int layer = out_.first_layer[stage]; layer < out_.first_layer[stage + 1]; ++layer) {
      out_.of_layer[layer] = out_.experts_of_layer[layer] = open("", stage, layer);
      if (spec_.has_experts(layer) && layout_.ep > 1) out_.experts_of_layer[layer] = open("experts", stage, layer, true);
    }
  }
  int bucket_of(const ParamTensor& tensor) const {
    if (tensor.layer >= 0) return (is_routed(tensor, spec_) ? out_.experts_of_layer : out_.of_layer)[tensor.layer];
    if (tensor.role == Role::head_weight) return out_.head;
    if (tensor.role == Role::token_embedding) return out_.embed;
    return tensor.role == Role::final_norm_weight || tensor.role == Role::final_norm_bias ? out_.final_norm : out_.embed_rest;
  }
  void add(const ParamTensor& tensor) {
    const int bucket = bucket_of(tensor);
    if (bucket < 0) return;
    fillings_[bucket].add(tensor, spec_, layout_);
    if (!tensor.multiplies) return;
    // A tied head reads the operand copy of the embedding.
    const int reader = tensor.role == Role::token_embedding ? out_.head : bucket;
    if (reader >= 0) fillings_[reader].add_product(tensor, held(tensor, spec_, layout_));
  }
  /// Beside the embedding the head has its own accumulator; on another rank its own copy of the weights.
  void add_tied_head(const ParamTensor& embedding) {
    Filling& head = fillings_[out_.head];
    if (out_.embed >= 0)
      head.add_accumulator(embedding, held(embedding, spec_, layout_));
    else
      head.add(embedding, spec_, layout_, true), head.add_product(embedding, held(embedding, spec_, layout_));
  }

  const ModelSpec& spec_;
  const ParamTable& table_;
  const Layout& layout_;
  const int rank_;
  Holdings& out_;
  std::vector<Filling> fillings_;
};

}  // namespace

std::int64_t held(const ParamTensor& tensor, const ModelSpec& spec, const Layout& layout) {
  if (is_routed(tensor, spec) && layout.ep > 1) return tensor.expert < spec.experts.count / layout.ep ? tensor.count : 0;
  if (tensor.split_axis < 0) return tensor.count;
  const std::int64_t parts = is_key_or_value(tensor.role) ? key_value_parts(layout, spec.kv_heads) : layout.tp;
  const std::int64_t axis = tensor.shape[static_cast<std::size_t>(tensor.split_axis)];
  return tensor.count / axis * ((axis + parts - 1) / parts);
}

std::string Bucket::name() const {
  const std::string of_layer = layer >= 0 ? fmt::format("L{}", layer) : "";
  return of_layer + (layer >= 0 && !part.empty() ? "." : "") + std::string(part);
}

std::int64_t Packing::place(const ParamTensor& tensor, std::int64_t count) {
  if (tensor.offset != end_in_table_) end_ = rounded_up(end_, alignment_);
  const std::int64_t begin = end_;
  end_ += count;
  end_in_table_ = tensor.offset + tensor.count;
  return begin;
}

std::vector<int> layers_of_stages(const ModelSpec& spec, const Layout& layout) {
  return layout.stage_layers.empty() ? even_stages(static_cast<int>(spec.layers), layout.virtual_stages()) : layout.stage_layers;
}

Holdings::Holdings(const ModelSpec& spec, const ParamTable& table, const Layout& layout, int pipeline_rank) {
  first_layer.push_back(0);
  for (const int layers : layers_of_stages(spec, layout)) first_layer.push_back(first_layer.back() + layers);
  Filler(spec, table, layout, pipeline_rank, *this).fill();
}

}  // namespace longhaul::program
