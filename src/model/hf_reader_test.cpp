#include "model/hf_reader.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "model/flops.h"
#include "model/hf_config.h"
#include "model/test_specs.h"
#include "units/testing.h"

namespace longhaul::model {
namespace {

using nlohmann::json;

HfModel read(const char* text) { return read_hf_config(json::parse(text), "config.json"); }
std::string refusal(const char* text) {
  return longhaul::testing::usage_error([&] { read(text); });
}
std::int64_t total(const char* text) { return count_params(read(text).spec).total.value; }

bool mentions(const std::vector<std::string>& lines, const std::string& word) {
  return std::any_of(lines.begin(), lines.end(), [&](const std::string& line) { return line.find(word) != std::string::npos; });
}

/// What export writes reads back to the same model. The name and what config.json has no key for are left out of the comparison.
void round_trip(ModelSpec spec) {
  const json written = hf_config(spec, spec.position_rows > 0 ? spec.position_rows : 2048, 0, 0);
  const HfModel again = read_hf_config(written, "config.json");
  EXPECT_TRUE(again.notes.empty()) << again.notes.front();
  EXPECT_TRUE(again.assumed.empty()) << again.assumed.front();
  spec.name.clear();
  if (spec.position_rows == 0) spec.position_rows = 2048;
  EXPECT_EQ(again.spec, spec);
}

TEST(HfReader, ReadsWhatExportWrites) {
  round_trip(gpt2_124m());
  ModelSpec relabelled = gpt2_124m();
  relabelled.tied_embeddings = false, relabelled.ffn_width = 100, relabelled.init_std = 0.01, relabelled.norm_epsilon = 1e-6;
  round_trip(relabelled);
  round_trip(llama_2_70b());
  round_trip(qwen3_0_6b());
  ModelSpec qwen2 = llama_2_70b();
  qwen2.qkv_bias = true, qwen2.rope_theta = 1e6;
  round_trip(qwen2);
}

// Counts: tests/golden/model_parameters.csv; the defaults of these classes are the models that they are named after.
TEST(HfReader, AnEmptyConfigIsTheClassesDefault) {
  EXPECT_EQ(total(R"({"model_type": "llama"})"), 6'738'415'616);
  EXPECT_EQ(total(R"({"model_type": "gpt2"})"), 124'439'808);
  EXPECT_EQ(total(R"({"model_type": "mistral"})"), 7'241'732'096);
  EXPECT_EQ(total(R"({"model_type": "mixtral"})"), 46'702'792'704);
  EXPECT_EQ(total(R"({"model_type": "gpt_neox"})"), 20'554'567'680);
  EXPECT_TRUE(mentions(read(R"({"model_type": "mistral"})").assumed, "num_key_value_heads = 8"));
  EXPECT_EQ(read(R"({"model_type": "mixtral"})").spec.rope_theta, 1e6);
  EXPECT_EQ(read(R"({"model_type": "gpt_neox"})").spec.rope_fraction, 0.25);
}

TEST(HfReader, NullKeyValueHeadsAreAllHeads) {
  EXPECT_EQ(read(R"({"model_type": "mistral", "num_key_value_heads": null})").spec.kv_heads, 32);
  EXPECT_EQ(read(R"({"model_type": "llama", "num_attention_heads": 16})").spec.kv_heads, 16);
  EXPECT_EQ(read(R"({"model_type": "qwen3", "num_attention_heads": 64})").spec.kv_heads, 32);
}

TEST(HfReader, RotationInBothSpellings) {
  EXPECT_EQ(read(R"({"model_type": "llama", "rope_theta": 500000.0})").spec.rope_theta, 500000);
  EXPECT_EQ(read(R"({"model_type": "llama", "rope_parameters": {"rope_type": "default", "rope_theta": 5e5}})").spec.rope_theta, 500000);
  const HfModel scaled = read(R"({"model_type": "llama", "rope_theta": 5e5, "rope_scaling": {"rope_type": "llama3", "factor": 8.0}})");
  EXPECT_EQ(scaled.spec.rope_theta, 500000);
  EXPECT_TRUE(mentions(scaled.notes, "llama3"));
  const HfModel both = read(R"({"model_type": "llama", "rope_scaling": {"rope_type": "llama3"}, "rope_parameters": {"rope_theta": 7}})");
  EXPECT_TRUE(mentions(both.notes, "passed over"));
  EXPECT_FALSE(scaled.llama3_rope) << "three of its numbers are missing";
  const HfModel whole = read(R"({"model_type": "llama", "rope_scaling": {"rope_type": "llama3", "factor": 32, "low_freq_factor": 1.0,
    "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}})");
  ASSERT_TRUE(whole.llama3_rope);
  EXPECT_EQ(whole.llama3_rope->factor, 32);
  EXPECT_EQ(whole.llama3_rope->original_max_position_embeddings, 8192);
  EXPECT_NE(refusal(R"({"model_type": "llama", "rope_scaling": {"rope_type": "llama3", "factor": -1}})").find("factor = -1"),
            std::string::npos);
  EXPECT_EQ(read(R"({"model_type": "gpt_neox", "rotary_pct": 1.0, "rotary_emb_base": 25000})").spec.rope_fraction, 1);
  EXPECT_NE(refusal(R"({"model_type": "llama", "head_dim": 127})").find("head_dim = 127 is odd"), std::string::npos);
  EXPECT_NE(refusal(R"({"model_type": "llama", "partial_rotary_factor": 0.5})").find("partial_rotary_factor"), std::string::npos);
  EXPECT_NE(refusal(R"({"model_type": "llama", "rope_parameters": {"full_attention": {}}})").find("rope_parameters"), std::string::npos);
}

TEST(HfReader, BiasesAreExpressed) {
  const ModelSpec llama = read(R"({"model_type": "llama", "attention_bias": true, "mlp_bias": true})").spec;
  EXPECT_TRUE(llama.qkv_bias && llama.output_bias && llama.mlp_bias);
  const ModelSpec qwen2 = read(R"({"model_type": "qwen2"})").spec;
  EXPECT_TRUE(qwen2.qkv_bias && !qwen2.output_bias && !qwen2.mlp_bias);
}

TEST(HfReader, WindowsAreNotedWhereTheyMatter) {
  EXPECT_TRUE(mentions(read(R"({"model_type": "mistral"})").notes, "sliding_window = 4096"));
  EXPECT_FALSE(mentions(read(R"({"model_type": "mistral", "sliding_window": null})").notes, "sliding_window"));
  EXPECT_FALSE(mentions(read(R"({"model_type": "mistral", "max_position_embeddings": 4096})").notes, "sliding_window"));
  EXPECT_FALSE(mentions(read(R"({"model_type": "qwen2", "sliding_window": 100})").notes, "sliding_window"));
  EXPECT_TRUE(
      mentions(read(R"({"model_type": "qwen2", "sliding_window": 100, "use_sliding_window": true})").notes, "sliding_window = 100"));
}

TEST(HfReader, DenseLayersOfAMixture) {
  EXPECT_EQ(read(R"({"model_type": "qwen3_moe", "mlp_only_layers": [1, 0]})").spec.experts.dense_layers, 2);
  EXPECT_NE(refusal(R"({"model_type": "qwen3_moe", "mlp_only_layers": [3]})").find("mlp_only_layers"), std::string::npos);
  EXPECT_NE(refusal(R"({"model_type": "qwen3_moe", "mlp_only_layers": [99]})").find("0 to 23"), std::string::npos);
  EXPECT_NE(refusal(R"({"model_type": "qwen3_moe", "decoder_sparse_step": 2})").find("decoder_sparse_step = 2"), std::string::npos);
}

TEST(HfReader, MisspeltKeysAreNoted) {
  const HfModel model = read(R"({"model_type": "llama", "num_hidden_layer": 2, "vocab_sise": 1})");
  EXPECT_TRUE(mentions(model.notes, "did you mean num_hidden_layers?"));
  EXPECT_TRUE(mentions(model.notes, "did you mean vocab_size?"));
  EXPECT_TRUE(read(R"({"model_type": "llama", "torch_dtype": "bfloat16", "use_cache": true, "architectures": ["LlamaForCausalLM"]})")
                  .notes.empty());
  EXPECT_TRUE(mentions(read(R"({"model_type": "gpt2", "resid_pdrop": 0.1})").notes, "dropout"));
}

struct Case {
  const char* text;
  const char* says;
};

TEST(HfReader, RefusalsNameTheKey) {
  for (const Case& each : std::initializer_list<Case>{
           {"[]", "an object"},
           {"{}", "model_type is missing; allowed are llama"},
           {R"({"model_type": "bert"})", "\"bert\": allowed are llama"},
           {R"({"model_type": 7})", "model_type = 7"},
           {R"({"model_type": "llama", "hidden_size": -1})", "hidden_size = -1: allowed are whole numbers from 1"},
           {R"({"model_type": "llama", "hidden_size": 4096.5})", "hidden_size = 4096.5"},
           {R"({"model_type": "llama", "hidden_size": 1e30})", "hidden_size = 1e+30"},
           {R"({"model_type": "llama", "hidden_size": 18446744073709551615})", "hidden_size = 18446744073709551615"},
           {R"({"model_type": "llama", "hidden_size": null})", "hidden_size = null"},
           {R"({"model_type": "llama", "num_hidden_layers": "32"})", "num_hidden_layers = \"32\""},
           {R"({"model_type": "llama", "num_attention_heads": {}})", "num_attention_heads = an object"},
           {R"({"model_type": "llama", "num_key_value_heads": 5})", "num_key_value_heads = 5 does not divide num_attention_heads = 32"},
           {R"({"model_type": "llama", "hidden_size": 4097})", "does not divide hidden_size = 4097"},
           {R"({"model_type": "llama", "rms_norm_eps": -1e-5})", "rms_norm_eps = -1e-05"},
           {R"({"model_type": "llama", "rope_theta": 1e30})", "rope_theta = 1e+30"},
           {R"({"model_type": "llama", "rope_scaling": 3})", "rope_scaling = 3"},
           {R"({"model_type": "llama", "hidden_act": "relu"})", "hidden_act = \"relu\""},
           {R"({"model_type": "llama", "tie_word_embeddings": 1})", "tie_word_embeddings = 1: allowed are true and false"},
           {R"({"model_type": "llama", "attention_dropout": 1e300})", "attention_dropout = 1e+300"},
           {R"({"model_type": "gpt2", "n_embd": 768, "hidden_size": 1024})", "n_embd = 768 and hidden_size = 1024"},
           {R"({"model_type": "gpt2", "n_head": 7})", "n_head = 7 does not divide n_embd = 768"},
           {R"({"model_type": "gpt2", "add_cross_attention": true})", "add_cross_attention = true"},
           {R"({"model_type": "qwen3", "layer_types": ["linear_attention"]})", "linear_attention"},
           {R"({"model_type": "mixtral", "num_experts_per_tok": 9})", "num_experts_per_tok = 9: there are 8 experts"},
           {R"({"model_type": "mixtral", "num_hidden_layers": 67108864, "num_local_experts": 67108864})", "more than"},
       }) {
    const std::string said = refusal(each.text);
    EXPECT_NE(said.find(each.says), std::string::npos) << each.text << " → " << said;
  }
}

TEST(HfReader, WhatAFileHoldsIsShownWithoutControlBytes) {
  const std::string said = refusal("{\"model_type\": \"\\u001b[31mllama\"}");
  EXPECT_EQ(said.find('\x1b'), std::string::npos) << said;
  EXPECT_LT(refusal((R"({"model_type": ")" + std::string(100000, 'x') + "\"}").c_str()).size(), 300U);
}

}  // namespace
}  // namespace longhaul::model
