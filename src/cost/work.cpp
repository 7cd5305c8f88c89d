#include "cost/work.h"

#include <algorithm>

#include "cost/framework.h"

namespace longhaul::cost {
namespace {

// Bytes that memory-bound operations move for each element of their kind, were nothing fused beyond what the text says; 16-bit tensors.
//
// Two-matrix layers with biases and dropout (GPT): two LayerNorms and two bias-dropout-add, 11 reads or writes of the hidden size; then
// what is split over tensor-parallel ranks: q, k, v laid out per head, and the activation of the MLP.
constexpr double kGptWhole = 22, kGptSplit = 12, kGptMlp = 4;
// Three-matrix layers without them (Llama): RMSNorms, residuals; rotation and layout of q, k, v; the gated activation reads two, writes
// one.
constexpr double kLlamaWhole = 20, kLlamaSplit = 10, kLlamaMlp = 8;
/// A backward pass reads a gradient beside each operand.
constexpr double kBackward = 2;
/// Scores of plain attention: scale, mask, softmax, dropout; the backward pass reads the probabilities and the dropout mask again.
constexpr double kSoftmaxForward = 11, kSoftmaxBackward = 17;
/// Megatron's fused softmax takes a multiple of four (sequence, head) pairs; otherwise scale, mask and softmax run apart.
constexpr int kFusedSoftmaxRows = 4;
constexpr double kUnfusedSoftmax = 2;
/// Logits: written, cast to fp32, read for maximum and sum, gradient written, read and cast back, read by two products.
constexpr double kLogits = 28;
/// Rows looked up, dropout, their gradients added.
constexpr double kEmbedding = 20;
/// Final norm and the head's input and its gradient.
constexpr double kFinalNorm = 40;
/// Read the new gradient and the sum, write the sum; 16-bit, or a 16-bit gradient into an fp32 sum with its rewritten main copy.
constexpr double kAccumulate16 = 6, kAccumulate32 = 12;
/// Flash attention computes its diagonal tiles whole: on average a query sees that many keys more than half the sequence.
constexpr double kDiagonalKeys = 128;

class Builder {
 public:
  explicit Builder(const RunShape& run)
      : run_(run),
        model_(run.model),
        tp_(run.layout.tp),
        tokens_(tokens(run)),
        hidden_(static_cast<double>(run.model.width)),
        sharded_sequence_(run.layout.sequence_parallel && run.layout.tp > 1) {}

  std::vector<WorkItem> layer(bool experts) {
    products_of_attention();
    attention();
    column("proj", static_cast<double>(model_.heads) * model_.value_head_width() / tp_, hidden_);
    if (experts)
      mixture();
    else
      mlp(mlp_width(model_, false) / tp_);
    layer_bytes(experts);
    synchronise("attn");
    synchronise("mlp");
    return std::move(items_);
  }

  std::vector<WorkItem> embedding() {
    bytes("embedding", WorkPass::forward, BytesKind::table, kEmbedding * tokens_ * hidden_ / whole_share());
    if (tp_ > 1) {
      if (sharded_sequence_)
        collective("embedding.reduce_scatter", WorkPass::forward, CollectiveKind::reduce_scatter, boundary());
      else
        collective("embedding.all_reduce", WorkPass::forward, CollectiveKind::all_reduce, boundary());
    }
    return std::move(items_);
  }

  std::vector<WorkItem> head() {
    const double vocab = static_cast<double>(padded_vocab(run_)) / tp_;
    column("head", hidden_, vocab);
    bytes("logits", WorkPass::forward, BytesKind::logits, kLogits / 2 * tokens_ * vocab);
    bytes("logits", WorkPass::input_gradient, BytesKind::logits, kLogits / 2 * tokens_ * vocab);
    bytes("final_norm", WorkPass::input_gradient, BytesKind::elementwise, kFinalNorm * tokens_ * hidden_ / whole_share());
    synchronise("head");
    return std::move(items_);
  }

 private:
  /// Tensor-parallel ranks that share the norms' tokens.
  double whole_share() const { return sharded_sequence_ ? tp_ : 1; }
  /// Bytes of a micro-batch's activations between two layers.
  double boundary() const { return 2 * tokens_ * hidden_; }

  /// A matrix (k × n) on its input: forward, input gradient, weight gradient; `count` of them, rows each.
  void column(std::string_view what, double k, double n) { product(what, tokens_, k, n, 1); }
  void product(std::string_view what, double rows, double k, double n, double count) {
    gemm(what, WorkPass::forward, rows, n, k, count);
    gemm(what, WorkPass::input_gradient, rows, k, n, count);
    gemm(what, WorkPass::weight_gradient, n, k, rows, count);
    bytes(what, WorkPass::weight_gradient, BytesKind::accumulation, (run_.fp32_gradients ? kAccumulate32 : kAccumulate16) * k * n * count);
  }
  void gemm(std::string_view what, WorkPass pass, double m, double n, double k, double count) {
    items_.push_back({.kind = WorkKind::gemm, .pass = pass, .name = what, .m = m, .n = n, .k = k, .batch = count});
  }
  void bytes(std::string_view what, WorkPass pass, BytesKind sort, double count) {
    items_.push_back({.kind = WorkKind::bytes, .pass = pass, .name = what, .bytes = count, .sort = sort});
  }
  void collective(std::string_view what, WorkPass pass, CollectiveKind kind, double count, Group group = Group::tensor) {
    items_.push_back({.kind = WorkKind::collective, .pass = pass, .name = what, .bytes = count, .collective = kind, .group = group});
  }

  /// Of the keys on one rank.
  double kv_width() const {
    return static_cast<double>(model_.kv_width()) / static_cast<double>(key_value_parts(run_.layout, model_.kv_heads));
  }

  void products_of_attention() {
    const double heads = static_cast<double>(model_.heads) / tp_;
    if (!model_.has_latent_attention()) return column("qkv", hidden_, static_cast<double>(model_.q_width()) / tp_ + 2 * kv_width());
    const model::LatentAttention& latent = model_.latent;
    const double q = heads * static_cast<double>(latent.qk_dim + latent.rope_dim);
    column("latent", hidden_, static_cast<double>(latent.kv_rank + latent.rope_dim + latent.q_rank));
    column("q", latent.q_rank > 0 ? static_cast<double>(latent.q_rank) : hidden_, q);
    column("kv", static_cast<double>(latent.kv_rank), heads * static_cast<double>(latent.qk_dim + latent.value_dim));
  }

  void attention() {
    const double sequence = static_cast<double>(run_.sequence_length), queries = sequence / run_.layout.cp;
    const double heads = static_cast<double>(run_.micro_batch * model_.heads) / tp_;
    const double width = model_.heads > 0 ? (model_.qk_head_width() + model_.value_head_width()) / 2 : 0;
    const double keys = run_.flash_attention ? std::min(sequence, sequence / 2 + kDiagonalKeys) : sequence;
    for (const WorkPass pass : {WorkPass::forward, WorkPass::input_gradient})
      items_.push_back({.kind = WorkKind::attention, .pass = pass, .name = "attn", .m = queries, .n = keys, .k = width, .batch = heads});
    if (!run_.flash_attention) {
      const double scores = heads * queries * sequence * (fused_softmax(run_) ? 1 : kUnfusedSoftmax);
      bytes("attn.softmax", WorkPass::forward, BytesKind::softmax, kSoftmaxForward * scores);
      bytes("attn.softmax", WorkPass::input_gradient, BytesKind::softmax, kSoftmaxBackward * scores);
    }
    if (run_.layout.cp > 1) {
      // Keys and values go round the context-parallel ranks; in the backward pass with their gradients (Liu et al. 2023, ring attention).
      const double kv = 2 * 2 * static_cast<double>(run_.micro_batch) * sequence * kv_width();
      collective("attn.ring", WorkPass::forward, CollectiveKind::all_gather, kv, Group::context);
      collective("attn.ring", WorkPass::input_gradient, CollectiveKind::all_reduce, kv, Group::context);
    }
  }

  void mlp(double width) {
    column("up", hidden_, model::gated(model_.mlp) ? 2 * width : width);
    column("down", width, hidden_);
  }

  /// Routed experts on the tokens sent to them, the shared ones on all, and the exchange of tokens (accounting C6). Routing is taken to
  /// be even.
  void mixture() {
    const model::Experts& experts = model_.experts;
    const int ep = run_.layout.ep;
    const double slice = ep > 1 ? 1 : tp_, width = static_cast<double>(experts.width) / slice;
    const double own_tokens = ep > 1 ? tokens_ / whole_share() : tokens_;
    const double local = static_cast<double>(experts.count) / ep;
    const double rows = own_tokens * static_cast<double>(experts.top_k) / local;
    product("router", own_tokens, hidden_, static_cast<double>(experts.count), 1);
    product("expert.up", rows, hidden_, model::gated(model_.mlp) ? 2 * width : width, local);
    product("expert.down", rows, width, hidden_, local);
    if (experts.shared > 0) mlp(static_cast<double>(experts.shared * experts.width) / tp_);
    if (ep == 1) return;
    const double sent = 2 * own_tokens * hidden_ * static_cast<double>(experts.top_k);
    for (const WorkPass pass : {WorkPass::forward, WorkPass::input_gradient})
      for (const std::string_view name : {"dispatch", "combine"}) collective(name, pass, CollectiveKind::all_to_all, sent, Group::expert);
  }

  void layer_bytes(bool experts) {
    const bool gpt = !model::gated(model_.mlp);
    const double whole = (gpt ? kGptWhole : kLlamaWhole) * tokens_ * hidden_ / whole_share();
    // Divided experts are whole, but with even routing a rank's share of the tokens sent is as large (sp divides the tokens by tp).
    const double mlp = (gpt ? kGptMlp : kLlamaMlp) * mlp_width(model_, experts);
    const double split = tokens_ / tp_ * ((gpt ? kGptSplit : kLlamaSplit) * hidden_ + mlp);
    bytes("layer", WorkPass::forward, BytesKind::elementwise, whole + split);
    bytes("layer", WorkPass::input_gradient, BytesKind::elementwise, kBackward * (whole + split));
  }

  /// Where a pair of column- and row-parallel matrices begins and ends: an all-reduce each way, or its halves, between which the sequence
  /// is sharded; then the weight gradient needs the gathered input once more. A head ends nothing: its loss needs but a few numbers.
  void synchronise(std::string_view what) {
    if (tp_ == 1) return;
    const bool ends = what != "head";
    if (!sharded_sequence_) {
      if (ends) collective(what, WorkPass::forward, CollectiveKind::all_reduce, boundary());
      collective(what, WorkPass::input_gradient, CollectiveKind::all_reduce, boundary());
      return;
    }
    collective(what, WorkPass::forward, CollectiveKind::all_gather, boundary());
    if (ends) collective(what, WorkPass::forward, CollectiveKind::reduce_scatter, boundary());
    if (ends) collective(what, WorkPass::input_gradient, CollectiveKind::all_gather, boundary());
    collective(what, WorkPass::input_gradient, CollectiveKind::reduce_scatter, boundary());
    collective(what, WorkPass::weight_gradient, CollectiveKind::all_gather, boundary());
  }

  const RunShape& run_;
  const model::ModelSpec& model_;
  const double tp_, tokens_, hidden_;
  const bool sharded_sequence_;
  std::vector<WorkItem> items_;
};

}  // namespace

std::vector<WorkItem> layer_work(const RunShape& run, bool experts) { return Builder(run).layer(experts); }
std::vector<WorkItem> embedding_work(const RunShape& run) { return Builder(run).embedding(); }
std::vector<WorkItem> head_work(const RunShape& run) { return Builder(run).head(); }

double mlp_width(const model::ModelSpec& model, bool experts) {
  return static_cast<double>(experts ? (model.experts.top_k + model.experts.shared) * model.experts.width : model.ffn_width);
}

double sparse_share(const model::ModelSpec& model) {
  if (model.experts.count == 0) return 0;
  return static_cast<double>(std::max<std::int64_t>(model.layers - model.experts.dense_layers, 0)) / static_cast<double>(model.layers);
}

double tokens(const RunShape& run) { return static_cast<double>(run.micro_batch * run.sequence_length) / run.layout.cp; }

bool fused_softmax(const RunShape& run) {
  return run.flash_attention || (run.micro_batch * run.model.heads) % (kFusedSoftmaxRows * run.layout.tp) == 0;
}

std::int64_t padded_vocab(const RunShape& run) {
  constexpr std::int64_t kMultiple = 128;
  const std::int64_t tp = run.layout.tp, vocab = run.model.vocab;
  if (tp == 1 || !framework(run.framework).pads_vocabulary) return vocab;
  return (vocab + kMultiple * tp - 1) / (kMultiple * tp) * kMultiple * tp;
}

}  // namespace longhaul::cost
