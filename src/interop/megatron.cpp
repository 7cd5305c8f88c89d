// Megatron-LM's flags, with the fields of megatron-core's TransformerConfig that they fill.
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>

#include "config/run_config.h"
#include "cost/stages.h"
#include "interop/emission.h"
#include "program/layout.h"
#include "units/one_line.h"

namespace longhaul::interop {
namespace {

using config::LearningRateSchedule;
using model::ModelSpec;
using nlohmann::json;

constexpr std::string_view kMegatron = "megatron";
/// Megatron pads the vocabulary to a multiple of this times tp (its --make-vocab-size-divisible-by, 128 unless told).
constexpr std::int64_t kVocabularyMultiple = 128;

/// A flag of Megatron-LM and the field of megatron-core behind it; either may be missing.
struct Setting {
  std::string flag, value;  ///< a switch has no value
  std::string field;
  json as;
};

/// A value as one word of a shell, which must not see bars, stars and brackets.
std::string shell_word(const std::string& value) {
  const bool plain = std::all_of(value.begin(), value.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || std::string_view("_./:=,+-").find(static_cast<char>(c)) != std::string_view::npos;
  });
  return plain && !value.empty() ? value : "'" + value + "'";  // no value holds a quote: names, numbers and layouts
}

class Megatron {
 public:
  explicit Megatron(const EmitJob& job) : job_(job), spec_(job.shape.model), layout_(job.shape.layout) {}
  Emission emit();

 private:
  void refuse();
  void model();
  void attention();
  static std::string llama3_rope(const model::Llama3Rope& rope);
  void biases();
  void experts();
  void parallelism();
  void stages();
  void sharding();
  void recomputation();
  void precision();
  void batch();
  void optimizer();
  void schedule();
  json transformer_config() const;
  json gpt_model() const;
  json environment() const;
  std::string script() const;

  template <class Value>
  void give(const std::string& flag, const Value& value, const std::string& field = "") {
    settings_.push_back({flag, fmt::format("{}", value), field, json(value)});
  }
  /// A switch: `as` is what it makes of its field.
  void turn_on(const std::string& flag, const std::string& field = "", const json& as = true) {
    settings_.push_back({flag, "", field, as});
  }
  void core_only(const std::string& field, const json& as) { settings_.push_back({"", "", field, as}); }
  void differs(const std::string& sentence) { not_expressed_.push_back(sentence); }
  std::int64_t padded_vocabulary() const {
    const std::int64_t multiple = kVocabularyMultiple * layout_.tp;
    return (spec_.vocab + multiple - 1) / multiple * multiple;
  }

  const EmitJob& job_;
  const ModelSpec& spec_;
  const program::Layout& layout_;
  std::vector<Setting> settings_;
  std::vector<std::string> not_expressed_ = never_expressed(job_);
};

Emission Megatron::emit() {
  refuse();
  model();
  attention();
  biases();
  experts();
  parallelism();
  stages();
  sharding();
  recomputation();
  precision();
  batch();
  optimizer();
  schedule();
  Emission out;
  out.version = "Megatron-LM at 000c4ac (before core 0.16), megatron-core 0.16";
  out.text = script();
  json flags = json::array();
  for (const Setting& each : settings_)
    if (!each.flag.empty()) flags.push_back(each.value.empty() ? json{each.flag} : json{each.flag, each.value});
  out.settings = {
      {"flags", flags}, {"transformer_config", transformer_config()}, {"gpt_model", gpt_model()}, {"environment", environment()}};
  out.not_expressed = not_expressed_;
  return out;
}

void Megatron::refuse() {
  using model::MlpKind;
  using model::NormKind;
  using model::PositionKind;
  const auto has = [](bool condition, const std::string& sentence) { require(condition, kMegatron, sentence); };
  has(spec_.position != PositionKind::alibi, "position = alibi: learned, rope and none are there");
  has(!spec_.parallel_residual, "parallel_residual = true: its layers run attention and MLP one after the other");
  has(!spec_.embedding_norm, "embedding_norm = true: no norm follows the embedding");
  has(spec_.mlp == MlpKind::gelu || spec_.mlp == MlpKind::swiglu,
      fmt::format("mlp = {}: gelu and swiglu are there", model::name(spec_.mlp)));
  has(spec_.norm_bias == (spec_.norm == NormKind::layer_norm),
      fmt::format("norm = {} with norm_bias = {}: LayerNorm has a bias there and RMSNorm has none", model::name(spec_.norm),
                  spec_.norm_bias));
  has(!spec_.has_latent_attention(), "latent attention: this verb writes ordinary attention only");
  has(layout_.schedule == (layout_.chunks > 1 ? program::ScheduleKind::interleaved : program::ScheduleKind::one_f_one_b) || layout_.pp == 1,
      fmt::format("schedule={}: it runs 1f1b, and with virtual > 1 interleaved", program::name(layout_.schedule)));
  has(spec_.experts.count == 0 || layout_.tp == 1 || layout_.sequence_parallel,
      "experts with tp > 1 need sequence parallelism there; give sp=1 in the layout");
  if (layout_.cp > 1)
    require_multiple(job_.shape.sequence_length, 2 * layout_.cp, kMegatron,
                     fmt::format("cp = {} gives each rank two of 2·cp equal parts", layout_.cp));
  has(spec_.experts.count == 0 || job_.shape.precision != cost::Precision::fp16,
      "experts in fp16: its grouped products take bf16; --precision bf16");
  has(job_.config.schedule.warmup_steps < job_.config.run.steps,
      fmt::format("schedule.warmup_steps = {} of {} steps: its schedules need at least one step after the warm-up",
                  job_.config.schedule.warmup_steps, job_.config.run.steps));
  has(spec_.position != PositionKind::rope || spec_.rope_theta == static_cast<double>(static_cast<std::int64_t>(spec_.rope_theta)),
      fmt::format("rope_theta = {}: --rotary-base is a whole number", spec_.rope_theta));
}

void Megatron::model() {
  give("--num-layers", spec_.layers, "num_layers");
  give("--hidden-size", spec_.width, "hidden_size");
  give("--ffn-hidden-size", spec_.ffn_width, "ffn_hidden_size");
  const bool rms = spec_.norm == model::NormKind::rms_norm;
  give("--normalization", std::string(rms ? "RMSNorm" : "LayerNorm"), "normalization");
  give("--norm-epsilon", spec_.norm_epsilon, "layernorm_epsilon");
  if (spec_.mlp == model::MlpKind::swiglu) {
    turn_on("--swiglu", "gated_linear_unit");
    core_only("activation_func", "silu");
  } else {
    core_only("activation_func", "gelu");
    core_only("gated_linear_unit", false);
    if (!spec_.mlp_bias) differs("mlp = gelu without bias: Megatron's GELU is then the form with erf, the plan's the tanh form");
  }
  give("--init-method-std", spec_.init_std, "init_method_std");
  give("--attention-dropout", 0.0, "attention_dropout");
  give("--hidden-dropout", 0.0, "hidden_dropout");
  give("--vocab-size", spec_.vocab);
  give("--make-vocab-size-divisible-by", kVocabularyMultiple);
  if (const std::int64_t more = padded_vocabulary() - spec_.vocab; more > 0)
    differs(
        fmt::format("vocab = {}: Megatron pads it to {}, a multiple of {} · tp, which is {} more parameters for each table; and the "
                    "tokenizer you name replaces --vocab-size",
                    spec_.vocab, padded_vocabulary(), kVocabularyMultiple, more * spec_.width));
  if (!spec_.tied_embeddings) turn_on("--untie-embeddings-and-output-weights");
}

void Megatron::attention() {
  give("--num-attention-heads", spec_.heads, "num_attention_heads");
  give("--kv-channels", spec_.head_dim, "kv_channels");
  if (spec_.kv_heads != spec_.heads) {
    turn_on("--group-query-attention");
    give("--num-query-groups", spec_.kv_heads, "num_query_groups");
  }
  if (spec_.qk_norm) turn_on("--qk-layernorm", "qk_layernorm");
  if (job_.shape.flash_attention) give("--attention-backend", std::string("flash"));
  const bool rope = spec_.position == model::PositionKind::rope, learned = spec_.position == model::PositionKind::learned;
  give("--position-embedding-type", std::string(rope ? "rope" : learned ? "learned_absolute" : "none"));
  give("--max-position-embeddings", learned ? spec_.position_rows : std::max(spec_.position_rows, job_.shape.sequence_length));
  if (!rope) return;
  give("--rotary-base", static_cast<std::int64_t>(spec_.rope_theta));
  if (spec_.rope_fraction != 1) give("--rotary-percent", spec_.rope_fraction);
  if (job_.llama3_rope) differs(llama3_rope(*job_.llama3_rope));
}

/// Megatron scales rotations by Llama 3.1's numbers, of which only the factor is a flag (megatron-core, RotaryEmbedding._apply_scaling).
std::string Megatron::llama3_rope(const model::Llama3Rope& rope) {
  if (rope.low_freq_factor != 1 || rope.high_freq_factor != 4 || rope.original_max_position_embeddings != 8192)
    return fmt::format(
        "rope_type = llama3 with low_freq_factor = {}, high_freq_factor = {}, original_max_position_embeddings = {}: --use-rope-scaling "
        "has "
        "1, 4 and 8192",
        rope.low_freq_factor, rope.high_freq_factor, rope.original_max_position_embeddings);
  return fmt::format("rope_type = llama3: give the script --use-rope-scaling --rope-scaling-factor {} to have it", rope.factor);
}

/// Megatron has biases in all linear layers, in none, or in those of q, k and v alone.
void Megatron::biases() {
  const bool all = spec_.qkv_bias && spec_.output_bias && spec_.mlp_bias;
  require(all || (!spec_.output_bias && !spec_.mlp_bias), kMegatron,
          fmt::format("qkv_bias = {}, output_bias = {}, mlp_bias = {}: biases are in all linear layers, in none, or in q, k and v alone",
                      spec_.qkv_bias, spec_.output_bias, spec_.mlp_bias));
  if (all) return core_only("add_bias_linear", true);
  turn_on("--disable-bias-linear", "add_bias_linear", false);
  if (spec_.qkv_bias) turn_on("--add-qkv-bias", "add_qkv_bias");
}

void Megatron::experts() {
  const model::Experts& experts = spec_.experts;
  if (experts.count == 0) return;
  give("--num-experts", experts.count, "num_moe_experts");
  give("--moe-router-topk", experts.top_k, "moe_router_topk");
  give("--moe-ffn-hidden-size", experts.width, "moe_ffn_hidden_size");
  if (experts.shared > 0)
    give("--moe-shared-expert-intermediate-size", experts.shared * experts.width, "moe_shared_expert_intermediate_size");
  if (experts.dense_layers > 0) {
    json pattern = json::array();
    for (std::int64_t layer = 0; layer < spec_.layers; ++layer) pattern.push_back(layer < experts.dense_layers ? 0 : 1);
    settings_.push_back({"--moe-layer-freq", fmt::format("([0]*{}+[1]*{})", experts.dense_layers, spec_.layers - experts.dense_layers),
                         "moe_layer_freq", pattern});
  }
  turn_on("--moe-grouped-gemm");
  give("--moe-token-dispatcher-type", std::string("alltoall"), "moe_token_dispatcher_type");
  give("--expert-model-parallel-size", layout_.ep, "expert_model_parallel_size");
  if (layout_.ep > 1) give("--expert-tensor-parallel-size", 1, "expert_tensor_parallel_size");
  differs("experts: how the router scores, balances and drops is Megatron's default; the plan assumes even loads and no drops");
  if (experts.router_bias) differs("router_bias = true: see --moe-router-enable-expert-bias, which needs the sigmoid score function");
}

void Megatron::parallelism() {
  give("--tensor-model-parallel-size", layout_.tp, "tensor_model_parallel_size");
  give("--pipeline-model-parallel-size", layout_.pp, "pipeline_model_parallel_size");
  give("--context-parallel-size", layout_.cp, "context_parallel_size");
  if (layout_.sequence_parallel && layout_.tp > 1) turn_on("--sequence-parallel", "sequence_parallel");
}

/// Equal stages need no word; others are written out: E the embedding, t a layer, L the loss, | the end of a stage.
void Megatron::stages() {
  if (layout_.pp == 1) return;
  const int virtual_stages = layout_.virtual_stages();
  const bool even = layout_.stage_layers.empty() && spec_.layers % virtual_stages == 0;
  if (even && layout_.chunks > 1) give("--num-virtual-stages-per-pipeline-rank", layout_.chunks, "virtual_pipeline_model_parallel_size");
  if (even) return;
  const std::vector<int> layers = cost::layers_of_stages(job_.shape);
  std::string text = "E";
  for (std::size_t i = 0; i < layers.size(); ++i) text += (i > 0 ? "|" : "") + (layers[i] > 0 ? "t*" + std::to_string(layers[i]) : "");
  text += "L";
  give("--pipeline-model-parallel-layout", text, "pipeline_model_parallel_layout");
}

void Megatron::sharding() {
  const int shards = layout_.shards(), replicas = layout_.dp * layout_.cp / std::max(1, shards);
  if (layout_.zero == 0) return;
  turn_on("--use-distributed-optimizer");
  turn_on("--overlap-grad-reduce");
  turn_on("--overlap-param-gather");
  if (layout_.zero > 1) {
    turn_on("--use-megatron-fsdp");
    give("--data-parallel-sharding-strategy", std::string(layout_.zero == 2 ? "optim_grads" : "optim_grads_params"));
    give("--ckpt-format", std::string("fsdp_dtensor"));
  }
  if (replicas > 1) {
    give("--num-distributed-optimizer-instances", replicas);
    differs(fmt::format("shard={}: Megatron keeps {} copies of the sharded states; which ranks share one follows its own order of ranks",
                        shards, replicas));
  }
}

void Megatron::recomputation() {
  if (layout_.recompute == program::Recompute::selective) {
    give("--recompute-granularity", std::string("selective"), "recompute_granularity");
  } else if (layout_.recompute == program::Recompute::layer) {
    give("--recompute-granularity", std::string("full"), "recompute_granularity");
    give("--recompute-method", std::string("uniform"), "recompute_method");
    give("--recompute-num-layers", 1, "recompute_num_layers");
  }
}

void Megatron::precision() {
  const bool half = job_.shape.precision == cost::Precision::fp16;
  turn_on(half ? "--fp16" : "--bf16", half ? "fp16" : "bf16");
  const std::string dtype = half ? "float16" : "bfloat16";
  core_only("params_dtype", dtype);
  if (layout_.pp > 1) core_only("pipeline_dtype", dtype);
  if (job_.shape.precision == cost::Precision::fp8) give("--fp8-format", std::string("hybrid"), "fp8");
  if (job_.shape.fp32_gradients)
    turn_on("--accumulate-allreduce-grads-in-fp32");
  else if (!half)  // fp16 gradients are Megatron's default; the flag has no meaning there
    turn_on("--grad-reduce-in-bf16");
}

void Megatron::batch() {
  give("--seq-length", job_.shape.sequence_length);
  give("--micro-batch-size", job_.shape.micro_batch);
  give("--global-batch-size", job_.shape.global_batch);
  give("--train-iters", job_.config.run.steps);
  // Megatron takes positive seeds, and hands them to NumPy, which takes 32 bits, with a few hundred added for each pipeline rank.
  constexpr std::int64_t kSeeds = std::int64_t{1} << 31;
  give("--seed", job_.config.run.seed % kSeeds + 1);
  differs(fmt::format("run.seed = {}: Megatron's seeds begin at 1, so --seed is {}; its random numbers are its own whatever the seed",
                      job_.config.run.seed, job_.config.run.seed % kSeeds + 1));
  if (job_.config.data.isolate_documents)
    differs(
        "data.isolate_documents = true: Megatron attends across documents unless --reset-attention-mask is given, which flash attention "
        "does not take");
}

void Megatron::optimizer() {
  const config::OptimizerTable& optimizer = job_.config.optimizer;
  give("--optimizer", std::string("adam"));
  give("--lr", optimizer.learning_rate);
  give("--adam-beta1", optimizer.beta1);
  give("--adam-beta2", optimizer.beta2);
  give("--adam-eps", optimizer.epsilon);
  give("--weight-decay", optimizer.weight_decay);
  give("--clip-grad", optimizer.clip_norm);
}

void Megatron::schedule() {
  const config::ScheduleTable& schedule = job_.config.schedule;
  const std::int64_t steps = job_.config.run.steps;
  const auto style = [&]() -> std::string {
    switch (schedule.kind) {
      case LearningRateSchedule::constant:
        return "constant";
      case LearningRateSchedule::linear:
        return "linear";
      case LearningRateSchedule::cosine:
        return "cosine";
      case LearningRateSchedule::inverse_sqrt:
        return "inverse-square-root";
      case LearningRateSchedule::wsd:
        return "WSD";
    }
    return "";
  };
  give("--lr-decay-style", style());
  give("--lr-decay-iters", steps);
  give("--lr-warmup-iters", schedule.warmup_steps);
  give("--min-lr", schedule.min_learning_rate);
  if (schedule.kind == LearningRateSchedule::wsd) {
    const auto shape = schedule.decay_shape;
    give("--lr-wsd-decay-iters", std::llround(schedule.decay_fraction * static_cast<double>(steps)));
    give("--lr-wsd-decay-style", std::string(shape == config::DecayShape::linear   ? "linear"
                                             : shape == config::DecayShape::cosine ? "cosine"
                                                                                   : "minus_sqrt"));
  }
  differs("schedule: Megatron counts its steps from 0 where the plan's warm-up begins at 1, so rates are one step apart");
}

json Megatron::transformer_config() const {
  json out = json::object();
  for (const Setting& each : settings_)
    if (!each.field.empty()) out[each.field] = each.as;
  return out;
}

/// Arguments of megatron.core.models.gpt.GPTModel that stand outside its TransformerConfig.
json Megatron::gpt_model() const {
  const bool learned = spec_.position == model::PositionKind::learned, rope = spec_.position == model::PositionKind::rope;
  json out = {{"vocab_size", padded_vocabulary()},
              {"max_sequence_length", learned ? spec_.position_rows : job_.shape.sequence_length},
              {"position_embedding_type", rope      ? "rope"
                                          : learned ? "learned_absolute"
                                                    : "none"},
              {"share_embeddings_and_output_weights", spec_.tied_embeddings}};
  if (rope) out["rotary_base"] = static_cast<std::int64_t>(spec_.rope_theta), out["rotary_percent"] = spec_.rope_fraction;
  return out;
}

/// What the shell must set (a value) or must not (null). With one connection kernels start in the order of their calls, which Megatron
/// relies on to hide the messages of tensor and context parallelism behind products and asserts before Blackwell; its FSDP asserts the
/// opposite.
json Megatron::environment() const {
  constexpr const char* kConnections = "CUDA_DEVICE_MAX_CONNECTIONS";
  if (layout_.zero > 1) return {{kConnections, nullptr}};
  if (layout_.tp > 1 || layout_.cp > 1) return {{kConnections, "1"}};
  return json::object();
}

std::string Megatron::script() const {
  std::string out = "#!/usr/bin/env bash\n# Megatron-LM: " + headline(job_) + "\n";
  out += "# Written by longhaul emit; flags of Megatron-LM at commit 000c4ac, before core 0.16.\n";
  if (!job_.planned.empty()) out += "# " + one_line(job_.planned) + "\n";
  out += "#\n# Not expressed:\n";
  for (const std::string& each : not_expressed_) out += "# - " + one_line(each) + "\n";
  out += "#\n# Fields of megatron-core 0.16's TransformerConfig with other names than their flags:\n";
  for (const Setting& each : settings_) {
    std::string plain = each.flag.empty() ? "" : each.flag.substr(2);
    std::replace(plain.begin(), plain.end(), '-', '_');
    if (!each.field.empty() && plain != each.field)
      out += fmt::format("#   {} = {}{}\n", each.field, each.as.dump(), each.flag.empty() ? "" : "  (" + each.flag + ")");
  }
  const Processes processes = processes_of(job_.shape);
  out += "set -euo pipefail\n";
  const json variables = environment();
  for (const auto& [name, value] : variables.items())
    out += value.is_null() ? "unset " + name + "\n" : "export " + name + "=" + shell_word(value.get<std::string>()) + "\n";
  out += fmt::format("exec torchrun --nproc-per-node {} --nnodes {} ${{TORCHRUN_ARGS:-}} pretrain_gpt.py \\\n", processes.per_node,
                     processes.nodes);
  for (const Setting& each : settings_)
    if (!each.flag.empty()) out += "  " + each.flag + (each.value.empty() ? "" : " " + shell_word(each.value)) + " \\\n";
  return out + "  \"$@\"  # --data-path, --tokenizer-type, --tokenizer-model, --save …\n";
}

}  // namespace

Emission emit_megatron(const EmitJob& job) { return Megatron(job).emit(); }

}  // namespace longhaul::interop
