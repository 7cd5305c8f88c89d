#include "train/generation.h"

#include <gtest/gtest.h>

#include "checkpoint/state_hash.h"
#include "data/loader.h"
#include "train/test_support.h"
#include "units/testing.h"

namespace longhaul::train {
namespace {

/// The 256 bytes, a begin and an end.
tokenizer::Tokenizer byte_tokenizer() {
  tokenizer::TokenizerParts parts;
  for (int byte = 0; byte < 256; ++byte) parts.tokens.emplace_back(1, static_cast<char>(byte));
  parts.specials = {{"<s>", 256}, {"</s>", 257}};
  parts.origin = "bytes";
  return tokenizer::Tokenizer(parts);
}

config::RunConfig byte_run(config::Overrides sets = {}) {
  sets.push_back("model.vocab=264");  // more rows than tokens
  return small_run(sets);
}

TEST(Generation, IsLimitedAndTheSameForTheSameWeights) {
  Engine engine(byte_run(), Engine::Use::evaluation);
  engine.initialise();
  engine.weights_changed();
  const tokenizer::Tokenizer tokenizer = byte_tokenizer();
  Inference inference(engine);
  std::vector<std::int32_t> seen;
  const auto take = [&](std::int32_t token) { seen.push_back(token); };
  const Passage passage = generate(inference, tokenizer, tokenizer.framing(), "ab", 9, {.temperature = 0}, take);
  EXPECT_EQ(passage.tokens.size() == 9, !passage.ended);
  EXPECT_EQ(seen, passage.tokens);
  for (const std::int32_t token : passage.tokens) EXPECT_LT(token, 258);
  EXPECT_EQ(generate(inference, tokenizer, tokenizer.framing(), "ab", 9, {.temperature = 0}).tokens, passage.tokens);
  const tokenizer::Framing end_alone{tokenizer::Framing::kNone, 257};
  EXPECT_NE(longhaul::testing::usage_error([&] { generate(inference, tokenizer, end_alone, "", 9, {}); }).find("give a prompt"),
            std::string::npos);
}

TEST(Generation, InATrainingEngineDisturbsNothing) {
  const tokenizer::Tokenizer tokenizer = byte_tokenizer();
  const auto hash = [&](bool generated) {
    const config::RunConfig config = byte_run({"optimizer.ema_beta=0.9"});
    Engine engine(config);
    engine.initialise();
    Inference inference(engine);
    for (std::int64_t step = 0; step < 3; ++step) {
      engine.step().gradients(data::synthetic_batch(3, config.model.vocab, step * 8, 8, config.batch.sequence_length));
      engine.step().gradient_norm();
      engine.step().update({1e-2, 0.9, 0.95, 1e-8, 0.1, 0.5, 0.9, step + 1});
      if (!generated) continue;
      const Engine::AverageScope average(engine);
      generate(inference, tokenizer, tokenizer.framing(), "the ", 12, {.temperature = 0});
    }
    return checkpoint::hash_state(engine.registry()).root.hex();
  };
  EXPECT_EQ(hash(true), hash(false));
}

}  // namespace
}  // namespace longhaul::train
