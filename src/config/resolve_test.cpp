#include "config/resolve.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "config/options.h"
#include "tests/source_tree.h"
#include "units/error.h"

namespace longhaul::config {
namespace {

constexpr std::string_view kModel = "[model]\nlayers = 2\nwidth = 64\nheads = 4\nvocab = 256\n";

ResolvedConfig with(const std::string& tables, const Overrides& sets = {}) {
  return resolve_text(std::string(kModel) + tables, "run.toml", "/somewhere", sets);
}

std::string error_of(const std::string& tables, const Overrides& sets = {}) {
  try {
    with(tables, sets);
  } catch (const UsageError& error) {
    return error.what();
  }
  return "no error";
}

const std::string kSteps = "[run]\nsteps = 100\n";

TEST(Resolve, DefaultsFileAndOverridesInThatOrder) {
  const ResolvedConfig resolved = with(kSteps + "seed = 3\n[batch]\nmicro_batch = 2\n", {"batch.micro_batch=4"});
  EXPECT_EQ(resolved.config.run.seed, 3);
  EXPECT_EQ(resolved.config.batch.micro_batch, 4);
  EXPECT_EQ(resolved.origins.at("run.seed"), "run.toml:8");
  EXPECT_EQ(resolved.origins.at("batch.micro_batch"), "--set");
  EXPECT_EQ(resolved.origins.at("optimizer.beta1"), "default");
  EXPECT_EQ(resolved.origins.at("model.kv_heads"), "computed: heads");
}

TEST(Resolve, PathsInAFileAreRelativeToItAndOnTheCommandLineToHere) {
  const ResolvedConfig resolved = with(kSteps + "directory = \"../runs/a/\"\n", {"data.directory=d"});
  EXPECT_EQ(resolved.config.run.directory, "/runs/a");
  EXPECT_EQ(resolved.config.data.directory, (std::filesystem::current_path() / "d").string());
}

TEST(Resolve, BareStringsNeedNoQuotes) {
  const RunConfig config =
      with(kSteps, {"schedule.kind=wsd", "log.every=5 min", "run.directory=/x=y", "schedule.min_learning_rate=1e-5"}).config;
  EXPECT_EQ(config.schedule.kind, LearningRateSchedule::wsd);
  EXPECT_EQ(config.log.every, (Cadence{Cadence::Kind::seconds, 300}));
  EXPECT_EQ(config.run.directory, "/x=y");
  EXPECT_EQ(config.schedule.min_learning_rate, 1e-5);
}

TEST(Resolve, ValuesLeftOutAreComputed) {
  const RunConfig config =
      with("[run]\ntokens = \"1M\"\n[batch]\nsequence_length = 100\nglobal_batch = 24\nmicro_batch = 2\n[precision]\ndtype = \"fp32\"\n")
          .config;
  EXPECT_EQ(config.run.steps, 417) << "⌈10⁶ / 2400⌉";
  EXPECT_EQ(config.schedule.warmup_steps, 42) << "accounting A7";
  EXPECT_EQ(config.batch.virtual_ranks, 4) << "the largest power of two that divides 12";
  EXPECT_EQ(config.precision.order, Order::fma);
  EXPECT_EQ(config.model.head_dim, 16);
  EXPECT_EQ(config.model.ffn_width, 256);
  EXPECT_EQ(config.schedule.min_learning_rate, 3e-4 / 10);
  EXPECT_EQ(with(kSteps + "[schedule]\nwarmup_steps = -1\n").config.schedule.warmup_steps, 10);
}

TEST(Resolve, ALayoutOfManyRanksIsARunFileToo) {
  const auto resolved = with(kSteps + "[parallel]\ndp = 4\npp = 2\nvirtual = 2\nstages = \"1+0+0+1\"\n");
  EXPECT_EQ(resolved.config.parallel.schedule, PipelineSchedule::interleaved);
  EXPECT_TRUE(resolved.origins.at("parallel.schedule").starts_with("computed"));
  EXPECT_EQ(with(kSteps, {"parallel.virtual=2", "parallel.schedule=1f1b"}).config.parallel.schedule, PipelineSchedule::one_f_one_b);
  EXPECT_EQ(with(kSteps).config.parallel.schedule, PipelineSchedule::one_f_one_b);
}

TEST(Resolve, ABudgetOnTheCommandLineReplacesTheFiles) {
  const RunConfig config = with("[run]\ntokens = 1000000\n", {"run.steps=40"}).config;
  EXPECT_EQ(config.run.steps, 40);
  EXPECT_EQ(config.run.tokens, 0);
}

TEST(ResolveErrors, NameFileLineFieldAllowedValuesAndTheNearestFix) {
  EXPECT_EQ(error_of(kSteps + "[batch]\nglobal_batch = 500\nmicro_batch = 8\n"),
            "run.toml:9: batch.global_batch = 500 is not a multiple of batch.micro_batch = 8; nearest: 496 or 504");
  EXPECT_EQ(error_of(kSteps + "[batch]\nglobal_batch = 8\nmicro_batch = 2\n", {"batch.micro_batch=3"}),
            "--set batch.micro_batch = 3 does not divide batch.global_batch = 8; nearest: 2 or 4")
      << "what was changed is to blame";
  EXPECT_EQ(error_of(kSteps + "[optimizer]\nlerning_rate = 1\n"),
            "run.toml:9: unknown option optimizer.lerning_rate; nearest: optimizer.learning_rate");
  EXPECT_EQ(error_of(kSteps + "[optimiser]\nbeta1 = 0.5\n"), "run.toml:8: unknown table [optimiser]; nearest: [optimizer]");
  EXPECT_EQ(error_of(kSteps + "[batch]\nmicro_batch = \"two\"\n"),
            "run.toml:9: batch.micro_batch = \"two\" is not an integer; allowed: integer ≥ 1 and ≤ 67108864");
  EXPECT_EQ(error_of(kSteps + "[precision]\ndtype = \"fp16\"\n"),
            "run.toml:9: precision.dtype = \"fp16\" is unknown; allowed: bf16, fp32; nearest: bf16");
  EXPECT_EQ(error_of(kSteps + "[batch]\nmicro_batch = [1]\n"),
            "run.toml:9: batch.micro_batch is an array; allowed are numbers, texts, true and false");
  EXPECT_EQ(error_of(kSteps, {"batch.micro_batch=x"}),
            "--set batch.micro_batch = \"x\" is not an integer; allowed: integer ≥ 1 and ≤ 67108864");
  EXPECT_EQ(error_of(kSteps, {"micro_batch=1"}), "--set micro_batch=1: write --set table.key=value");
}

TEST(ResolveErrors, CombinationsThatCannotBe) {
  const auto says = [](const std::string& error, std::string_view words) { return error.find(words) != std::string::npos ? "" : error; };
  EXPECT_EQ(says(error_of(""), "neither run.steps nor run.tokens"), "");
  EXPECT_EQ(says(error_of(kSteps + "tokens = 5\n"), "run.steps and run.tokens are both given"), "");
  EXPECT_EQ(says(error_of(kSteps, {"model.kv_heads=3"}), "--set model.kv_heads = 3 does not divide heads = 4"), "");
  EXPECT_EQ(says(error_of(kSteps, {"batch.micro_batch=16"}), "batch.micro_batch = 16 is larger than batch.global_batch = 8"), "");
  EXPECT_EQ(says(error_of(kSteps, {"batch.virtual_ranks=3"}), "does not divide the 8 micro-batches"), "");
  EXPECT_EQ(says(error_of(kSteps, {"batch.virtual_ranks=3"}), "nearest: 2 or 4"), "");
  EXPECT_EQ(says(error_of(kSteps, {"batch.virtual_ranks=9"}), "nearest: 8"), "");
  EXPECT_EQ(says(error_of(kSteps, {"schedule.min_learning_rate=1"}), "is larger than optimizer.learning_rate = 3e-4"), "");
  EXPECT_EQ(says(error_of(kSteps, {"precision.order=fma"}), "does not go with precision.dtype = \"bf16\""), "");
  EXPECT_EQ(says(error_of(kSteps, {"parallel.virtual_tensor=2"}), "parallel.virtual_tensor = 2 needs"), "");
  EXPECT_EQ(says(error_of(kSteps, {"parallel.dp=1048576", "parallel.tp=2"}), "[parallel]: dp·tp·pp·cp is more than 1048576 ranks"), "");
  EXPECT_EQ(says(error_of(kSteps, {"parallel.pp=1024", "parallel.virtual=1025"}), "pp·virtual is more than"), "");
  EXPECT_EQ(says(error_of(kSteps, {"model.position=learned"}), "position_rows = 0"), "");
  EXPECT_EQ(says(error_of(kSteps, {"model.position=learned", "model.position_rows=8", "batch.sequence_length=9"}), "longer than the table"),
            "");
  EXPECT_EQ(says(error_of(kSteps, {"validation.every=5 min"}), "is a time"), "");
}

TEST(ResolveErrors, TheModelMustBeNamedOrDescribed) {
  EXPECT_THROW(resolve_text("[run]\nsteps = 1\n", "run.toml", "."), UsageError);
  EXPECT_THROW(resolve_file("/no/such/run.toml"), UsageError);
  setenv("LONGHAUL_EXAMPLES", source_tree("examples").c_str(), 1);
  try {
    resolve_model("gpt2-125m");
    FAIL();
  } catch (const UsageError& error) {
    EXPECT_NE(std::string(error.what()).find("nearest: gpt2-124m"), std::string::npos) << error.what();
  }
  EXPECT_EQ(resolve_text("[run]\nsteps = 1\n[model]\nname = \"gpt2-124m\"\nlayers = 2\n", "run.toml", ".").config.model.layers, 2);
}

TEST(ResolveErrors, HostileDocumentsAreRefusedByTheirLimits) {
  const auto refused = [](const std::string& text) {
    try {
      resolve_text(text, "run.toml", ".");
      return std::string("accepted");
    } catch (const UsageError& error) {
      return std::string(error.what());
    }
  };
  EXPECT_NE(refused("a = " + std::string(100, '[') + std::string(100, ']')).find("run.toml:1: "), std::string::npos);
  std::string dotted = "a";
  for (int i = 0; i < 100'000; ++i) dotted += ".a";
  EXPECT_EQ(refused(dotted + " = 1"), "run.toml:1: more than 32 dots on a line: a run file has table.key = value");
  EXPECT_EQ(refused(std::string((16 << 20) + 1, '\n')), "run.toml:1: larger than 16 MiB, which no TOML file of longhaul is");
  EXPECT_NE(refused("[run]\nsteps = 1\nsteps = 2\n").find("run.toml:3: "), std::string::npos) << "a key twice";
  EXPECT_NE(refused("[run]\ndirectory = \"\xff\"\n").find("run.toml:2: "), std::string::npos) << "no UTF-8";
  EXPECT_NE(refused("steps = 1\n").find("'steps' stands outside a table; nearest: run.steps"), std::string::npos);
}

TEST(ResolveWarnings, ARunInsideItsWarmUpIsPossibleButSaid) {
  EXPECT_TRUE(with(kSteps).warnings.empty());
  EXPECT_EQ(with(kSteps, {"schedule.warmup_steps=100"}).warnings.size(), 1U);
  EXPECT_EQ(with(kSteps, {"schedule.kind=wsd", "schedule.decay_fraction=0.95"}).warnings.size(), 1U);
}

}  // namespace
}  // namespace longhaul::config
