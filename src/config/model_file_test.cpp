#include "config/model_file.h"

#include <gtest/gtest.h>

#include <fstream>

#include "config/resolve.h"
#include "files/examples.h"
#include "files/testing.h"
#include "tests/source_tree.h"
#include "units/testing.h"

namespace longhaul::config {
namespace {

class ModelFile : public ::testing::Test {
 protected:
  void SetUp() override { setenv("LONGHAUL_EXAMPLES", source_tree("examples").c_str(), 1); }
  std::string write(const std::string& name, const std::string& text) {
    const auto path = folder_.path() / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << text;
    return path.string();
  }
  files::testing::TemporaryDirectory folder_;
};

TEST_F(ModelFile, EveryModelIsWrittenSoThatItReadsBack) {
  for (const std::string& name : files::example_names("models")) {
    const model::ModelSpec spec = resolve_model(name).config.model;
    EXPECT_EQ(resolve_model(write(name + ".toml", model_toml(spec, "a\ncomment"))).config.model, spec) << name;
  }
}

TEST_F(ModelFile, AConfigJsonIsAModel) {
  const std::string path = write("TinyLlama/config.json", R"({"model_type": "llama", "num_hidden_layers": 22, "hidden_size": 2048,
    "num_key_value_heads": 4, "intermediate_size": 5632, "rms_norm_eps": 1e-5, "rope_scaling": {"type": "linear", "factor": 2}})");
  const ResolvedConfig resolved = resolve_model(path);
  model::ModelSpec published = resolve_model("tinyllama-1.1b").config.model;
  EXPECT_EQ(resolved.config.model.name, "TinyLlama");
  published.name = "TinyLlama";
  EXPECT_EQ(resolved.config.model, published);
  EXPECT_EQ(resolved.origins.at("model.layers"), path);
  ASSERT_EQ(resolved.warnings.size(), 1U);
  EXPECT_NE(resolved.warnings[0].find("rope_type"), std::string::npos);
  EXPECT_EQ(resolve_model(path, {"model.layers=2"}).config.model.layers, 2);
}

TEST_F(ModelFile, HostileFilesAreRefusedInASentence) {
  const auto refusal = [&](const std::string& text) {
    const std::string path = write("config.json", text);
    return longhaul::testing::usage_error([&] { (void)resolve_model(path); });
  };
  EXPECT_NE(refusal("{").find("not valid JSON"), std::string::npos);
  EXPECT_NE(refusal(std::string(100, '[')).find("64 levels"), std::string::npos);
  EXPECT_NE(refusal(R"({"model_type": "llama", "model_type": "gpt2"})").find("appears twice"), std::string::npos);
  EXPECT_NE(refusal(R"({"model_type": "llama", "hidden_size": 1e999})").find("not valid JSON"), std::string::npos);
  EXPECT_NE(refusal(R"({"model_type": "llama", "hidden_size": -1})").find("config.json: hidden_size = -1"), std::string::npos);
}

}  // namespace
}  // namespace longhaul::config
