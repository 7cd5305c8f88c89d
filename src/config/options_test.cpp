#include "config/options.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <set>
#include <sstream>

#include "config/derive.h"
#include "tests/source_tree.h"

namespace longhaul::config {
namespace {

// The list is frozen: a new option is a promise to every user, so adding one is a decision made here too.
constexpr std::string_view kFrozen =
    "run.directory run.seed run.steps run.tokens run.threads run.family run.overfit_one_batch model.name model.layers "
    "model.width model.heads model.kv_heads model.head_dim model.ffn_width model.vocab model.norm model.norm_epsilon "
    "model.norm_bias model.embedding_norm model.position model.position_rows model.rope_theta model.rope_fraction "
    "model.qkv_bias model.output_bias model.qk_norm model.mlp model.mlp_bias model.parallel_residual model.tied_embeddings "
    "model.init_std model.experts model.experts_top_k model.expert_width model.experts_shared model.dense_layers "
    "model.router_bias model.latent_q_rank model.latent_kv_rank model.latent_qk_dim model.latent_rope_dim "
    "model.latent_value_dim data.directory data.isolate_documents data.end_of_text_loss batch.sequence_length batch.micro_batch "
    "batch.global_batch "
    "batch.virtual_ranks optimizer.name optimizer.learning_rate optimizer.beta1 optimizer.beta2 optimizer.epsilon "
    "optimizer.weight_decay optimizer.clip_norm optimizer.ema_beta schedule.kind schedule.warmup_steps "
    "schedule.min_learning_rate schedule.decay_fraction schedule.decay_shape precision.dtype precision.order parallel.dp "
    "parallel.tp parallel.pp parallel.cp parallel.ep parallel.zero parallel.shard parallel.virtual parallel.sp parallel.recompute "
    "parallel.schedule parallel.stages parallel.virtual_tensor parallel.virtual_sequence "
    "validation.every validation.max_tokens validation.batch validation.prompt validation.prompt_tokens checkpoint.every "
    "checkpoint.keep_last checkpoint.keep_every "
    "guards.window guards.silent_steps guards.loss_alarm_ratio guards.loss_skip_ratio guards.grad_norm_warn "
    "guards.grad_norm_alarm guards.spike_window guards.spike_threshold guards.spike_z guards.max_skipped_steps "
    "guards.state_hash_every log.every log.tensors_every ";

TEST(Options, TheListIsFrozen) {
  std::string names;
  for (const Option& option : options()) names += option.name() + " ";
  EXPECT_EQ(names, kFrozen);
  const auto all = options();
  const auto outside_model = std::count_if(all.begin(), all.end(), [](const Option& option) { return option.table != "model"; });
  EXPECT_LT(outside_model, 100) << "[model] grows with the architectures that it describes; the rest is what a user must know";
}

TEST(Options, EachHasHelpARangeAndAFieldOfItsOwn) {
  RunConfig config;
  std::set<const void*> fields;
  for (const Option& option : options()) {
    EXPECT_FALSE(option.help.empty()) << option.name();
    EXPECT_NE(option.fallback.empty(), option.computed.empty()) << option.name() << ": a default or how it is computed";
    const void* address = std::visit([](auto* field) { return static_cast<const void*>(field); }, option.field(config));
    EXPECT_TRUE(fields.insert(address).second) << option.name() << " shares a field";
  }
}

TEST(Options, ValuesOutsideTheirRangeAreRefusedWithWhatIsAllowed) {
  RunConfig config;
  EXPECT_EQ(set(*find_option("batch.micro_batch"), config, Value(std::int64_t{0})).value(),
            "is out of range; allowed: integer ≥ 1 and ≤ 67108864");
  EXPECT_EQ(set(*find_option("batch.micro_batch"), config, Value(2.0)).value(), "is not an integer; allowed: integer ≥ 1 and ≤ 67108864");
  EXPECT_EQ(set(*find_option("optimizer.beta1"), config, Value(1.0)).value(), "is out of range; allowed: number ≥ 0.0 and < 1");
  EXPECT_EQ(set(*find_option("optimizer.learning_rate"), config, Value(std::int64_t{0})).value(),
            "is out of range; allowed: number > 0 and ≤ 100.0");
  EXPECT_TRUE(set(*find_option("optimizer.learning_rate"), config, Value(std::numeric_limits<double>::quiet_NaN())));
  EXPECT_EQ(set(*find_option("precision.dtype"), config, Value(std::string("bf61"))).value(),
            "is unknown; allowed: bf16, fp32; nearest: bf16");
  EXPECT_EQ(set(*find_option("run.overfit_one_batch"), config, Value(std::int64_t{1})).value(), "is not a boolean; allowed: true or false");
}

TEST(Options, BudgetsOfTokensMayCarryASuffix) {
  RunConfig config;
  EXPECT_FALSE(set(*find_option("run.tokens"), config, Value(std::string("1.5B"))));
  EXPECT_EQ(config.run.tokens, 1'500'000'000);
  EXPECT_FALSE(set(*find_option("run.tokens"), config, Value(1e8)));
  EXPECT_EQ(config.run.tokens, 100'000'000);
  EXPECT_TRUE(set(*find_option("run.steps"), config, Value(std::string("1k")))) << "a count of steps is a number";
}

TEST(Options, ListsOfNumbersAreTextsJoinedByPlus) {
  RunConfig config;
  const Option& stages = *find_option("parallel.stages");
  EXPECT_FALSE(set(stages, config, Value(std::string("27+27+26"))));
  EXPECT_EQ(config.parallel.stages, (std::vector<std::int64_t>{27, 27, 26}));
  EXPECT_EQ(to_text(stages, config), "\"27+27+26\"");
  EXPECT_EQ(set(stages, config, Value(std::string("1+x"))).value(),
            "is not a list of whole numbers; allowed: whole numbers joined by +, like \"27+27+26\"");
  EXPECT_TRUE(set(stages, config, Value(std::string("1++2"))));
  EXPECT_TRUE(set(stages, config, Value(std::string("-1"))));
  EXPECT_FALSE(set(stages, config, Value(std::string())));
  EXPECT_TRUE(config.parallel.stages.empty());
}

TEST(Options, TextOfAFieldReadsBackToTheSameField) {
  RunConfig config;
  config.optimizer.learning_rate = 0.1 + 0.2;
  EXPECT_EQ(to_text(*find_option("optimizer.learning_rate"), config), "0.30000000000000004");
  config.optimizer.learning_rate = 1;
  EXPECT_EQ(to_text(*find_option("optimizer.learning_rate"), config), "1.0");
  config.run.directory = "a\"b\\c\n";
  EXPECT_EQ(to_text(*find_option("run.directory"), config), R"("a\"b\\c\u000A")");
}

TEST(Cadence, UnitsAreReadAndPrinted) {
  const auto text = [](std::string_view written) { return to_text(parse_cadence(written).value()); };
  EXPECT_EQ(text("10 steps"), "10 steps");
  EXPECT_EQ(text("1 step"), "1 step");
  EXPECT_EQ(text("1M tokens"), "1000000 tokens");
  EXPECT_EQ(text("30s"), "30 s");
  EXPECT_EQ(text("90 s"), "90 s");
  EXPECT_EQ(text("5 min"), "5 min");
  EXPECT_EQ(text("120 min"), "2 h");
  EXPECT_EQ(text("never"), "never");
  for (const char* bad :
       {"", "10", "0 steps", "-1 steps", "1.5 steps", "10 furlongs", "steps", "s", "9999999999999999999 h", "9000000000000T s"}) {
    EXPECT_EQ(parse_cadence(bad), std::nullopt) << bad;
  }
}

TEST(Cadence, OfATimeIsRefusedWhereItWouldReachTheResult) {
  RunConfig config;
  EXPECT_FALSE(set(*find_option("checkpoint.every"), config, Value(std::string("5 min"))));
  EXPECT_NE(set(*find_option("validation.every"), config, Value(std::string("5 min"))).value().find("reach the result"), std::string::npos);
  EXPECT_NE(set(*find_option("checkpoint.every"), config, Value(std::int64_t{5})).value().find("has no unit"), std::string::npos);
}

TEST(Cadence, PassesWhenACounterCrossesAMultiple) {
  const Cadence every{Cadence::Kind::tokens, 100};
  EXPECT_FALSE(passes(every, 0, 99));
  EXPECT_TRUE(passes(every, 99, 100));
  EXPECT_FALSE(passes(every, 100, 199));
  EXPECT_TRUE(passes(every, 90, 350));
  EXPECT_FALSE(passes(Cadence{}, 0, 1000));
}

TEST(Nearest, FindsMisspellingsAndKeysOfOtherTables) {
  EXPECT_EQ(nearest_option("optimizer", "lerning_rate").name(), "optimizer.learning_rate");
  EXPECT_EQ(nearest_option("run", "learning_rate").name(), "optimizer.learning_rate");
  EXPECT_EQ(nearest_option("batch", "lenght").name(), "batch.sequence_length");
  EXPECT_EQ(nearest_option("batch", "seed").name(), "run.seed");
  EXPECT_EQ(nearest_option("batch", "seq_length").name(), "batch.sequence_length");
  EXPECT_EQ(nearest_table("bach"), "batch");
}

TEST(Derive, GoldenA7) {
  EXPECT_EQ(default_warmup_steps(2'000), 200);
  EXPECT_EQ(default_warmup_steps(10'000), 1000);
  EXPECT_EQ(default_warmup_steps(100'000), 3000);
  EXPECT_EQ(default_warmup_steps(1), 1);
  EXPECT_EQ(default_warmup_steps(33'334), 1001) << "⌈0.03·33334⌉";
}

TEST(Derive, GoldenA6) {
  // 256 → 1024: ×4 under the linear rule, ×2 by default.
  EXPECT_DOUBLE_EQ(learning_rate_for_batch(3e-4, 1024.0 / 256, BatchRule::linear), 1.2e-3);
  EXPECT_DOUBLE_EQ(learning_rate_for_batch(3e-4, 1024.0 / 256), 6e-4);
}

TEST(Derive, GoldenA5) {
  RunConfig config;
  config.batch.sequence_length = 4096;
  config.batch.global_batch = 2 * 64 * 8;  // micro-batch · dp · accumulation
  EXPECT_EQ(config.tokens_per_step(), 4'194'304);
  config.batch.sequence_length = 2048;
  config.batch.global_batch = 4 * 32 * 8;
  EXPECT_EQ(config.tokens_per_step(), 2'097'152);
}

TEST(Derive, VirtualRanksAreTheLargestPowerOfTwoUpToEight) {
  EXPECT_EQ(default_virtual_ranks(1), 1);
  EXPECT_EQ(default_virtual_ranks(6), 2);
  EXPECT_EQ(default_virtual_ranks(12), 4);
  EXPECT_EQ(default_virtual_ranks(64), 8);
}

TEST(Derive, StepsCoverTheTokens) {
  EXPECT_EQ(steps_for(1000, 100), 10);
  EXPECT_EQ(steps_for(1001, 100), 11);
  EXPECT_EQ(steps_for(1, 100), 1);
}

TEST(Options, ThePageOfTheDocumentationIsThisTable) {
  std::ifstream file(source_tree("docs/options.md"));
  std::stringstream page;
  page << file.rdbuf();
  EXPECT_EQ(page.str(), options_markdown()) << "write it again: longhaul config --options > docs/options.md";
}

}  // namespace
}  // namespace longhaul::config
