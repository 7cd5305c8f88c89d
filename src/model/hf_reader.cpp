#include "model/hf_reader.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <initializer_list>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "units/error.h"
#include "units/nearest.h"

namespace longhaul::model {
namespace {

using nlohmann::json;

constexpr std::array<std::string_view, 8> kKinds{"llama", "gpt2", "qwen2", "qwen3", "qwen3_moe", "mistral", "mixtral", "gpt_neox"};

/// Keys of every kind that reach neither a parameter nor the work.
constexpr std::array<std::string_view, 40> kWithoutEffect{"_attn_implementation",
                                                          "_attn_implementation_autoset",
                                                          "_name_or_path",
                                                          "architectures",
                                                          "auto_map",
                                                          "bos_token_id",
                                                          "chunk_size_feed_forward",
                                                          "classifier_dropout",
                                                          "dtype",
                                                          "eos_token_id",
                                                          "id2label",
                                                          "is_decoder",
                                                          "is_encoder_decoder",
                                                          "label2id",
                                                          "max_window_layers",
                                                          "model_type",
                                                          "n_ctx",
                                                          "norm_topk_prob",
                                                          "num_labels",
                                                          "output_attentions",
                                                          "output_hidden_states",
                                                          "output_router_logits",
                                                          "pad_token_id",
                                                          "pretraining_tp",
                                                          "problem_type",
                                                          "reorder_and_upcast_attn",
                                                          "return_dict",
                                                          "router_aux_loss_coef",
                                                          "router_jitter_noise",
                                                          "summary_activation",
                                                          "summary_first_dropout",
                                                          "summary_proj_to_labels",
                                                          "summary_type",
                                                          "summary_use_proj",
                                                          "task_specific_params",
                                                          "tokenizer_class",
                                                          "torch_dtype",
                                                          "transformers_version",
                                                          "use_bfloat16",
                                                          "use_cache"};

/// Switches of some kinds that, while off, say of another what holds anyway.
constexpr std::array<std::string_view, 3> kOffElsewhere{"attention_bias", "mlp_bias", "use_sliding_window"};

constexpr std::array<std::string_view, 5> kDropouts{"attention_dropout", "hidden_dropout", "attn_pdrop", "resid_pdrop", "embd_pdrop"};

/// What a file holds, for a message: short, and without bytes that a terminal would obey.
std::string shown(const json& value) {
  constexpr std::size_t kMostShown = 60;
  std::string text =
      value.is_structured() ? value.is_array() ? "an array" : "an object" : value.dump(-1, ' ', true, json::error_handler_t::replace);
  if (text.size() > kMostShown) text = text.substr(0, kMostShown) + "…";
  return text;
}

/// Reads keys of one object, remembers which, and notes what was assumed.
class Keys {
 public:
  Keys(const json& object, std::string label, HfModel& out) : object_(object), label_(std::move(label)), out_(out) {
    if (!object.is_object()) throw UsageError(label_ + ": a config.json is an object, this is " + shown(object));
  }

  [[noreturn]] void fail(std::string_view key, const std::string& why) const {
    throw UsageError(label_ + ": " + std::string(key) + " " + why);
  }
  void note(const std::string& sentence) { out_.notes.push_back(sentence); }

  /// The value under a key or its other name (transformers' attribute_map); null counts as given.
  const json* find(std::string_view key, std::string_view alias = "") {
    const json* value = at(key);
    const json* other = alias.empty() ? nullptr : at(alias);
    if (value && other && *value != *other)
      fail(key, "= " + shown(*value) + " and " + std::string(alias) + " = " + shown(*other) + " are the same size; give one of them");
    return value ? value : other;
  }

  /// A size; `absent` where there is no such key. Null is refused.
  std::int64_t size(std::string_view key, std::int64_t absent, std::string_view alias = "", std::int64_t least = 1) {
    const json* value = find(key, alias);
    if (value) return checked_size(key, *value, least);
    assume(key, std::to_string(absent));
    return absent;
  }
  /// The same where null means `otherwise`, as it does for a key that is absent unless `absent` differs.
  std::int64_t size_or(std::string_view key, std::int64_t otherwise, std::optional<std::int64_t> absent = std::nullopt) {
    const json* value = find(key);
    if (value && !value->is_null()) return checked_size(key, *value, 1);
    const std::int64_t taken = value ? otherwise : absent.value_or(otherwise);
    assume(key, std::to_string(taken));
    return taken;
  }
  double real(std::string_view key, double absent, double least, double most) {
    const json* value = find(key);
    if (value) return checked_real(key, *value, least, most);
    assume(key, json(absent).dump());
    return absent;
  }
  double checked_real(std::string_view key, const json& value, double least, double most) const {
    const bool fits =
        value.is_number() && std::isfinite(value.get<double>()) && value.get<double>() >= least && value.get<double>() <= most;
    if (!fits) fail(key, "= " + shown(value) + ": allowed are numbers from " + json(least).dump() + " to " + json(most).dump());
    return value.get<double>();
  }
  bool flag(std::string_view key, bool absent) {
    const json* value = find(key);
    if (value && !value->is_boolean()) fail(key, "= " + shown(*value) + ": allowed are true and false");
    if (value) return value->get<bool>();
    assume(key, absent ? "true" : "false");
    return absent;
  }
  std::string text(std::string_view key, const std::string& absent) {
    const json* value = find(key);
    if (value && !value->is_string()) fail(key, "= " + shown(*value) + ": a name in quotes is allowed");
    if (value) return value->get<std::string>();
    assume(key, absent);
    return absent;
  }
  /// Notes keys that were not read, each with the nearest key that was.
  void note_the_rest() {
    std::vector<std::string_view> known(read_.begin(), read_.end());
    for (const auto& [key, value] : object_.items()) {
      if (value == false && std::find(kOffElsewhere.begin(), kOffElsewhere.end(), key) != kOffElsewhere.end()) continue;
      if (read_.contains(key) || std::find(kWithoutEffect.begin(), kWithoutEffect.end(), key) != kWithoutEffect.end()) continue;
      std::string sentence = "the key " + shown(json(key)) + " is none of this kind's and is left alone, as transformers does";
      constexpr std::size_t kMisspelt = 2, kLongestName = 64;
      if (key.size() <= kLongestName && edit_distance(key, nearest(key, known)) <= kMisspelt)
        sentence += "; did you mean " + std::string(nearest(key, known)) + "?";
      note(sentence);
    }
  }

 private:
  const json* at(std::string_view key) {
    read_.insert(std::string(key));
    const auto found = object_.find(key);
    return found == object_.end() ? nullptr : &*found;
  }
  std::int64_t checked_size(std::string_view key, const json& value, std::int64_t least) const {
    // Whole numbers above 2^63 are unsigned in the parser; a comparison as double refuses them without wrapping.
    if (!value.is_number_integer() || value.get<double>() < static_cast<double>(least) ||
        value.get<double>() > static_cast<double>(kLargestSize))
      fail(key, "= " + shown(value) + ": allowed are whole numbers from " + std::to_string(least) + " to " + std::to_string(kLargestSize));
    return value.get<std::int64_t>();
  }
  void assume(std::string_view key, const std::string& value) { out_.assumed.push_back(std::string(key) + " = " + value); }

  const json& object_;
  std::string label_;
  HfModel& out_;
  std::set<std::string, std::less<>> read_;
};

/// Defaults by kind of the keys that the Llama-shaped classes share.
struct Defaults {
  std::int64_t vocab, width, ffn, layers, heads;
  std::optional<std::int64_t> kv_heads;  ///< absent: as many as heads
  std::optional<std::int64_t> head_dim;  ///< absent: hidden_size / num_attention_heads
  std::int64_t positions;
  double epsilon, theta;
};

Defaults defaults_of(std::string_view kind) {
  if (kind == "qwen2") return {151936, 4096, 22016, 32, 32, 32, std::nullopt, 32768, 1e-6, 1e4};
  if (kind == "qwen3") return {151936, 4096, 22016, 32, 32, 32, 128, 32768, 1e-6, 1e4};
  if (kind == "qwen3_moe") return {151936, 2048, 6144, 24, 32, 4, std::nullopt, 32768, 1e-6, 1e4};
  if (kind == "mistral") return {32000, 4096, 14336, 32, 32, 8, std::nullopt, 131072, 1e-6, 1e4};
  if (kind == "mixtral") return {32000, 4096, 14336, 32, 32, 8, std::nullopt, 131072, 1e-5, 1e6};
  return {32000, 4096, 11008, 32, 32, std::nullopt, std::nullopt, 2048, 1e-6, 1e4};
}

class Reader {
 public:
  Reader(const json& config, const std::string& label) : label_(label), keys_(config, label, out_) {}
  HfModel read();

 private:
  void gpt2();
  void gpt_neox();
  void llama();
  void heads(const Defaults& defaults);
  void experts();
  void qwen3_dense_layers();
  void rotation(double default_theta, double default_fraction, bool fraction_allowed);
  void rotation_kind(const json& parameters);
  std::optional<Llama3Rope> llama3_rope(const json& parameters) const;
  MlpKind activation(const std::string& key, const std::string& fallback, bool is_gated);
  void window();
  void common_notes();
  void check();

  bool is(std::initializer_list<std::string_view> kinds) const { return std::find(kinds.begin(), kinds.end(), out_.kind) != kinds.end(); }

  std::string label_;
  HfModel out_;
  Keys keys_;
  ModelSpec& spec_ = out_.spec;
};

HfModel Reader::read() {
  const json* kind = keys_.find("model_type");
  std::string allowed;
  for (const std::string_view each : kKinds) allowed += (allowed.empty() ? "" : ", ") + std::string(each);
  if (!kind) keys_.fail("model_type", "is missing; allowed are " + allowed);
  if (!kind->is_string() || std::find(kKinds.begin(), kKinds.end(), kind->get_ref<const std::string&>()) == kKinds.end())
    keys_.fail("model_type", "= " + shown(*kind) + ": allowed are " + allowed);
  out_.kind = kind->get<std::string>();
  if (out_.kind == "gpt2")
    gpt2();
  else if (out_.kind == "gpt_neox")
    gpt_neox();
  else
    llama();
  spec_.init_std = keys_.real("initializer_range", 0.02, std::numeric_limits<double>::min(), 1);
  common_notes();
  keys_.note_the_rest();
  check();
  return std::move(out_);
}

void Reader::gpt2() {
  spec_.vocab = keys_.size("vocab_size", 50257);
  spec_.width = keys_.size("n_embd", 768, "hidden_size");
  spec_.layers = keys_.size("n_layer", 12, "num_hidden_layers");
  spec_.heads = spec_.kv_heads = keys_.size("n_head", 12, "num_attention_heads");
  spec_.position_rows = keys_.size("n_positions", 1024, "max_position_embeddings");
  spec_.ffn_width = keys_.size_or("n_inner", 4 * spec_.width);
  if (spec_.width % spec_.heads != 0)
    keys_.fail("n_head", "= " + std::to_string(spec_.heads) + " does not divide n_embd = " + std::to_string(spec_.width));
  spec_.head_dim = spec_.width / spec_.heads;
  spec_.norm = NormKind::layer_norm;
  spec_.norm_epsilon = keys_.real("layer_norm_epsilon", 1e-5, std::numeric_limits<double>::min(), 1);
  spec_.position = PositionKind::learned;
  spec_.mlp = activation("activation_function", "gelu_new", false);
  spec_.norm_bias = spec_.qkv_bias = spec_.output_bias = spec_.mlp_bias = true;
  spec_.tied_embeddings = keys_.flag("tie_word_embeddings", true);
  if (keys_.flag("add_cross_attention", false))
    keys_.fail("add_cross_attention", "= true: layers that read an encoder cannot be expressed; false is allowed");
  if (!keys_.flag("scale_attn_weights", true)) keys_.note("scale_attn_weights = false: scores here are divided by √head_dim");
  if (keys_.flag("scale_attn_by_inverse_layer_idx", false))
    keys_.note("scale_attn_by_inverse_layer_idx = true: scores here are not divided by the layer's number");
  std::erase_if(out_.assumed, [](const std::string& each) { return each.starts_with("add_cross") || each.starts_with("scale_attn"); });
}

void Reader::gpt_neox() {
  spec_.vocab = keys_.size("vocab_size", 50432);
  spec_.width = keys_.size("hidden_size", 6144);
  spec_.layers = keys_.size("num_hidden_layers", 44);
  spec_.heads = spec_.kv_heads = keys_.size("num_attention_heads", 64);
  spec_.ffn_width = keys_.size("intermediate_size", 24576);
  spec_.position_rows = keys_.size("max_position_embeddings", 2048);
  if (spec_.width % spec_.heads != 0)
    keys_.fail("num_attention_heads", "= " + std::to_string(spec_.heads) + " does not divide hidden_size = " + std::to_string(spec_.width));
  spec_.head_dim = spec_.width / spec_.heads;
  spec_.norm = NormKind::layer_norm;
  spec_.norm_epsilon = keys_.real("layer_norm_eps", 1e-5, std::numeric_limits<double>::min(), 1);
  spec_.mlp = activation("hidden_act", "gelu", false);
  spec_.norm_bias = spec_.mlp_bias = true;
  spec_.qkv_bias = spec_.output_bias = keys_.flag("attention_bias", true);
  spec_.parallel_residual = keys_.flag("use_parallel_residual", true);
  spec_.tied_embeddings = keys_.flag("tie_word_embeddings", false);
  rotation(10000, 0.25, true);
}

void Reader::llama() {
  const Defaults defaults = defaults_of(out_.kind);
  spec_.vocab = keys_.size("vocab_size", defaults.vocab);
  spec_.width = keys_.size("hidden_size", defaults.width);
  spec_.ffn_width = keys_.size("intermediate_size", defaults.ffn);
  spec_.layers = keys_.size("num_hidden_layers", defaults.layers);
  spec_.position_rows = keys_.size("max_position_embeddings", defaults.positions);
  heads(defaults);
  spec_.norm_epsilon = keys_.real("rms_norm_eps", defaults.epsilon, std::numeric_limits<double>::min(), 1);
  spec_.mlp = activation("hidden_act", "silu", true);
  spec_.tied_embeddings = keys_.flag("tie_word_embeddings", false);
  if (is({"llama", "qwen3", "qwen3_moe"})) spec_.qkv_bias = spec_.output_bias = keys_.flag("attention_bias", false);
  if (is({"llama"})) spec_.mlp_bias = keys_.flag("mlp_bias", false);
  if (is({"qwen2"})) spec_.qkv_bias = true;
  spec_.qk_norm = is({"qwen3", "qwen3_moe"});
  if (is({"mixtral", "qwen3_moe"})) experts();
  rotation(defaults.theta, 1, false);
  window();
}

void Reader::heads(const Defaults& defaults) {
  spec_.heads = keys_.size("num_attention_heads", defaults.heads);
  spec_.kv_heads = keys_.size_or("num_key_value_heads", spec_.heads, defaults.kv_heads);
  if (defaults.head_dim) {
    spec_.head_dim = keys_.size("head_dim", *defaults.head_dim);
  } else if (const json* given = keys_.find("head_dim"); given && !given->is_null()) {
    spec_.head_dim = keys_.size("head_dim", 0);
  } else if (spec_.width % spec_.heads != 0) {
    keys_.fail("num_attention_heads", "= " + std::to_string(spec_.heads) + " does not divide hidden_size = " + std::to_string(spec_.width) +
                                          ", and head_dim is not given");
  } else {
    spec_.head_dim = keys_.size_or("head_dim", spec_.width / spec_.heads);
  }
}

void Reader::experts() {
  Experts& experts = spec_.experts;
  if (is({"mixtral"})) {
    experts.count = keys_.size("num_local_experts", 8, "num_experts");
    experts.top_k = keys_.size("num_experts_per_tok", 2);
    experts.width = spec_.ffn_width;
  } else {
    experts.count = keys_.size("num_experts", 128, "num_local_experts");
    experts.top_k = keys_.size("num_experts_per_tok", 8);
    experts.width = keys_.size("moe_intermediate_size", 768);
    qwen3_dense_layers();
  }
  if (experts.top_k > experts.count)
    keys_.fail("num_experts_per_tok", "= " + std::to_string(experts.top_k) + ": there are " + std::to_string(experts.count) + " experts");
}

/// Qwen3MoeConfig names the layers without experts in a list, and may put experts into each nth layer alone; a spec has leading ones.
void Reader::qwen3_dense_layers() {
  if (const std::int64_t every = keys_.size("decoder_sparse_step", 1); every != 1)
    keys_.fail("decoder_sparse_step", "= " + std::to_string(every) + ": experts in each layer (1) can be expressed, in each nth cannot");
  const json* dense = keys_.find("mlp_only_layers");
  if (!dense || dense->is_null()) return;
  if (!dense->is_array()) keys_.fail("mlp_only_layers", "= " + shown(*dense) + ": a list of layers is allowed");
  std::set<std::int64_t> layers;
  for (const json& layer : *dense) {
    if (!layer.is_number_integer() || layer.get<double>() < 0 || layer.get<double>() >= static_cast<double>(spec_.layers))
      keys_.fail("mlp_only_layers", "holds " + shown(layer) + ": layers are 0 to " + std::to_string(spec_.layers - 1));
    layers.insert(layer.get<std::int64_t>());
  }
  spec_.experts.dense_layers = static_cast<std::int64_t>(layers.size());
  if (!layers.empty() && *layers.rbegin() != spec_.experts.dense_layers - 1)
    keys_.fail("mlp_only_layers",
               "names layers that are not the first ones: layers without experts can be expressed only at the beginning");
}

/// rope_parameters, or before transformers 5 rope_theta next to rope_scaling (gpt_neox: rotary_emb_base, rotary_pct).
void Reader::rotation(double default_theta, double default_fraction, bool fraction_allowed) {
  const bool neox = is({"gpt_neox"});
  const json* scaling = keys_.find("rope_scaling");
  const json* parameters = keys_.find("rope_parameters");
  const json none = json::object();
  const json* taken = scaling && !scaling->is_null() && !scaling->empty() ? scaling
                      : parameters && !parameters->is_null()              ? parameters
                                                                          : &none;
  if (taken == scaling && parameters && !parameters->is_null())
    keys_.note("rope_parameters: passed over for rope_scaling, which is there too");
  if (!taken->is_object())
    keys_.fail(taken == scaling ? "rope_scaling" : "rope_parameters", "= " + shown(*taken) + ": an object is allowed");
  const auto value = [&](const std::string& key, const std::string& older, double fallback, double least, double most) {
    const json* outside = keys_.find(older);
    if (const auto found = taken->find(key); found != taken->end())
      return keys_.checked_real("rope_parameters." + key, *found, least, most);
    if (outside && !outside->is_null()) return keys_.checked_real(older, *outside, least, most);
    out_.assumed.push_back(key + " = " + json(fallback).dump());
    return fallback;
  };
  constexpr double kMostTheta = 1e12;  // as model.rope_theta
  spec_.rope_theta = value("rope_theta", neox ? "rotary_emb_base" : "rope_theta", default_theta, 1, kMostTheta);
  spec_.rope_fraction = value("partial_rotary_factor", neox ? "rotary_pct" : "partial_rotary_factor", default_fraction,
                              std::numeric_limits<double>::min(), 1);
  if (!fraction_allowed) std::erase(out_.assumed, "partial_rotary_factor = " + json(default_fraction).dump());
  if (!fraction_allowed && spec_.rope_fraction != 1)
    keys_.fail("partial_rotary_factor", "is not 1: transformers' " + out_.kind + " rotates whole heads");
  rotation_kind(*taken);
}

void Reader::rotation_kind(const json& parameters) {
  for (const auto& [key, value] : parameters.items())
    if (value.is_object())
      keys_.fail("rope_parameters", "holds an object under " + shown(json(key)) + ": one rotation for all layers is allowed");
  for (const char* key : {"rope_type", "type"}) {
    const auto type = parameters.find(key);
    if (type == parameters.end()) continue;
    if (!type->is_string())
      keys_.fail("rope_parameters", std::string("has ") + key + " = " + shown(*type) + ": a name in quotes is allowed");
    if (*type != "default")
      keys_.note("rope_type = " + shown(*type) + ": frequencies here are not scaled; parameters and work are the same");
    if (*type == "llama3") out_.llama3_rope = llama3_rope(parameters);
    return;
  }
}

/// Whole or not at all: transformers has no defaults for these.
std::optional<Llama3Rope> Reader::llama3_rope(const json& parameters) const {
  Llama3Rope out;
  const std::array<std::pair<const char*, double*>, 4> fields{
      {{"factor", &out.factor},
       {"low_freq_factor", &out.low_freq_factor},
       {"high_freq_factor", &out.high_freq_factor},
       {"original_max_position_embeddings", &out.original_max_position_embeddings}}};
  for (const auto& [key, value] : fields) {
    const auto found = parameters.find(key);
    if (found == parameters.end()) return std::nullopt;
    *value = keys_.checked_real(std::string("rope_parameters.") + key, *found, std::numeric_limits<double>::min(), 1e9);
  }
  return out;
}

MlpKind Reader::activation(const std::string& key, const std::string& fallback, bool is_gated) {
  const std::string name = keys_.text(key, fallback);
  constexpr std::array<std::string_view, 3> kTanh{"gelu_new", "gelu_pytorch_tanh", "gelu_fast"};
  constexpr std::array<std::string_view, 2> kErf{"gelu", "gelu_python"};
  const bool tanh = std::find(kTanh.begin(), kTanh.end(), name) != kTanh.end();
  const bool erf = std::find(kErf.begin(), kErf.end(), name) != kErf.end();
  if (erf)
    keys_.note(key + " = \"" + name + "\" is the form with erf; the one here is the tanh form, with the same parameters and products");
  if (tanh || erf) return is_gated ? MlpKind::geglu : MlpKind::gelu;
  if (is_gated && (name == "silu" || name == "swish")) return MlpKind::swiglu;
  if (!is_gated && name == "relu") return MlpKind::relu;
  keys_.fail(key, "= " + shown(json(name)) + ": allowed are " + (is_gated ? "silu" : "relu") +
                      " and the gelu family (gelu, gelu_new, gelu_pytorch_tanh)");
}

/// A window shorter than the context makes attention cheaper; a spec has no such axis.
void Reader::window() {
  if (is({"llama"})) return;
  const json* given = keys_.find("sliding_window");
  const bool switched = is({"qwen2", "qwen3", "qwen3_moe"});
  if (const json* types = keys_.find("layer_types"); types && !types->is_null()) {
    if (!types->is_array()) keys_.fail("layer_types", "= " + shown(*types) + ": a list of names is allowed");
    for (const json& type : *types)
      if (type != "full_attention" && type != "sliding_attention")
        keys_.fail("layer_types", "holds " + shown(type) + ": full_attention and sliding_attention are allowed");
  }
  if (const json* use = keys_.find("use_sliding_window"); use && !use->is_boolean() && !use->is_null())
    keys_.fail("use_sliding_window", "= " + shown(*use) + ": allowed are true and false");
  else if (switched && (!use || *use != true))
    return;
  constexpr std::int64_t kMistralsWindow = 4096, kQwensWindow = 4096;
  std::int64_t window = 0;
  if (given && !given->is_null())
    window = keys_.size("sliding_window", 0);
  else if (!given && (is({"mistral"}) || switched))
    window = keys_.size("sliding_window", switched ? kQwensWindow : kMistralsWindow);
  if (window > 0 && window < spec_.position_rows)
    keys_.note("sliding_window = " + std::to_string(window) +
               ": work of attention is counted as if each query met all keys; for sequences longer than " + std::to_string(window) +
               " tokens the count is above the work done" + (switched ? " (in the layers that have the window)" : ""));
}

void Reader::common_notes() {
  for (const std::string_view key : kDropouts)
    if (const json* value = keys_.find(key); value && !value->is_null() && keys_.checked_real(key, *value, 0, 1) > 0)
      keys_.note(std::string(key) + " = " + shown(*value) + ": there is no dropout here");
  if (const json* quantised = keys_.find("quantization_config"); quantised && !quantised->is_null())
    keys_.note("quantization_config: the model is counted as it was before its weights were quantised");
  const json* architectures = keys_.find("architectures");
  if (!architectures || !architectures->is_array() || architectures->empty() || !(*architectures)[0].is_string()) return;
  const std::string& name = (*architectures)[0].get_ref<const std::string&>();
  if (!name.ends_with("ForCausalLM") && !name.ends_with("LMHeadModel"))
    keys_.note("architectures = [" + shown(json(name)) + "]: the model is counted with a language-model head");
}

void Reader::check() {
  if (spec_.heads % spec_.kv_heads != 0)
    keys_.fail("num_key_value_heads",
               "= " + std::to_string(spec_.kv_heads) + " does not divide num_attention_heads = " + std::to_string(spec_.heads));
  if (spec_.position == PositionKind::rope && spec_.rope_fraction == 1 && spec_.head_dim % 2 != 0)
    keys_.fail("head_dim", "= " + std::to_string(spec_.head_dim) + " is odd: rotary embeddings turn pairs");
  if (const auto reason = countable(spec_)) throw UsageError(label_ + ": " + *reason);
}

}  // namespace

std::span<const std::string_view> hf_kinds() { return kKinds; }

HfModel read_hf_config(const json& config, const std::string& label) { return Reader(config, label).read(); }

}  // namespace longhaul::model
