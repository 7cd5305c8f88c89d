// A torchtitan configuration: a Python file with a function that returns Trainer.Config, which its --module/--config take.
#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <string>
#include <vector>

#include "cost/stages.h"
#include "interop/emission.h"
#include "program/layout.h"
#include "units/one_line.h"

namespace longhaul::interop {
namespace {

using config::LearningRateSchedule;
using model::ModelSpec;
using nlohmann::json;

constexpr std::string_view kTorchtitan = "torchtitan";

/// Rows of a block of FlexAttention's masks, PyTorch's default.
constexpr std::int64_t kMaskBlock = 128;
/// ChunkedLossWrapper's default; its chunks must be equal.
constexpr std::int64_t kLossChunks = 8;

/// JSON's scalars and lists as Python writes them.
std::string python(const json& value) {
  if (value.is_boolean()) return value.get<bool>() ? "True" : "False";
  if (value.is_null()) return "None";
  if (!value.is_array()) return value.dump();
  std::string out = "[";
  for (const json& each : value) out += (out.size() > 1 ? ", " : "") + python(each);
  return out + "]";
}

class Torchtitan {
 public:
  explicit Torchtitan(const EmitJob& job) : job_(job), spec_(job.shape.model), layout_(job.shape.layout) {}
  Emission emit();

 private:
  void refuse() const;
  void model();
  void training();
  void parallelism();
  void pipeline();
  void sharding();
  void schedule();
  std::string file() const;
  std::string head() const;
  std::string model_code() const;
  std::string trainer_code() const;
  std::string section(const std::string& name) const;

  void differs(const std::string& sentence) { not_expressed_.push_back(sentence); }

  const EmitJob& job_;
  const ModelSpec& spec_;
  const program::Layout& layout_;
  json settings_;  ///< {"training": {"seq_len": …}, …}: torchtitan's own names
  std::vector<std::string> not_expressed_ = never_expressed(job_);
};

Emission Torchtitan::emit() {
  refuse();
  model();
  training();
  parallelism();
  pipeline();
  sharding();
  schedule();
  Emission out;
  out.version = "torchtitan 0.3";
  out.text = file();
  out.settings = settings_;
  out.not_expressed = not_expressed_;
  return out;
}

/// What torchtitan's llama3 module is; its other modules are other models.
void Torchtitan::refuse() const {
  const auto llama = [&](bool condition, const std::string& axis) {
    require(condition, kTorchtitan,
            axis + ": its llama3 module has RMSNorm, RoPE, SwiGLU and grouped heads, without biases, qk_norm or experts");
  };
  llama(spec_.norm == model::NormKind::rms_norm && !spec_.norm_bias, fmt::format("norm = {}", model::name(spec_.norm)));
  llama(spec_.position == model::PositionKind::rope, fmt::format("position = {}", model::name(spec_.position)));
  llama(spec_.rope_fraction == 1, fmt::format("rope_fraction = {}", spec_.rope_fraction));
  llama(spec_.mlp == model::MlpKind::swiglu, fmt::format("mlp = {}", model::name(spec_.mlp)));
  llama(!spec_.qkv_bias && !spec_.output_bias && !spec_.mlp_bias, "biases of linear layers");
  llama(!spec_.qk_norm, "qk_norm = true");
  llama(spec_.experts.count == 0, fmt::format("experts = {}", spec_.experts.count));
  llama(!spec_.has_latent_attention(), "latent attention");
  llama(!spec_.parallel_residual && !spec_.embedding_norm, "parallel_residual or embedding_norm");
  const auto has = [](bool condition, const std::string& sentence) { require(condition, kTorchtitan, sentence); };
  has(spec_.q_width() == spec_.width,
      fmt::format("head_dim = {}: llama3's heads share the width {}, {} each", spec_.head_dim, spec_.width, spec_.width / spec_.heads));
  has(job_.shape.precision == cost::Precision::bf16, fmt::format("precision = {}: this verb writes bf16 for it; add a converter of "
                                                                 "torchtitan.components.quantization to the file for fp8",
                                                                 name(job_.shape.precision)));
  has(layout_.schedule != program::ScheduleKind::zb_h1 && layout_.schedule != program::ScheduleKind::zb_h2,
      fmt::format("schedule={}: gpipe, 1f1b and interleaved are written", program::name(layout_.schedule)));
  has(layout_.zero != 1, "zero=1: FSDP shards gradients and optimizer together (zero=2), and parameters with them (zero=3)");
  has(layout_.zero > 0 || layout_.cp == 1, "cp with zero=0: its context-parallel ranks always share the sharded states; give zero=2 or 3");
  has(layout_.zero == 0 || layout_.shards() % layout_.cp == 0,
      fmt::format("shard={}: context-parallel ranks (cp={}) are part of each group that shares the states", layout_.shards(), layout_.cp));
  if (layout_.cp > 1) {
    // Its trainer asks for two parts for each rank, of which sequence parallelism cuts each into tp; PyTorch's masks of FlexAttention for
    // whole blocks on each rank.
    const std::int64_t parts = std::int64_t{2} * layout_.cp * (layout_.sequence_parallel ? layout_.tp : 1);
    require_multiple(
        job_.shape.sequence_length, std::lcm(parts, kMaskBlock * layout_.cp), kTorchtitan,
        fmt::format("cp = {} cuts it into {} equal parts and its masks into blocks of {} on each rank", layout_.cp, parts, kMaskBlock));
  }
  has(job_.config.schedule.kind != LearningRateSchedule::inverse_sqrt,
      "schedule.kind = inverse_sqrt: constant, linear, cosine and wsd are there; --set schedule.kind=cosine");
}

void Torchtitan::model() {
  settings_["model"] = {{"dim", spec_.width},
                        {"n_layers", spec_.layers},
                        {"n_heads", spec_.heads},
                        {"n_kv_heads", spec_.kv_heads},
                        {"hidden_dim", spec_.ffn_width},
                        {"vocab_size", spec_.vocab},
                        {"norm_eps", spec_.norm_epsilon},
                        {"rope_theta", spec_.rope_theta},
                        {"max_seq_len", std::max(spec_.position_rows, job_.shape.sequence_length)},
                        {"enable_weight_tying", spec_.tied_embeddings}};
  if (const auto& rope = job_.llama3_rope)
    differs(
        fmt::format("rope_type = llama3: in ComplexRoPE.Config below write scaling=\"llama\", scaling_factor={}, low_freq_factor={}, "
                    "high_freq_factor={}, original_max_position_embeddings={} to have it",
                    rope->factor, rope->low_freq_factor, rope->high_freq_factor, rope->original_max_position_embeddings));
  differs(fmt::format("init_std = {}: initial weights are torchtitan's own for llama3 (truncated, scaled by depth)", spec_.init_std));
  differs("attention: torchtitan keeps documents apart where its loader says where they begin; work is planned for whole sequences");
}

void Torchtitan::training() {
  const std::int64_t per_rank = job_.shape.global_batch / layout_.dp;
  const config::OptimizerTable& optimizer = job_.config.optimizer;
  // A pipeline takes all micro-batches of a step in one go; without one, torchtitan accumulates gradients over local batches.
  settings_["training"] = {{"local_batch_size", layout_.pp > 1 ? per_rank : job_.shape.micro_batch},
                           {"global_batch_size", job_.shape.global_batch},
                           {"seq_len", job_.shape.sequence_length},
                           {"steps", job_.config.run.steps},
                           {"dtype", "float32"},
                           {"mixed_precision_param", "bfloat16"},
                           {"mixed_precision_reduce", "float32"},
                           // Runs that the planner is fitted to had none, and a pipeline cannot have them.
                           {"disable_cuda_graphs", true}};
  if (optimizer.clip_norm > 0)
    settings_["training"]["max_norm"] = optimizer.clip_norm;
  else
    differs("optimizer.clip_norm = 0: torchtitan always clips; the bound written is one that nothing reaches");
  settings_["optimizer"] = {{"lr", optimizer.learning_rate},
                            {"betas", {optimizer.beta1, optimizer.beta2}},
                            {"eps", optimizer.epsilon},
                            {"weight_decay", optimizer.weight_decay}};
  if (optimizer.weight_decay > 0) differs("optimizer.weight_decay: torchtitan's default group decays norms too");
  settings_["debug"] = {{"seed", job_.config.run.seed}};
}

void Torchtitan::parallelism() {
  settings_["parallelism"] = {{"tensor_parallel_degree", layout_.tp},
                              {"enable_sequence_parallel", layout_.sequence_parallel},
                              {"context_parallel_degree", layout_.cp},
                              {"pipeline_parallel_degree", layout_.pp}};
  settings_["compile"] = {{"enable", job_.shape.framework.find("+compile") != std::string::npos}};
  settings_["activation_checkpoint"] = layout_.recompute == program::Recompute::none    ? json()
                                       : layout_.recompute == program::Recompute::layer ? json("FullAC")
                                                                                        : json("SelectiveAC");
  if (layout_.recompute == program::Recompute::selective)
    differs("recompute=selective: torchtitan's SelectiveAC recomputes every second product, the plan attention's scores alone");
}

void Torchtitan::pipeline() {
  if (layout_.pp == 1) return;
  json& parallelism = settings_["parallelism"];
  parallelism["pipeline_parallel_schedule"] = layout_.chunks > 1                                 ? "Interleaved1F1B"
                                              : layout_.schedule == program::ScheduleKind::gpipe ? "GPipe"
                                                                                                 : "1F1B";
  parallelism["pipeline_parallel_microbatch_size"] = job_.shape.micro_batch;
  const std::vector<int> stages = cost::layers_of_stages(job_.shape);
  json parts = json::array();
  int layer = 0;
  for (std::size_t i = 0; i < stages.size(); ++i) {
    json part = json::array();
    if (i == 0) part.push_back("tok_embeddings");
    for (const int end = layer + stages[i]; layer < end; ++layer) part.push_back(fmt::format("layers.{}", layer));
    if (i + 1 == stages.size()) part.push_back("norm"), part.push_back("lm_head");
    parts.push_back(part);
  }
  parallelism["module_fqns_per_model_part"] = parts;
  require(!spec_.tied_embeddings, kTorchtitan,
          "tied_embeddings = true with pp > 1: embedding and head lie on different ranks there; give pp=1");
}

/// FSDP's mesh is dp_shard · cp; the replicas of it are dp_replicate.
void Torchtitan::sharding() {
  json& parallelism = settings_["parallelism"];
  const int shard = layout_.zero == 0 ? 1 : layout_.shards() / layout_.cp;
  parallelism["data_parallel_shard_degree"] = shard;
  parallelism["data_parallel_replicate_degree"] = layout_.dp / shard;
  if (layout_.zero > 0) parallelism["fsdp_reshard_after_forward"] = layout_.zero == 3 ? "always" : "never";
}

void Torchtitan::schedule() {
  const config::ScheduleTable& schedule = job_.config.schedule;
  json out = {{"warmup_steps", schedule.warmup_steps}, {"min_lr_factor", schedule.min_learning_rate / job_.config.optimizer.learning_rate}};
  if (schedule.kind == LearningRateSchedule::constant)
    out["decay_ratio"] = 0.0;
  else if (schedule.kind == LearningRateSchedule::wsd)
    out["decay_ratio"] = schedule.decay_fraction;
  if (schedule.kind == LearningRateSchedule::wsd)
    out["decay_type"] = schedule.decay_shape == config::DecayShape::linear   ? "linear"
                        : schedule.decay_shape == config::DecayShape::cosine ? "cosine"
                                                                             : "sqrt";
  else if (schedule.kind != LearningRateSchedule::constant)
    out["decay_type"] = schedule.kind == LearningRateSchedule::linear ? "linear" : "cosine";
  settings_["lr_scheduler"] = out;
  if (schedule.kind == LearningRateSchedule::cosine || schedule.kind == LearningRateSchedule::linear)
    differs("schedule: torchtitan decays over one step more than the plan, so that the last step is not at the floor yet");
}

/// "key=value, key=value" of one section.
std::string Torchtitan::section(const std::string& name) const {
  std::string out;
  for (const auto& [key, value] : settings_.at(name).items()) out += fmt::format("\n            {}={},", key, python(value));
  return out + "\n        ";
}

std::string Torchtitan::head() const {
  const Processes processes = processes_of(job_.shape);
  std::string out = "# torchtitan 0.3: " + headline(job_) + "\n# Written by longhaul emit.\n";
  if (!job_.planned.empty()) out += "# " + one_line(job_.planned) + "\n";
  out += fmt::format(
      "#\n# Start, with this file as {0}.py in a folder of PYTHONPATH:\n#   torchrun --nproc-per-node {1} --nnodes {2} "
      "-m torchtitan.train --module {0} --config train\n#\n# Not expressed:\n",
      job_.module, processes.per_node, processes.nodes);
  for (const std::string& each : not_expressed_) out += "# - " + one_line(each) + "\n";
  return out;
}

/// The functions with a leading underscore are how torchtitan 0.3 builds its own llama3 sizes.
std::string Torchtitan::model_code() const {
  const json& m = settings_.at("model");
  std::string out = R"(from torchtitan.components.loss import ChunkedLossWrapper, CrossEntropyLoss
from torchtitan.components.optimizer import LRSchedulersContainer, default_adamw
from torchtitan.config import CompileConfig, DebugConfig, ParallelismConfig, TrainingConfig
from torchtitan.distributed.activation_checkpoint import FullAC, SelectiveAC
from torchtitan.distributed.pipeline_parallel import pipeline_llm
from torchtitan.hf_datasets.text_datasets import HuggingFaceTextDataLoader
from torchtitan.models import llama3
from torchtitan.models.common import ComplexRoPE, Embedding, Linear, RMSNorm
from torchtitan.protocols.model_spec import ModelSpec
from torchtitan.trainer import Trainer


def model():
)";
  out += fmt::format("    dim, vocab_size, eps = {}, {}, {}\n", python(m["dim"]), python(m["vocab_size"]), python(m["norm_eps"]));
  out += fmt::format(R"(    layers = llama3._build_llama3_layers(
        fuse_qkv=True, attn_backend="flex", dim=dim,
        n_layers={}, n_heads={}, n_kv_heads={}, hidden_dim={},
        rope=ComplexRoPE.Config(dim=dim // {}, max_seq_len={}, theta={}, scaling="none"),
    )
    for layer in layers:
        layer.attention_norm.eps = layer.ffn_norm.eps = eps
)",
                     spec_.layers, spec_.heads, spec_.kv_heads, spec_.ffn_width, spec_.heads, python(m["max_seq_len"]),
                     python(m["rope_theta"]));
  const bool tied = spec_.tied_embeddings;
  out += fmt::format(R"(    return llama3.Llama3Model.Config(
        dim=dim, vocab_size=vocab_size, enable_weight_tying={}, layers=layers,
        tok_embeddings=Embedding.Config(num_embeddings=vocab_size, embedding_dim=dim, param_init=llama3.{}),
        norm=RMSNorm.Config(normalized_shape=dim, eps=eps, param_init=llama3._NORM_INIT),
        lm_head=Linear.Config(in_features=dim, out_features=vocab_size, param_init=llama3._output_linear_init(dim)),
    )


)",
                     tied ? "True" : "False", tied ? "_EMBEDDING_SKIP_INIT" : "_EMBEDDING_INIT");
  return out;
}

std::string Torchtitan::trainer_code() const {
  const json& optimizer = settings_.at("optimizer");
  const json& recompute = settings_.at("activation_checkpoint");
  std::string training = section("training");
  if (!settings_.at("training").contains("max_norm")) training.insert(training.size() - 9, "\n            max_norm=float(\"inf\"),");
  std::string out = R"(def train() -> Trainer.Config:
    spec = ModelSpec(
        name="llama3", flavor="longhaul", model=model(), parallelize_fn=llama3.parallelize_llama, pipelining_fn=pipeline_llm,
        post_optimizer_build_fn=None, state_dict_adapter=llama3.Llama3StateDictAdapter,
    )
    return Trainer.Config(
        model_spec=spec,
)";
  const std::int64_t chunks = std::gcd(kLossChunks, job_.shape.sequence_length / layout_.cp);
  out += fmt::format("        loss=ChunkedLossWrapper.Config({}loss_fn=CrossEntropyLoss.Config(global_vocab_size={})),\n",
                     chunks < kLossChunks ? fmt::format("num_chunks={}, ", chunks) : "", spec_.vocab);
  out += "        dataloader=HuggingFaceTextDataLoader.Config(dataset=\"c4\"),  # yours; the tokenizer: hf_assets_path\n";
  out += fmt::format("        optimizer=default_adamw(lr={}, betas=({}, {}), eps={}, weight_decay={}),\n", python(optimizer["lr"]),
                     python(optimizer["betas"][0]), python(optimizer["betas"][1]), python(optimizer["eps"]),
                     python(optimizer["weight_decay"]));
  out += "        lr_scheduler=LRSchedulersContainer.Config(" + section("lr_scheduler") + "),\n";
  out += "        training=TrainingConfig(" + training + "),\n";
  out += "        parallelism=ParallelismConfig(" + section("parallelism") + "),\n";
  out += "        activation_checkpoint=" + (recompute.is_null() ? "None" : recompute.get<std::string>() + ".Config()") + ",\n";
  out += "        compile=CompileConfig(" + section("compile") + "),\n";
  return out + "        debug=DebugConfig(" + section("debug") + "),\n    )\n";
}

std::string Torchtitan::file() const { return head() + model_code() + trainer_code(); }

}  // namespace

Emission emit_torchtitan(const EmitJob& job) { return Torchtitan(job).emit(); }

}  // namespace longhaul::interop
