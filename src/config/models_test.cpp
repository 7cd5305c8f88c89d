// Every model of examples/models against the published counts in tests/golden/model_parameters.csv.
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <sstream>

#include "config/options.h"
#include "config/resolve.h"
#include "files/examples.h"
#include "model/flops.h"
#include "tests/source_tree.h"

namespace longhaul::config {
namespace {

struct Golden {
  std::int64_t total = 0;
  std::int64_t active = 0;  ///< 0: not published
};

std::map<std::string, Golden> golden_counts() {
  std::ifstream file(source_tree("tests/golden/model_parameters.csv"));
  std::map<std::string, Golden> counts;
  std::string line;
  std::getline(file, line);  // header
  while (std::getline(file, line)) {
    std::stringstream fields(line);
    std::string model, total, active;
    std::getline(fields, model, ',');
    std::getline(fields, total, ',');
    std::getline(fields, active, ',');
    counts[model] = {std::stoll(total), active.empty() ? 0 : std::stoll(active)};
  }
  return counts;
}

class Models : public ::testing::Test {
 protected:
  void SetUp() override { setenv("LONGHAUL_EXAMPLES", source_tree("examples").c_str(), 1); }
};

TEST_F(Models, EveryGoldenCountIsExact) {
  const auto golden = golden_counts();
  ASSERT_GE(golden.size(), 59U);
  for (const auto& [name, count] : golden) {
    const model::ParamCounts counts = model::count_params(resolve_model(name).config.model);
    EXPECT_EQ(counts.total.value, count.total) << name;
    if (count.active > 0) {
      EXPECT_EQ(counts.active.value, count.active) << name;
    }
  }
}

TEST_F(Models, EveryModelFileHasAGoldenCount) {
  const auto golden = golden_counts();
  for (const std::string& name : files::example_names("models")) {
    const bool ours = name == "llama-20m";  // which nobody else has counted
    EXPECT_TRUE(golden.contains(name) || ours) << name;
  }
}

TEST_F(Models, DenseGptAndLlamaShapesAreTrainableAndOthersSayWhyNot) {
  for (const char* name : {"gpt2-124m", "gpt3-175b", "llama-2-70b", "llama-3.1-405b", "mistral-7b", "qwen2.5-7b", "qwen3-0.6b"}) {
    EXPECT_EQ(model::trainable(resolve_model(name).config.model), std::nullopt) << name;
  }
  for (const char* name : {"gpt3-13b", "bloom-176b", "opt-175b", "pythia-70m", "mixtral-8x7b", "deepseek-v3"}) {
    EXPECT_NE(model::trainable(resolve_model(name).config.model), std::nullopt) << name;
  }
}

TEST_F(Models, ExampleRunFilesResolve) {
  for (const char* name : {"demo", "gpt2-124m", "llama-20m"}) {
    const ResolvedConfig resolved = resolve_file(source_tree("examples/") + name + ".toml");
    EXPECT_TRUE(resolved.warnings.empty()) << name;
    EXPECT_EQ(model::trainable(resolved.config.model), std::nullopt) << name;
    EXPECT_EQ(resolved.config.model.name, name);
  }
  const auto gpt2 = resolve_file(source_tree("examples/gpt2-124m.toml")).config;
  EXPECT_EQ(gpt2.tokens_per_step(), 524'288);
  EXPECT_EQ(gpt2.run.steps, 19'074);
}

TEST_F(Models, LearnedPositionsGiveTheSequenceLength) { EXPECT_EQ(resolve_model("gpt2-124m").config.batch.sequence_length, 1024); }

TEST_F(Models, AModelAloneGetsTwentyTokensAParameter) {
  const ResolvedConfig resolved = resolve_model("gpt2-124m");
  EXPECT_EQ(resolved.config.run.tokens, 20LL * 124'439'808);
  EXPECT_EQ(resolved.origins.at("run.tokens"), "computed: 20 tokens per parameter (Hoffmann et al. 2022)");
  EXPECT_EQ(resolve_model("gpt2-124m", {"run.steps=7"}).config.run.steps, 7);
}

}  // namespace
}  // namespace longhaul::config
