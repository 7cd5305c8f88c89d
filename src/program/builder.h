// program/builder.h — how a program is written: the one builder of every layout. Internal to this room; use program/build.h.
//
//   build.cpp           the walk along the schedule: turns, messages, embedding, head
//   build_layer.cpp     a layer's operations: norms, attention, dense MLP
//   build_mixture.cpp   a layer's mixture of experts
//   build_states.cpp    persistent buffers, ZeRO, accumulators of leaves, the end of a step
//
// Rows of a micro-batch on a rank: n where matrices are divided by tensor parallelism (context parallelism divides the tokens), s in the
// residual stream and the norms, n ÷ tp with sequence parallelism (Korthikanti et al. 2022 §4).
#pragma once

#include <initializer_list>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "program/build_options.h"
#include "program/holdings.h"
#include "program/program.h"
#include "program/schedule.h"

namespace longhaul::program {

/// Widths of one rank's part of a layer, and its rows.
struct RankShape {
  RankShape(const model::ModelSpec& spec, const BuildOptions& options);
  std::int64_t n = 0, s = 0;
  std::int64_t width = 0, heads = 0, kv_heads = 0;
  std::int64_t q = 0, k = 0, v = 0;  ///< of all heads of this rank
  std::int64_t heads_out = 0;        ///< attention's output
  std::int64_t qkv = 0;              ///< what the projection gives
  std::int64_t latent = 0;           ///< what the down projections of latent attention give
  std::int64_t ffn = 0, shared_ffn = 0, vocab = 0;
  std::int64_t expert_rows = 0, expert_ffn = 0, experts = 0;
  double qkv_flops = 0, attention_flops = 0;
};

/// What a mixture of experts leaves for its backward pass.
struct MixtureActivations {
  BufferId scores = -1, expert_scores = -1, x = -1, gate = -1, up = -1, activation = -1;
};

/// What a layer's forward pass leaves for its backward pass.
struct LayerActivations {
  BufferId input = -1;  // residual stream at the layer's input
  BufferId attn_norm = -1, attn_norm_statistics = -1;
  BufferId latent = -1, latent_statistics = -1;
  BufferId qkv = -1, head_statistics = -1;  // kept with qk-norm only
  BufferId q = -1, k = -1, v = -1, o = -1, row_max = -1, row_sum = -1;
  BufferId middle = -1;     // residual stream after attention
  BufferId mlp_input = -1;  // what the MLP's norm reads: the same, or the layer's input
  BufferId mlp_norm = -1, mlp_norm_statistics = -1;
  BufferId gate = -1, up = -1, activation = -1;
  MixtureActivations mixture;
  BufferId output = -1;
};

/// A linear layer as its backward operation sees it.
struct Linear {
  OpKind kind{};
  int bucket = 0;
  BufferId x = -1;            // its input
  std::string_view x_name{};  // given where sequence parallelism keeps a shard of it, to be gathered again
  std::int64_t x_width = 0;
  double flops = 0;                          // of one product
  BufferId operand = -1, operand_gate = -1;  // its output's gradient as products read it; -1: the gradient itself
  bool operand_given = false;                // it exists already (gathered), not written by the operation
};

class Builder {
 public:
  Builder(const model::ModelSpec& spec, const model::ParamTable& table, const BuildOptions& options);
  Program step();
  Program evaluation();
  Program forward();

 private:
  /// Where the next operation belongs.
  struct Place {
    Phase phase = Phase::gradients;
    Pass pass = Pass::forward;
    int micro_batch = -1, stage = 0, layer = -1;
    std::string_view part{};
  };
  /// A weight gradient put off by a split backward.
  struct Deferred {
    int layer = -1;
    Linear linear;
  };
  /// A micro-batch in a virtual stage, from its forward turn to its last.
  struct Flight {
    std::vector<LayerActivations> layers;
    BufferId embedding = -1, embedding_statistics = -1;  // where a norm follows it
    BufferId output = -1, final_norm = -1, final_statistics = -1;
    BufferId d_residual = -1;
    std::vector<Deferred> deferred;
  };
  /// Accumulators of one bucket: those that chains run in, the complete subtrees of the tree over leaves, what is left after exchanging.
  struct Accumulators {
    struct Subtree {
      BufferId gradients;
      int leaves;
    };
    std::map<int, BufferId> open;  // by leaf
    std::vector<Subtree> complete;
    BufferId reduced = -1;
  };

  // ---- buffers and operations
  BufferId buffer(std::string name, MemoryLine line, ElementType type, std::int64_t elements, bool persistent = false);
  BufferId activation(const std::string& what, ElementType type, std::int64_t elements);
  BufferId gradient_of(const std::string& what, ElementType type, std::int64_t elements);
  BufferId in_transit(const std::string& what, ElementType type, std::int64_t elements);
  BufferId workspace(const std::string& what, Bytes bytes, MemoryLine line = MemoryLine::workspace);
  /// A gradient rounded for products; -1 where they read the gradient itself: in fp32, unless it must outlive it.
  BufferId rounded_gradient(const std::string& what, std::int64_t elements);
  std::string prefix() const;
  Operation& emit(OpKind kind, std::vector<BufferUse> uses, double flops = 0);
  static void add(Operation& op, Slot slot, BufferId id, Access access) { op.uses.push_back({slot, id, access}); }
  void collective(OpKind kind, std::string_view what, Group group, Bytes bytes, std::vector<BufferUse> uses);
  int ranks(Group group) const { return ranks_of(group, layout_, spec_.kv_heads); }
  Place go(Place place) { return std::exchange(at_, place); }

  // ---- states (build_states.cpp)
  void declare_persistent();
  int shards(const Bucket& bucket) const;
  std::int64_t piece(std::int64_t elements, const Bucket& bucket) const;
  bool shards_masters() const { return zero_ == 3 || (zero_ > 0 && operand_ != ElementType::f32); }
  /// Weights as matrix products read them: gathered, the operand copies, or the weights themselves.
  BufferUse product_weights() const;
  BufferUse expert_weights() const;
  /// Norms and biases in fp32, and rows of the embedding.
  BufferUse vector_weights() const;
  void gather_weights(int bucket);
  Bytes read_bytes(const Bucket& bucket) const;
  BufferUse accumulate(int bucket);
  BufferId begin_leaf(int bucket, int leaf);
  bool scatters_each(const Bucket& bucket) const;
  int micro_batches_of_leaf(const Bucket& bucket) const;
  void close(int bucket) {
    if (!alone_) end_chains(bucket);
  }
  void end_chains(int bucket);
  void add_to_tree(int bucket, BufferId gradients, bool last);
  void combine(Accumulators& accumulators);
  void exchange_gradients(int bucket, BufferId whole, bool last);
  void combine_tied();
  void reduce_and_update();
  void gather_updated();

  // ---- layers (build_layer.cpp, build_mixture.cpp)
  BufferId norm(BufferId x, const std::string& name, NormPlace place, BufferId& statistics);
  void norm_gradient(BufferId d_y, BufferId x, BufferId statistics, BufferId d_residual, NormPlace place, bool first_gradient, int bucket);
  LayerActivations layer_forward(BufferId input, bool stop_before_down);
  void attention(LayerActivations& a);
  void mlp(LayerActivations& a, BufferId x, std::int64_t ffn, BufferId residual, const std::string& name, bool stop_before_down);
  void mixture(LayerActivations& a, bool stop_before_down);
  void layer_backward(const LayerActivations& a, BufferId d_residual);
  BufferId attention_gradient(const LayerActivations& a, BufferId d_residual);
  BufferId latent_gradient(const LayerActivations& a, BufferId d_latent);
  BufferId mlp_gradient(const LayerActivations& a, std::int64_t ffn, BufferId d_residual, BufferId d_output);
  BufferId mixture_gradient(const LayerActivations& a, BufferId d_residual);
  BufferId exchanged_rows(BufferId rows, std::string_view what, ElementType type, BufferId to);
  void linear_gradient(const Linear& linear, std::vector<BufferUse> uses);
  void weight_gradient(const Linear& linear);
  /// Rows of all tensor-parallel ranks where sequence parallelism divides them; `rows` otherwise.
  BufferId gathered_rows(BufferId rows, std::string_view what, ElementType type, std::int64_t width);
  BufferId gathered_gradient(BufferId d_rows, std::string_view what);
  /// A row-parallel product's sum over tensor-parallel ranks, with bias and residual.
  BufferId row_parallel(OpKind kind, std::string_view what, BufferId x, BufferId residual, const std::string& name, double flops);
  /// An input gradient's sum over tensor-parallel ranks.
  BufferId summed_rows(BufferId partial, std::string_view what, std::int64_t width);
  BufferId keys_of_all(BufferId own, std::string_view what, std::int64_t width);
  BufferId own_keys(BufferId partial, std::string_view what, std::int64_t width);
  double matmul_flops(std::int64_t rows, std::int64_t in, std::int64_t out) const {
    return 2.0 * static_cast<double>(rows) * static_cast<double>(in) * static_cast<double>(out);
  }
  bool gathers_sequence() const { return layout_.sequence_parallel && layout_.tp > 1; }
  bool keep_qkv() const { return spec_.qk_norm; }
  int layer_bucket() const { return holdings_.of_layer[at_.layer]; }
  int expert_bucket() const { return holdings_.experts_of_layer[at_.layer]; }

  // ---- the walk (build.cpp)
  void take(const Turn& turn);
  void forward_turn();
  void backward_turn();
  void weight_gradient_turn();
  void end_of_chains();
  BufferId embed();
  void embed_gradient();
  BufferId head_and_loss();
  void gather_layer();
  void close_layer();
  BufferId receive(std::string_view what, MemoryLine line, int from_stage);
  void send(BufferId rows, std::string_view what, int to_stage);
  Transfer message(std::string_view what, BufferId rows, int stage) const;
  BufferId forward_pass();
  bool first_stage() const { return at_.stage == 0; }
  bool last_stage() const { return at_.stage == layout_.virtual_stages() - 1; }

  const model::ModelSpec& spec_;
  const BuildOptions& options_;
  const Layout& layout_;
  const Holdings holdings_;
  const RankShape shape_;
  const ElementType operand_;
  const bool alone_;  // one bucket (program/holdings.h)
  const bool split_;  // backward in two
  const int zero_;    // 0 where there is nobody to divide with
  const std::int64_t all_parameters_;
  Program program_;
  Place at_;
  std::map<std::pair<int, int>, Flight> flights_;        // by virtual stage and micro-batch
  std::map<std::pair<int, int>, BufferId> handed_over_;  // between virtual stages of one rank
  std::vector<Accumulators> accumulators_;               // by bucket
  Flight* flight_ = nullptr;                             // the present turn's
  BufferId weights_ = -1, operand_weights_ = -1, vectors_ = -1, moment1_ = -1, moment2_ = -1, average_ = -1;
  BufferId gathered_ = -1, gathered_experts_ = -1;
};

}  // namespace longhaul::program
