// Whole models: against stored PyTorch tensors, and against themselves in every way of executing them.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "checkpoint/safetensors.h"
#include "checkpoint/state_hash.h"
#include "data/loader.h"
#include "tests/source_tree.h"
#include "train/engine.h"
#include "train/inference.h"
#include "train/test_support.h"
#include "units/testing.h"

namespace longhaul::train {
namespace {

using checkpoint::SafetensorsFile;

/// A tiny model whose weights, batch, loss and gradients were computed by transformers in fp64 (tests/golden/make_reference.py).
class Golden {
 public:
  explicit Golden(const std::string& name) : file_(source_tree("tests/golden/") + name + ".safetensors") {}

  template <typename T>
  std::span<const T> values(const std::string& name) const {
    const checkpoint::TensorInfo* info = file_.find(name);
    if (!info) throw std::runtime_error("no tensor " + name);
    const std::span<const std::byte> bytes = file_.bytes(*info);
    return {reinterpret_cast<const T*>(bytes.data()), bytes.size() / sizeof(T)};
  }
  const std::vector<std::int64_t>& shape(const std::string& name) const { return file_.find(name)->shape; }

  config::RunConfig run(config::Overrides sets) const {
    const nlohmann::json spec = nlohmann::json::parse(file_.metadata().at("spec"));
    const std::vector<std::int64_t>& batch = shape("batch.tokens");
    const bool gpt2 = spec.at("family") == "gpt2";
    for (const auto& [key, value] : spec.items())
      if (key != "family" && key != "name" && !(key == "head_dim" && value == 0)) sets.push_back("model." + key + "=" + value.dump());
    for (const char* key : {"norm_bias", "qkv_bias", "output_bias", "mlp_bias"})
      if (gpt2) sets.push_back(std::string("model.") + key + "=true");
    if (gpt2) sets.insert(sets.end(), {"model.norm=layer_norm", "model.mlp=gelu"});
    sets.insert(sets.end(), {"batch.sequence_length=" + std::to_string(batch[1]), "batch.micro_batch=1",
                             "batch.global_batch=" + std::to_string(batch[0])});
    return small_run(sets);
  }

  data::Batch batch() const {
    const std::vector<std::int64_t>& size = shape("batch.tokens");
    data::Batch out = data::Batch::zeros(size[0], size[1]);
    const auto copy = [&](const char* name, std::vector<std::int32_t>& to) {
      const std::span<const std::int32_t> from = values<std::int32_t>(std::string("batch.") + name);
      to.assign(from.begin(), from.end());
    };
    copy("tokens", out.tokens);
    copy("targets", out.targets);
    copy("positions", out.positions);
    copy("documents", out.documents);
    for (std::size_t i = 0; i < out.loss_mask.size(); ++i) {
      out.loss_mask[i] = static_cast<std::uint8_t>(values<std::int32_t>("batch.loss_mask")[i]);
      out.target_tokens += out.loss_mask[i];
    }
    fill_document_starts(out);
    return out;
  }

  void load_weights(Engine& engine) const {
    for (const checkpoint::TensorEntry& entry : engine.registry_of(checkpoint::kWeights, engine.weights())) {
      const std::span<const float> from = values<float>("weights." + entry.name);
      ASSERT_EQ(from.size(), entry.data.size()) << entry.name;
      std::copy(from.begin(), from.end(), entry.data.begin());
    }
    engine.weights_changed();
  }

 private:
  SafetensorsFile file_;
};

double relative_error(std::span<const float> got, std::span<const float> want) {
  double difference = 0, size = 0;
  for (std::size_t i = 0; i < want.size(); ++i) {
    difference += std::pow(static_cast<double>(got[i]) - want[i], 2);
    size += std::pow(static_cast<double>(want[i]), 2);
  }
  return std::sqrt(difference / size);
}

class AgainstPyTorch : public ::testing::TestWithParam<const char*> {};

TEST_P(AgainstPyTorch, LossLogitsAndGradientsInFp32) {
  const Golden golden(GetParam());
  Engine engine(golden.run({"precision.dtype=fp32"}));
  golden.load_weights(engine);
  const data::Batch batch = golden.batch();

  Inference inference(engine);
  const std::span<const float> logits = golden.values<float>("logits");
  const std::vector<float> ours = inference.logits(batch.slice(0, 1), batch.sequence_length - golden.shape("logits")[0]);
  ASSERT_EQ(ours.size(), logits.size());
  for (std::size_t i = 0; i < ours.size(); ++i) ASSERT_NEAR(ours[i], logits[i], 1e-5);

  EXPECT_NEAR(loss_of(engine, batch), golden.values<double>("loss")[0], 1e-6);
  const float* gradient = engine.step().reduced_gradient();
  for (const model::ParamTensor& tensor : engine.table().tensors()) {
    const std::span<const float> got(gradient + tensor.offset, static_cast<std::size_t>(tensor.count));
    EXPECT_LT(relative_error(got, golden.values<float>("gradients." + tensor.name)), 1e-5) << tensor.name;
  }
}

TEST_P(AgainstPyTorch, Bf16StaysWithinItsRounding) {
  const Golden golden(GetParam());
  Engine engine(golden.run({"precision.dtype=bf16"}));
  golden.load_weights(engine);
  EXPECT_NEAR(loss_of(engine, golden.batch()), golden.values<double>("loss")[0], 0.01);
  const float* gradient = engine.step().reduced_gradient();
  for (const model::ParamTensor& tensor : engine.table().tensors()) {
    const std::span<const float> got(gradient + tensor.offset, static_cast<std::size_t>(tensor.count));
    // bf16 keeps 8 bits: an input is off by up to 0.4 %, and a gradient passes a dozen roundings.
    EXPECT_LT(relative_error(got, golden.values<float>("gradients." + tensor.name)), 0.03) << tensor.name;
  }
}

INSTANTIATE_TEST_SUITE_P(Models, AgainstPyTorch, ::testing::Values("gpt2_tied", "llama_grouped", "qwen2_bias", "qwen3_qk_norm"),
                         [](const auto& model) { return std::string(model.param); });

/// State hash after two steps of a run, loss and norm of the second.
struct Outcome {
  std::string hash;
  double loss, norm;
  bool operator==(const Outcome&) const = default;
};

Outcome two_steps(const config::Overrides& sets) {
  const config::RunConfig config = small_run(sets);
  Engine engine(config);
  engine.initialise();
  Outcome outcome{};
  for (std::int64_t step = 0; step < 2; ++step) {
    data::Batch batch = data::synthetic_batch(3, config.model.vocab, step * 8, 8, config.batch.sequence_length);
    for (std::size_t i = 0; i < batch.loss_mask.size(); ++i)  // uneven masks and documents
      if (i % 7 == 3 || (i < 40 && i % 2)) batch.target_tokens -= std::exchange(batch.loss_mask[i], std::uint8_t{0});
    for (std::size_t i = 0; i < batch.documents.size(); ++i) batch.documents[i] = static_cast<std::int32_t>(i % 24 / 9);
    fill_document_starts(batch);
    outcome.loss = loss_of(engine, batch);
    outcome.norm = engine.step().gradient_norm();
    engine.step().update({1e-2, 0.9, 0.95, 1e-8, 0.1, 0.5, 0.99, step + 1});
  }
  outcome.hash = checkpoint::hash_state(engine.registry()).root.hex();
  return outcome;
}

TEST(SameBits, WhateverExecutesTheStep) {
  for (const std::string dtype : {"precision.dtype=bf16", "precision.dtype=fp32"}) {
    const config::Overrides base = {dtype, "batch.virtual_ranks=2", "optimizer.ema_beta=0.99"};
    const Outcome reference = two_steps(base);
    const auto same = [&](const config::Overrides& more) {
      config::Overrides sets = base;
      sets.insert(sets.end(), more.begin(), more.end());
      EXPECT_EQ(two_steps(sets), reference) << dtype << " " << more.front();
    };
    same({"run.threads=1"});
    same({"run.threads=3"});
    same({"parallel.recompute=layer"});
    same({"batch.micro_batch=1"});
    same({"batch.micro_batch=4"});
    for (kernels::Family family : {kernels::Family::avx2, kernels::Family::avx512, kernels::Family::avx512_bf16})
      if (kernels::supported(family)) same({"run.family=" + std::string(kernels::name(family))});
  }
}

/// Sizes that no tile or lane divides, and every optional part of a layer.
TEST(SameBits, WhateverExecutesAnOddShape) {
  const std::vector<config::Overrides> shapes = {
      {"batch.sequence_length=37", "model.ffn_width=45", "model.vocab=59", "model.qk_norm=true", "model.qkv_bias=true"},
      {"batch.sequence_length=67", "model.ffn_width=45", "model.tied_embeddings=true", "precision.dtype=fp32"},
  };
  for (const config::Overrides& shape : shapes) {
    const Outcome reference = two_steps(shape);
    for (const config::Overrides& more :
         std::vector<config::Overrides>{{"run.threads=3", "batch.micro_batch=4", "batch.virtual_ranks=2"},
                                        {"run.family=avx2", "parallel.recompute=layer", "batch.virtual_ranks=2"}}) {
      config::Overrides sets = shape, base = shape;
      sets.insert(sets.end(), more.begin(), more.end());
      base.push_back("batch.virtual_ranks=2");
      EXPECT_EQ(two_steps(sets), two_steps(base)) << shape.front() << " " << more.front();
    }
    EXPECT_GT(reference.norm, 0);
  }
}

TEST(SameBits, VirtualRanksAreTheOnlyOrderOfTheBatch) {
  const Outcome one = two_steps({"batch.virtual_ranks=1"}), four = two_steps({"batch.virtual_ranks=4"});
  EXPECT_NE(one.hash, four.hash);  // another order of summation: another result, by contract
  EXPECT_NEAR(one.loss, four.loss, 1e-6 * one.loss);
  EXPECT_NEAR(one.norm, four.norm, 1e-4 * one.norm);
}

TEST(Engine, FirstLossIsTheLogarithmOfTheVocabulary) {
  const config::RunConfig config = small_run();
  Engine engine(config);
  engine.initialise();
  const data::Batch batch = data::synthetic_batch(3, config.model.vocab, 0, 8, config.batch.sequence_length);
  EXPECT_NEAR(loss_of(engine, batch), std::log(61.0), 0.02);
}

TEST(Engine, RefusesEachKeyOfALayoutThatItCannotRun) {
  const std::map<std::string_view, std::string> values{{"tp", "2"}, {"cp", "2"}, {"ep", "2"}, {"sp", "1"}, {"recompute", "selective"}};
  for (const auto& [key, value] : values) {
    const std::string option = fmt::format("parallel.{}", key);
    const config::RunConfig config = small_run({option + "=" + value});
    const std::string error = longhaul::testing::usage_error([&] { (void)Engine(config); });
    EXPECT_TRUE(error.starts_with(option + " = ")) << option << ": " << error;
    EXPECT_NE(error.find("; allowed: "), std::string::npos) << error;
  }
  EXPECT_EQ(longhaul::testing::usage_error([] { (void)Engine(small_run({"parallel.dp=2"})); }),
            "the layout dp=2,tp=1,pp=1 has 2 ranks, this job 1");
}

TEST(Engine, OneBatchIsLearntByHeart) {
  const config::RunConfig config = small_run();
  Engine engine(config);
  engine.initialise();
  const data::Batch batch = data::synthetic_batch(3, config.model.vocab, 0, 8, config.batch.sequence_length);
  double loss = 0;
  for (std::int64_t step = 0; step < 120; ++step) {
    loss = loss_of(engine, batch);
    engine.step().gradient_norm();
    engine.step().update({1e-2, 0.9, 0.95, 1e-8, 0.0, 1.0, 0.0, step + 1});
  }
  EXPECT_LT(loss, 0.5);  // from 4.11
}

TEST(Engine, AverageIsEvaluatedInsteadOfTheWeights) {
  const config::RunConfig config = small_run({"optimizer.ema_beta=0.5", "validation.batch=8"});
  Engine engine(config);
  engine.initialise();
  const data::Batch batch = data::synthetic_batch(3, config.model.vocab, 0, 8, config.batch.sequence_length);
  const std::vector<float> initial(engine.weights(), engine.weights() + engine.table().padded_count());
  engine.step().gradients(batch);
  engine.step().gradient_norm();
  engine.step().update({1e-2, 0.9, 0.95, 1e-8, 0.0, 1.0, 0.5, 1});
  const model::ParamTensor& tensor = engine.table().at(model::Role::down_weight, 1);
  for (std::int64_t i = tensor.offset; i < tensor.offset + tensor.count; ++i)
    ASSERT_FLOAT_EQ(engine.average()[i], 0.5F * initial[static_cast<std::size_t>(i)] + 0.5F * engine.weights()[i]);

  const auto sum = [&] {
    const float* losses = engine.evaluation().evaluate(batch);
    double total = 0;
    for (std::int64_t i = 0; i < batch.token_count(); ++i) total += static_cast<double>(losses[i]);
    return total;
  };
  const double with_weights = sum();
  double with_average = 0;
  {
    const Engine::AverageScope scope(engine);
    with_average = sum();
  }
  EXPECT_NE(with_weights, with_average);
  EXPECT_EQ(with_weights, sum());  // and the weights are back afterwards
}

}  // namespace
}  // namespace longhaul::train
