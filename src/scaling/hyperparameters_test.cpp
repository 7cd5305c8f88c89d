#include "scaling/hyperparameters.h"

#include <gtest/gtest.h>

namespace longhaul::scaling {
namespace {

TEST(Hyperparameters, BatchGrowth) {  // accounting A6
  EXPECT_DOUBLE_EQ(config::learning_rate_for_batch(1, 1024.0 / 256, config::BatchRule::linear), 4);
  EXPECT_DOUBLE_EQ(config::learning_rate_for_batch(1, 1024.0 / 256), 2);
  EXPECT_FALSE(warn_of_batch_growth(8, config::BatchRule::linear));
  EXPECT_TRUE(warn_of_batch_growth(8.1, config::BatchRule::linear));
  EXPECT_FALSE(warn_of_batch_growth(100, config::BatchRule::square_root));
}

TEST(Hyperparameters, WarmUp) {  // accounting A7
  EXPECT_EQ(advise_training({1e9, 2'000.0 * 1e6}, {}, 1e6).warmup_steps, 200);
  EXPECT_EQ(advise_training({1e9, 10'000.0 * 1e6}, {}, 1e6).warmup_steps, 1000);
  EXPECT_EQ(advise_training({1e9, 100'000.0 * 1e6}, {}, 1e6).warmup_steps, 3000);
}

// DeepSeek LLM, figure 3 and others' measurements beside it: at 1e20 FLOPs about 1e-3 and 1e6 tokens.
TEST(Hyperparameters, DeepSeekFormulas) {
  EXPECT_NEAR(deepseek_learning_rate(1e20), 9.86e-4, 1e-6);
  EXPECT_NEAR(deepseek_batch_tokens(1e20), 1.017e6, 2e3);
  EXPECT_NEAR(kaplan_critical_batch(1), 2.1e8, 1);
  const TrainingAdvice at = advise_training({7e9, 1.4e11}, 2.1, 0);
  EXPECT_TRUE(at.published_learning_rate.contains(3e-4)) << "LLaMA 7B";
  EXPECT_TRUE(at.published_batch.contains(4e6));
  EXPECT_TRUE(at.beyond);
}

}  // namespace
}  // namespace longhaul::scaling
