// program/holdings.h — what one rank holds of a model: the tensors of its stages, divided by tensor and expert parallelism, in buckets.
//
// A bucket is what is reduced, gathered or freed at once: the token embedding, what else belongs to it (positions, a norm), each layer (its
// divided experts apart, because they have copies on other ranks), the final norm, the head. Embedding and head are buckets of one tensor
// each, so that they are divided alike where they are tied. A rank alone has nothing to exchange and holds everything in one bucket, laid
// out as the ParamTable. Sizes are those of the largest shard: ranks that differ only in their place in a group are alike.
//
// Shapes (accounting C2; Shoeybi et al. 2019 §3): ParamTensor::split_axis is divided by tp, a key/value head at most once a rank,
// vocabulary rows rounded up. Divided experts (ep > 1) are whole, count ÷ ep of them. A tied head on another rank than the embedding is a
// copy.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "model/param_table.h"
#include "model/spec.h"
#include "program/arrangement.h"
#include "program/layout.h"

namespace longhaul::program {

/// Puts tensors one after the other: starts at multiples of `alignment` elements, but for tensors that act as one, without a gap.
class Packing {
 public:
  explicit Packing(std::int64_t alignment) : alignment_(alignment) {}
  /// @return where the tensor's `count` elements begin
  std::int64_t place(const model::ParamTensor& tensor, std::int64_t count);
  std::int64_t end() const { return end_; }

 private:
  std::int64_t alignment_, end_ = 0, end_in_table_ = -1;
};
inline constexpr std::int64_t kWeightAlignment = 16;   ///< elements of fp32: 64 bytes
inline constexpr std::int64_t kOperandAlignment = 32;  ///< elements of bf16: 64 bytes
constexpr std::int64_t rounded_up(std::int64_t count, std::int64_t multiple) { return (count + multiple - 1) / multiple * multiple; }

/// Elements, gaps included.
struct Bucket {
  std::string_view part;  ///< "embed", "embed_rest", "final_norm", "head", of a layer "experts" or nothing; nothing for everything
  int stage = 0;          ///< virtual stage
  int layer = -1;         ///< -1 outside the layers
  bool experts = false;   ///< divided experts: their copies are the ranks of Group::expert_data
  std::int64_t weights = 0;
  std::int64_t products = 0;   ///< what matrix products read: of the operand copy
  std::int64_t vectors = 0;    ///< norms and biases, read in fp32
  std::int64_t gradients = 0;  ///< of one accumulator; the head's own where it shares the embedding's tensor
  /// Of the gradients, those each tensor-parallel rank has a part of: of replicated tensors where it sees some of the tokens or heads.
  std::int64_t partial = 0;
  /// Where each tensor lies in what the counts above are of.
  Arrangement weights_at, products_at, vectors_at, gradients_at;
  /// "L3", "L3.experts", "embed"; "" for everything.
  std::string name() const;
};

/// Elements of a tensor on the tensor- and expert-parallel rank whose shard is largest; 0 for an expert of another rank.
std::int64_t held(const model::ParamTensor& tensor, const model::ModelSpec& spec, const Layout& layout);

struct Holdings {
  /// @param pipeline_rank  holds the virtual stages that are it modulo pp
  Holdings(const model::ModelSpec& spec, const model::ParamTable& table, const Layout& layout, int pipeline_rank);

  std::vector<Bucket> buckets;  ///< in ParamTable order
  /// Indices of buckets; -1 where this rank has none.
  int embed = -1, embed_rest = -1, final_norm = -1, head = -1;
  std::vector<int> of_layer, experts_of_layer;
  /// First layer of each virtual stage, and the end of the last.
  std::vector<int> first_layer;
};

/// Layers of each virtual stage: layout.stage_layers or an even share.
std::vector<int> layers_of_stages(const model::ModelSpec& spec, const Layout& layout);

}  // namespace longhaul::program
