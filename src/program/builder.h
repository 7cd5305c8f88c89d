// program/builder.h — how a program is written: the one builder of every layout. Internal to this room; use program/build.h.
//
//   build.cpp           the walk along the schedule: turns, messages
//   build_ends.cpp      embedding, head and loss
//   build_layer.cpp     a layer's operations: norms, attention, dense MLP
//   build_mixture.cpp   a layer's mixture of experts
//   build_states.cpp    persistent buffers, ZeRO's pieces, weights gathered and handed on
//   build_gradients.cpp accumulators of leaves, their tree and exchange, the end of a step
//
// Data-parallel ranks may host different numbers of micro-batches; all walk along the schedule of the longest. In a turn that is no
// micro-batch of its own a rank serves: it hands the others their pieces of its weights and computes nothing.
#pragma once

#include <initializer_list>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "program/build_options.h"
#include "program/figures.h"
#include "program/holdings.h"
#include "program/program.h"
#include "program/schedule.h"

namespace longhaul::program {

/// The shapes of a rank of this layout.
RankShape shape_of(const model::ModelSpec& spec, const BuildOptions& options);

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
  struct Where {
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
      Leaves leaves;
    };
    std::map<int, BufferId> open;  // by leaf, counted from this rank's first
    std::vector<Subtree> complete;
    BufferId reduced = -1;
    std::int64_t base = 0;            // where the first element that `reduced` has of the bucket lies in it,
    std::int64_t begin = 0, end = 0;  // which is `begin`, up to `end`
  };
  /// What a bucket's states are divided in: by whom, where the pieces begin, and where this rank's lie in the persistent buffers.
  struct Division {
    int parts = 1, index = 0;
    std::vector<std::int64_t> cuts;                                   // of the weights
    std::int64_t weights = 0, states = 0, products = 0, vectors = 0;  // elements from the beginning of the buffer
    std::int64_t begin() const { return cuts[static_cast<std::size_t>(index)]; }
    std::int64_t piece() const { return cuts[static_cast<std::size_t>(index) + 1] - begin(); }
  };
  /// Weights gathered while a bucket's operations run.
  struct Gathered {
    BufferId products = -1, vectors = -1;
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
  void serve();
  int takers(Group group) const;
  void collective(OpKind kind, std::string_view what, Group group, Bytes bytes, std::vector<BufferUse> uses);
  int ranks(Group group) const { return ranks_of(group, layout_, spec_.kv_heads); }
  Where go(Where place) { return std::exchange(at_, place); }

  // ---- states (build_states.cpp, build_gradients.cpp)
  void divide();
  void declare_persistent();
  void arrange(BufferId buffer, Arrangement arrangement);
  int shards(const Bucket& bucket) const;
  bool shards_masters() const { return zero_ == 3 || (zero_ > 0 && operand_ != ElementType::f32); }
  /// Whether products read weights that are gathered for them: ZeRO 3, and a divided average without operand copies.
  bool gathers() const { return zero_ == 3 || (zero_ > 0 && !shards_masters() && read_ != weights_); }
  /// Whether rows of the embedding come from their owners.
  bool looks_up_at_owners() const { return shards_masters() || gathers(); }
  /// Weights as matrix products read them: gathered, the operand copies, or the weights themselves.
  BufferUse product_weights() const;
  BufferUse expert_weights() const;
  /// Norms and biases in fp32, and rows of the embedding.
  BufferUse vector_weights() const;
  void gather_weights(int bucket);
  const Arrangement& masters_of(const Placed& product, int bucket, int& master_bucket) const;
  Gather gather_of_products(int bucket, std::int64_t base) const;
  Gather gather_of_vectors(int bucket, std::int64_t base) const;
  void all_gather(std::string_view what, int bucket, Gather gather, ElementType type, std::vector<BufferUse> uses);
  BufferUse accumulate(int bucket);
  BufferId begin_leaf(int bucket, int leaf);
  bool scatters_each(const Bucket& bucket) const;
  int micro_batches_of_leaf(const Bucket& bucket) const;
  void close(int bucket) {
    if (!alone_) end_chains(bucket);
  }
  void end_chains(int bucket);
  void combine(int bucket);
  void combine_last_two(int bucket);
  void exchange_gradients(int bucket, bool last);
  void sum_over(OpKind kind, std::string_view what, Group group, int bucket, Sum sum, std::vector<BufferUse> uses);
  void combine_tied();
  void reduce_and_update();
  void gather_updated();
  void refresh(Phase phase, BufferId from);

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
  void read_average();
  Transfer loss_exchange() const;
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
  const model::ParamTable& table_;
  const Leaves leaves_;           // of this rank
  const int all_leaves_;          // of the batch
  const int micro_batches_;       // of this rank
  const int most_micro_batches_;  // of the rank that has most
  std::int64_t figures_ = 0;      // doubles that this rank has of those that all need
  bool serves_ = false;           // a turn of other ranks: this one hands them its pieces
  Operation served_;              // the last one of such a turn
  Program program_;
  Where at_;
  std::map<std::pair<int, int>, Flight> flights_;        // by virtual stage and micro-batch
  std::map<std::pair<int, int>, BufferId> handed_over_;  // between virtual stages of one rank
  std::vector<Accumulators> accumulators_;               // by bucket
  Flight* flight_ = nullptr;                             // the present turn's
  BufferId weights_ = -1, operand_weights_ = -1, vectors_ = -1, moment1_ = -1, moment2_ = -1, average_ = -1;
  BufferId read_ = -1;  // what lookups, norms and products read: the weights, or the average while it is evaluated
  Gathered gathered_, gathered_experts_;
  std::vector<Division> divisions_;  // by bucket
};

}  // namespace longhaul::program
