#include "interop/emission.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <set>

#include "program/layout.h"
#include "tests/source_tree.h"
#include "units/testing.h"

namespace longhaul::interop {
namespace {

using nlohmann::json;

model::ModelSpec llama_8b() {
  return model::with_usual_values(
      {.name = "llama-3-8b", .layers = 32, .width = 4096, .heads = 32, .kv_heads = 8, .ffn_width = 14336, .vocab = 128256});
}

EmitJob job(model::ModelSpec spec, const char* layout, int micro_batch = 1) {
  EmitJob out;
  out.config.run.steps = 1000, out.config.run.seed = 7;
  out.config.optimizer = {"adamw", 3e-4, 0.9, 0.95, 1e-8, 0.1, 1.0, 0};
  out.config.schedule.warmup_steps = 30, out.config.schedule.min_learning_rate = 3e-5;
  out.config.model = out.shape.model = std::move(spec);
  out.shape.layout = program::parse_layout(layout);
  out.shape.devices = out.shape.layout.world();
  out.shape.sequence_length = 8192, out.shape.global_batch = 128, out.shape.micro_batch = micro_batch;
  out.shape.framework = "megatron-lm", out.shape.accelerator = "h100";
  return out;
}

std::set<std::string> known_flags() {
  std::ifstream file(source_tree("tests/golden/megatron_flags.txt"));
  std::set<std::string> out;
  for (std::string line; std::getline(file, line);)
    if (line.starts_with("--")) out.insert(line);
  return out;
}

std::string value_of(const json& settings, const std::string& flag) {
  for (const json& each : settings["flags"])
    if (each[0] == flag) return each.size() > 1 ? each[1].get<std::string>() : "on";
  return "";
}

bool says(const Emission& emission, const std::string& words) {
  return std::any_of(emission.not_expressed.begin(), emission.not_expressed.end(),
                     [&](const std::string& each) { return each.find(words) != std::string::npos; });
}

std::string refusal(const char* system, const EmitJob& wanted) {
  return longhaul::testing::usage_error([&] { emit(system, wanted); });
}

TEST(EmitMegatron, EveryFlagExists) {
  const std::set<std::string> known = known_flags();
  ASSERT_GT(known.size(), 60U);
  std::vector<EmitJob> jobs;
  for (const char* layout : {"dp=16,tp=4,zero=1,sp=1", "dp=8,tp=2,pp=4,virtual=4,schedule=interleaved,zero=0,sp=1,recompute=layer",
                             "dp=64,zero=3,shard=8,recompute=selective", "dp=8,cp=2,pp=3,tp=1,zero=2"})
    jobs.push_back(job(llama_8b(), layout));
  EmitJob gpt2 = job(llama_8b(), "dp=8");
  model::ModelSpec& g = gpt2.shape.model;
  g.norm = model::NormKind::layer_norm, g.position = model::PositionKind::learned, g.position_rows = 8192, g.mlp = model::MlpKind::gelu;
  g.norm_bias = g.qkv_bias = g.output_bias = g.mlp_bias = g.tied_embeddings = true, g.kv_heads = g.heads;
  gpt2.config.schedule.kind = config::LearningRateSchedule::wsd, gpt2.shape.precision = cost::Precision::fp16;
  jobs.push_back(gpt2);
  EmitJob mixture = job(llama_8b(), "dp=8,tp=2,ep=4,sp=1,zero=1");
  mixture.shape.model.experts = {.count = 8, .top_k = 2, .width = 1024, .shared = 1, .dense_layers = 2, .router_bias = true};
  mixture.shape.model.qkv_bias = mixture.shape.model.qk_norm = true, mixture.shape.model.rope_fraction = 0.5;
  mixture.shape.precision = cost::Precision::fp8, mixture.shape.fp32_gradients = false;
  jobs.push_back(mixture);
  std::set<std::string> seen;
  for (const EmitJob& each : jobs) {
    const Emission emission = emit("megatron", each);
    for (const json& flag : emission.settings["flags"]) {
      EXPECT_TRUE(known.contains(flag[0])) << flag[0];
      seen.insert(flag[0]);
    }
  }
  EXPECT_EQ(seen, known) << "the list holds flags that nothing writes";
}

TEST(EmitMegatron, SaysWhatWasAsked) {
  const json settings =
      emit("megatron", job(llama_8b(), "dp=4,tp=4,pp=4,virtual=2,schedule=interleaved,zero=1,sp=1,recompute=layer", 2)).settings;
  EXPECT_EQ(value_of(settings, "--tensor-model-parallel-size"), "4");
  EXPECT_EQ(value_of(settings, "--num-virtual-stages-per-pipeline-rank"), "2");
  EXPECT_EQ(value_of(settings, "--micro-batch-size"), "2");
  EXPECT_EQ(value_of(settings, "--global-batch-size"), "128");
  EXPECT_EQ(value_of(settings, "--seq-length"), "8192");
  EXPECT_EQ(value_of(settings, "--use-distributed-optimizer"), "on");
  EXPECT_EQ(value_of(settings, "--recompute-granularity"), "full");
  EXPECT_EQ(value_of(settings, "--lr-warmup-iters"), "30");
  const json& core = settings["transformer_config"];
  EXPECT_EQ(core["virtual_pipeline_model_parallel_size"], 2);
  EXPECT_EQ(core["num_query_groups"], 8);
  EXPECT_EQ(core["add_bias_linear"], false);
  EXPECT_EQ(core["pipeline_dtype"], "bfloat16");
}

TEST(EmitMegatron, UnevenStagesAreWrittenOut) {
  EmitJob wanted = job(llama_8b(), "dp=4,pp=3");
  EXPECT_EQ(value_of(emit("megatron", wanted).settings, "--pipeline-model-parallel-layout"), "Et*11|t*11|t*10L");
  wanted.shape.layout = program::parse_layout("dp=4,pp=3,stages=10+12+10");
  const Emission emission = emit("megatron", wanted);
  EXPECT_EQ(value_of(emission.settings, "--pipeline-model-parallel-layout"), "Et*10|t*12|t*10L");
  EXPECT_NE(emission.text.find("--pipeline-model-parallel-layout 'Et*10|t*12|t*10L' "), std::string::npos) << "quoted for the shell alone";
}

TEST(EmitMegatron, SeedsArePositiveAndFitNumPy) {
  for (const auto& [seed, written] : {std::pair<std::int64_t, std::string>{0, "1"}, {7, "8"}, {9'000'000'000'000'000'000, ""}}) {
    EmitJob wanted = job(llama_8b(), "dp=4");
    wanted.config.run.seed = seed;
    const Emission emission = emit("megatron", wanted);
    const std::string value = value_of(emission.settings, "--seed");
    if (!written.empty()) {
      EXPECT_EQ(value, written);
    }
    EXPECT_GT(std::stoll(value), 0);
    EXPECT_LT(std::stoll(value), std::int64_t{1} << 32);
    EXPECT_TRUE(says(emission, "run.seed = " + std::to_string(seed)));
  }
}

TEST(EmitMegatron, ConnectionsAreAsItAsserts) {
  const auto text = [](const char* layout) { return emit("megatron", job(llama_8b(), layout)).text; };
  for (const char* layout : {"dp=4,tp=2", "dp=4,cp=2,zero=1"})
    EXPECT_NE(text(layout).find("\nexport CUDA_DEVICE_MAX_CONNECTIONS=1\nexec torchrun"), std::string::npos) << layout;
  for (const char* layout : {"dp=8,zero=3", "dp=4,tp=2,zero=2"})
    EXPECT_NE(text(layout).find("\nunset CUDA_DEVICE_MAX_CONNECTIONS\nexec torchrun"), std::string::npos) << layout;
  EXPECT_EQ(text("dp=4,pp=2,zero=1").find("CUDA_DEVICE_MAX_CONNECTIONS"), std::string::npos);
}

TEST(EmitMegatron, NoFlagThatItsPrecisionDoesNotRead) {
  EmitJob wanted = job(llama_8b(), "dp=4");
  wanted.shape.precision = cost::Precision::fp16, wanted.shape.fp32_gradients = false;
  const json half = emit("megatron", wanted).settings;
  EXPECT_EQ(value_of(half, "--grad-reduce-in-bf16"), "");
  EXPECT_EQ(value_of(half, "--accumulate-allreduce-grads-in-fp32"), "");
  wanted.shape.precision = cost::Precision::bf16;
  EXPECT_EQ(value_of(emit("megatron", wanted).settings, "--grad-reduce-in-bf16"), "on");
}

TEST(Emit, ContextParallelismCutsSequencesEvenly) {
  const auto asked = [](const char* system, const char* layout, std::int64_t sequence) {
    EmitJob wanted = job(llama_8b(), layout);
    wanted.shape.sequence_length = sequence;
    return refusal(system, wanted);
  };
  EXPECT_EQ(asked("megatron", "dp=2,cp=4,zero=1", 8200), "");
  EXPECT_NE(asked("megatron", "dp=2,cp=4,zero=1", 8196).find("sequence_length = 8196"), std::string::npos);
  EXPECT_NE(asked("megatron", "dp=2,cp=4,zero=1", 8196).find("a multiple of 8; nearest: 8192 or 8200"), std::string::npos);
  EXPECT_NE(asked("megatron", "dp=2,cp=4,zero=1", 4).find("nearest: 8"), std::string::npos);
  EXPECT_EQ(asked("megatron", "dp=2,tp=4", 8196), "");
  EXPECT_EQ(asked("torchtitan", "dp=2,cp=4,zero=2", 8192), "");
  EXPECT_NE(asked("torchtitan", "dp=2,cp=4,zero=2", 8200).find("nearest: 8192 or 8704"), std::string::npos)
      << "blocks of 128 for each rank";
  EXPECT_EQ(asked("torchtitan", "dp=1,cp=2,tp=3,zero=2,sp=1", 768), "");
  EXPECT_NE(asked("torchtitan", "dp=1,cp=2,tp=3,zero=2,sp=1", 1024).find("nearest: 768 or 1536"), std::string::npos) << "2·cp·tp parts";
}

TEST(EmitTorchtitan, ChunksOfTheLossAreEqual) {
  EmitJob wanted = job(llama_8b(), "dp=4");
  EXPECT_EQ(emit("torchtitan", wanted).text.find("num_chunks"), std::string::npos);
  wanted.shape.sequence_length = 8188;
  EXPECT_NE(emit("torchtitan", wanted).text.find("num_chunks=4, "), std::string::npos);
}

TEST(EmitMegatron, ThePaddedVocabularyIsSaid) {
  EmitJob wanted = job(llama_8b(), "dp=2,tp=4,sp=1");
  wanted.shape.model.vocab = 50257;
  const Emission emission = emit("megatron", wanted);
  EXPECT_EQ(emission.settings["gpt_model"]["vocab_size"], 50688);
  EXPECT_TRUE(says(emission, "50688"));
}

TEST(EmitMegatron, RefusesWhatItCannotBe) {
  const auto with = [](auto change) {
    EmitJob wanted = job(llama_8b(), "dp=4,pp=2");
    change(wanted);
    return refusal("megatron", wanted);
  };
  EXPECT_NE(with([](EmitJob& j) { j.shape.model.position = model::PositionKind::alibi; }).find("alibi"), std::string::npos);
  EXPECT_NE(with([](EmitJob& j) { j.shape.model.parallel_residual = true; }).find("parallel_residual"), std::string::npos);
  EXPECT_NE(with([](EmitJob& j) { j.shape.model.mlp = model::MlpKind::geglu; }).find("geglu"), std::string::npos);
  EXPECT_NE(with([](EmitJob& j) { j.shape.model.mlp_bias = true; }).find("mlp_bias = true"), std::string::npos);
  EXPECT_NE(with([](EmitJob& j) { j.shape.layout = program::parse_layout("dp=4,pp=2,schedule=gpipe"); }).find("gpipe"), std::string::npos);
  EXPECT_NE(with([](EmitJob& j) { j.config.schedule.warmup_steps = 1000; }).find("warmup_steps = 1000"), std::string::npos);
  EXPECT_NE(with([](EmitJob& j) { j.shape.model.rope_theta = 10000.5; }).find("10000.5"), std::string::npos);
  EXPECT_NE(with([](EmitJob& j) {
              j.shape.model.experts = {.count = 8, .top_k = 2, .width = 512}, j.shape.precision = cost::Precision::fp16;
            }).find("--precision bf16"),
            std::string::npos);
  EXPECT_NE(with([](EmitJob& j) { j.shape.model.head_dim = 0; }).find("does not divide"), std::string::npos);
}

TEST(EmitTorchtitan, SaysWhatWasAsked) {
  const json fsdp = emit("torchtitan", job(llama_8b(), "dp=16,tp=4,zero=3,sp=1,recompute=layer", 2)).settings;
  EXPECT_EQ(fsdp["parallelism"]["data_parallel_shard_degree"], 16);
  EXPECT_EQ(fsdp["parallelism"]["data_parallel_replicate_degree"], 1);
  EXPECT_EQ(fsdp["parallelism"]["fsdp_reshard_after_forward"], "always");
  EXPECT_EQ(fsdp["training"]["local_batch_size"], 2);
  EXPECT_EQ(fsdp["activation_checkpoint"], "FullAC");
  EXPECT_EQ(fsdp["lr_scheduler"]["decay_type"], "cosine");
  EXPECT_DOUBLE_EQ(fsdp["lr_scheduler"]["min_lr_factor"], 0.1);
  const json hybrid = emit("torchtitan", job(llama_8b(), "dp=16,cp=2,zero=2,shard=8")).settings["parallelism"];
  EXPECT_EQ(hybrid["data_parallel_shard_degree"], 4);
  EXPECT_EQ(hybrid["data_parallel_replicate_degree"], 4);
  EXPECT_EQ(hybrid["fsdp_reshard_after_forward"], "never");
  const json replicated = emit("torchtitan", job(llama_8b(), "dp=8")).settings["parallelism"];
  EXPECT_EQ(replicated["data_parallel_shard_degree"], 1);
  EXPECT_EQ(replicated["data_parallel_replicate_degree"], 8);
}

TEST(EmitTorchtitan, APipelineTakesTheWholeStepAndNamesItsParts) {
  const json settings = emit("torchtitan", job(llama_8b(), "dp=4,pp=3,zero=2", 2)).settings;
  EXPECT_EQ(settings["training"]["local_batch_size"], 32);
  EXPECT_EQ(settings["parallelism"]["pipeline_parallel_microbatch_size"], 2);
  const json& parts = settings["parallelism"]["module_fqns_per_model_part"];
  ASSERT_EQ(parts.size(), 3U);
  EXPECT_EQ(parts[0][0], "tok_embeddings");
  EXPECT_EQ(parts[1][0], "layers.11");
  EXPECT_EQ(parts[2].back(), "lm_head");
  EXPECT_EQ(parts[0].size() + parts[1].size() + parts[2].size(), 32U + 3U);
}

TEST(EmitTorchtitan, RefusesWhatItCannotBe) {
  const auto with = [](const char* layout, auto change) {
    EmitJob wanted = job(llama_8b(), layout);
    change(wanted);
    return refusal("torchtitan", wanted);
  };
  const auto nothing = [](EmitJob&) {};
  EXPECT_NE(with("dp=4", [](EmitJob& j) { j.shape.model.norm = model::NormKind::layer_norm; }).find("norm = layer_norm"),
            std::string::npos);
  EXPECT_NE(with("dp=4", [](EmitJob& j) { j.shape.model.qk_norm = true; }).find("qk_norm"), std::string::npos);
  EXPECT_NE(with("dp=4", [](EmitJob& j) { j.shape.model.head_dim = 96; }).find("head_dim = 96"), std::string::npos);
  EXPECT_NE(with("dp=4", [](EmitJob& j) { j.shape.precision = cost::Precision::fp8; }).find("fp8"), std::string::npos);
  EXPECT_NE(with("dp=4", [](EmitJob& j) { j.config.schedule.kind = config::LearningRateSchedule::inverse_sqrt; }).find("inverse_sqrt"),
            std::string::npos);
  EXPECT_NE(with("dp=4,pp=2", [](EmitJob& j) { j.shape.model.tied_embeddings = true; }).find("tied_embeddings"), std::string::npos);
  EXPECT_NE(with("dp=4,zero=1", nothing).find("zero=1"), std::string::npos);
  EXPECT_NE(with("dp=4,cp=2", nothing).find("cp with zero=0"), std::string::npos);
  EXPECT_NE(with("dp=4,pp=2,schedule=zb-h1", nothing).find("zb-h1"), std::string::npos);
  EXPECT_NE(refusal("torchtitn", job(llama_8b(), "dp=4")).find("nearest: torchtitan"), std::string::npos);
}

TEST(Emit, WhatTheModelsFileSaysBeyondTheSpecIsListed) {
  EmitJob wanted = job(llama_8b(), "dp=4");
  wanted.model_notes = {"sliding_window = 4096"};
  wanted.llama3_rope = model::Llama3Rope{32, 1, 4, 8192};
  for (const std::string& system : emit_systems()) EXPECT_TRUE(says(emit(system, wanted), "sliding_window = 4096")) << system;
  EXPECT_TRUE(says(emit("megatron", wanted), "--use-rope-scaling --rope-scaling-factor 32 "));
  EXPECT_TRUE(says(emit("torchtitan", wanted), "scaling=\"llama\", scaling_factor=32, low_freq_factor=1, high_freq_factor=4"));
  wanted.llama3_rope->low_freq_factor = 2;
  EXPECT_FALSE(says(emit("megatron", wanted), "give the script")) << "Megatron has 1 alone";
}

TEST(Emit, NamesCannotLeaveTheirComment) {
  EmitJob wanted = job(llama_8b(), "dp=4");
  wanted.config.model.name = "a\nrm -rf b";
  for (const std::string& system : emit_systems()) EXPECT_EQ(emit(system, wanted).text.find("\nrm"), std::string::npos) << system;
}

}  // namespace
}  // namespace longhaul::interop
