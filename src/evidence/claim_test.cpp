#include "evidence/claim.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "tests/source_tree.h"
#include "units/testing.h"

namespace longhaul::evidence {
namespace {

const std::vector<PublishedMfu>& published() {
  static const std::vector<PublishedMfu> kTable = [] {
    setenv("LONGHAUL_EXAMPLES", source_tree("examples").c_str(), 1);
    return shipped_published();
  }();
  return kTable;
}

model::ModelSpec llama(std::int64_t layers, std::int64_t width, std::int64_t heads, std::int64_t kv_heads, std::int64_t ffn,
                       std::int64_t vocab) {
  return model::with_usual_values(
      {.name = "llama", .layers = layers, .width = width, .heads = heads, .kv_heads = kv_heads, .ffn_width = ffn, .vocab = vocab});
}

Claim claim(ClaimKind kind, double number, const char* hardware = "h100x64") {
  setenv("LONGHAUL_EXAMPLES", source_tree("examples").c_str(), 1);
  Claim out;
  out.model = llama(32, 4096, 32, 8, 14336, 128256);
  out.sequence_length = 8192;
  out.on = cluster::find_cluster(hardware);
  out.kind = kind, out.number = number;
  return out;
}

bool reads(const ClaimAudit& audit, const std::string& word) {
  return std::any_of(audit.readings.begin(), audit.readings.end(),
                     [&](const Reading& each) { return each.what.find(word) != std::string::npos; });
}

// LLaMA-65B (arXiv 2302.13971): "around 380 tokens/sec/GPU on 2048 A100", 1.4 T tokens in 1,022,362 GPU-hours. 6·N_matmul + 12·L·h·s by
// hand: N_matmul = 80·(4·8192² + 3·8192·22016) + 32000·8192, so 6·65.02e9 + 12·80·8192·2048 = 406.2 GFLOP a token; 380 of them are 49.5 %
// of 312 TFLOP/s.
TEST(Claim, LlamasOwnFiguresArePlausibleAndAgree) {
  Claim rate = claim(ClaimKind::tokens_per_second_per_device, 380, "a100x2048");
  rate.model = llama(80, 8192, 64, 64, 22016, 32000);
  rate.sequence_length = 2048;
  const ClaimAudit steady = audit(rate, published());
  EXPECT_EQ(steady.verdict, Verdict::plausible);
  EXPECT_NEAR(steady.mfu, 0.495, 0.001);
  EXPECT_DOUBLE_EQ(steady.rate, 380.0 * 2048);
  Claim hours = rate;
  hours.kind = ClaimKind::device_hours, hours.number = 1'022'362, hours.tokens = 1.4e12;
  const ClaimAudit whole = audit(hours, published());
  EXPECT_EQ(whole.verdict, Verdict::plausible);
  EXPECT_NEAR(whole.mfu / steady.mfu, 1.4e12 / (1'022'362 * 3600.0) / 380, 1e-12);
  EXPECT_EQ(whole.published.of_kind.kind, "whole");
  ASSERT_TRUE(whole.published.steps);
  EXPECT_EQ(whole.published.steps->kind, "step");
  EXPECT_FALSE(steady.published.steps);
  // Llama 2 7B (model card): 2 T tokens in 184,320 hours, 44 % of the peak. Below three quarters of seven whole runs, yet no slow run.
  Claim small = hours;
  small.model = llama(32, 4096, 32, 32, 11008, 32000);
  small.sequence_length = 4096, small.number = 184'320, small.tokens = 2e12;
  EXPECT_EQ(audit(small, published()).verdict, Verdict::plausible);
}

// BLOOM (bigscience tr11): 104.70 s a step of 2,048 sequences of 2,048 on 384 A100, 149.77 TFLOP/s by the hardware convention.
TEST(Claim, BloomsTwoFiguresAreOneClaim) {
  Claim step = claim(ClaimKind::step, 104.70, "a100x384");
  step.model = model::with_usual_values({.name = "bloom", .layers = 70, .width = 14336, .heads = 112, .vocab = 250880});
  step.model.mlp = model::MlpKind::gelu, step.model.position = model::PositionKind::alibi, step.model.tied_embeddings = true;
  step.sequence_length = 2048, step.global_batch = 2048;
  Claim flops = step;
  flops.kind = ClaimKind::flops_per_device, flops.number = 149.77e12, flops.convention = model::Convention::sc21_eq3;
  EXPECT_NEAR(audit(flops, published()).rate / audit(step, published()).rate, 1, 1e-4);
  EXPECT_EQ(audit(step, published()).verdict, Verdict::low)
      << "an older network and full recomputation: MFU " << audit(step, published()).mfu;
}

TEST(Claim, PhysicsIsTheBound) {
  EXPECT_EQ(audit(claim(ClaimKind::flops_per_device, 2000e12), published()).verdict, Verdict::impossible);
  const ClaimAudit above_matmul = audit(claim(ClaimKind::flops_per_device, 980e12), published());
  EXPECT_EQ(above_matmul.verdict, Verdict::impossible);
  EXPECT_NE(above_matmul.why.find("matmul"), std::string::npos);
  EXPECT_LT(above_matmul.mfu, 1);
  EXPECT_EQ(audit(claim(ClaimKind::flops_per_device, 620e12), published()).verdict, Verdict::implausible);
  EXPECT_EQ(audit(claim(ClaimKind::flops_per_device, 400e12), published()).verdict, Verdict::plausible);
  EXPECT_EQ(audit(claim(ClaimKind::flops_per_device, 50e12), published()).verdict, Verdict::low);
}

TEST(Claim, LongSequencesAreBoundByTheWorkThatIsReallyDone) {
  // At 512 Ki tokens nearly all work is attention, of which causality leaves half: an MFU above 1 by the standard count is possible work.
  Claim lengthy = claim(ClaimKind::flops_per_device, 1050e12);
  lengthy.sequence_length = 524288;
  const ClaimAudit result = audit(lengthy, published());
  EXPECT_GT(result.mfu, 1);
  EXPECT_LT(result.least, 0.65);
  EXPECT_EQ(result.verdict, Verdict::implausible);
}

TEST(Claim, RecomputationIsWorkThatCannotBeLeftOut) {
  Claim with = claim(ClaimKind::tokens_per_second_per_device, 10'000), without = with;
  with.recompute = program::Recompute::layer;
  EXPECT_NEAR(audit(with, published()).least / audit(without, published()).least, 4.0 / 3, 0.03);
  EXPECT_GT(audit(with, published()).hfu, audit(with, published()).mfu);
  EXPECT_EQ(audit(without, published()).hfu, audit(without, published()).mfu);
}

TEST(Claim, LikelyMistakesAreNamed) {
  EXPECT_TRUE(reads(audit(claim(ClaimKind::flops_per_device, 820e12), published()), "sparse peak"));
  EXPECT_TRUE(reads(audit(claim(ClaimKind::flops_per_device, 560e12), published()), "recomputation"));
  EXPECT_TRUE(reads(audit(claim(ClaimKind::tokens_per_second_per_device, 8 * 7000), published()), "node of 8"));
  EXPECT_TRUE(reads(audit(claim(ClaimKind::tokens_per_second_per_device, 64 * 7000), published()), "of all devices"));
  EXPECT_TRUE(reads(audit(claim(ClaimKind::tokens_per_second, 7000), published()), "of one device"));
  EXPECT_TRUE(reads(audit(claim(ClaimKind::tokens_per_second, 8 * 7000), published()), "of one node"));
  Claim step = claim(ClaimKind::step, 4);
  step.global_batch = 64.0 * 7000 * 4;
  EXPECT_TRUE(reads(audit(step, published()), "in tokens"));
  Claim hours = claim(ClaimKind::device_hours, 1e12 / 7000 / 3600 / 64);
  hours.tokens = 1e12;
  EXPECT_TRUE(reads(audit(hours, published()), "on the wall"));
  EXPECT_TRUE(audit(claim(ClaimKind::flops_per_device, 400e12), published()).readings.empty())
      << "a plausible claim needs no other reading";
}

// What is named as plausible is what the program calls plausible when it is asked.
TEST(Claim, AReadingAsFp8IsJudgedAmongFp8Runs) {
  for (const double rate : {540e12, 560e12, 620e12, 700e12, 820e12}) {
    const Claim bf16 = claim(ClaimKind::flops_per_device, rate);
    Claim fp8 = bf16;
    fp8.precision = "fp8";
    ASSERT_EQ(audit(bf16, published()).verdict, Verdict::implausible) << rate;
    EXPECT_EQ(reads(audit(bf16, published()), "fp8"), audit(fp8, published()).verdict == Verdict::plausible) << rate;
  }
  EXPECT_TRUE(reads(audit(claim(ClaimKind::flops_per_device, 540e12), published()), "fp8")) << "27 % of the fp8 peak, the best is 25 %";
  EXPECT_FALSE(reads(audit(claim(ClaimKind::flops_per_device, 820e12), published()), "fp8")) << "41 %";
  EXPECT_FALSE(reads(audit(claim(ClaimKind::flops_per_device, 300e12), published()), "fp8")) << "plausible as it is";
  EXPECT_FALSE(reads(audit(claim(ClaimKind::flops_per_device, 280e12), published()), "fp8")) << "low, and lower so";
}

TEST(Claim, FewRunsMakeAWeakerVerdict) {
  Claim fp8 = claim(ClaimKind::flops_per_device, 820e12);
  fp8.precision = "fp8";
  const ClaimAudit few = audit(fp8, published());
  ASSERT_LT(few.published.of_kind.runs, 19);
  EXPECT_EQ(few.verdict, Verdict::unusual);
  EXPECT_NE(few.why.find("12 runs are too few to call it implausible"), std::string::npos) << few.why;
  for (const auto& [runs, verdict] : {std::pair{18, Verdict::unusual}, {19, Verdict::implausible}}) {
    const std::vector<PublishedMfu> table{{"any", "fp8", "step", runs, 0.1, 0.2, 0.3, 0.35, "x", "y"}};
    EXPECT_EQ(audit(fp8, table).verdict, verdict) << runs;
  }
  fp8.number = 1700e12;
  EXPECT_EQ(audit(fp8, published()).verdict, Verdict::impossible) << "physics needs no runs";
}

// Each of these figures stands in another row of the table, with another number of runs.
TEST(Claim, SentencesAreOfTheRowThatTheirFigureStandsIn) {
  const std::vector<PublishedMfu> table{{"a100", "bf16", "step", 75, 0.22, 0.36, 0.46, 0.64, "steady best", "x"},
                                        {"a100", "bf16", "whole", 7, 0.42, 0.45, 0.46, 0.54, "whole best", "y"}};
  const auto hours = [&](double mfu) {
    Claim out = claim(ClaimKind::device_hours, 0, "a100x64");
    out.tokens = 1e12;
    const double flops = model::flops_per_token(out.model, out.sequence_length).value * out.tokens;
    out.number = flops / (mfu * 312e12) / 3600;
    return audit(out, table);
  };
  EXPECT_EQ(hours(0.19).verdict, Verdict::low);
  EXPECT_NE(hours(0.19).why.find("three of four of 7 published on a100 (bf16, whole runs) reached more than 45.0 %"), std::string::npos);
  EXPECT_NE(hours(0.19).why.find("three of four of 75 published on a100 (bf16, steady steps) reached more than 36.0 %"), std::string::npos);
  EXPECT_NE(hours(0.40).why.find("the lower quartile of 75 published"), std::string::npos) << hours(0.40).why;
  EXPECT_NE(hours(0.60).why.find("the best of 75 published on a100 (bf16, steady steps), 64.0 % (steady best)"), std::string::npos);
  EXPECT_EQ(hours(0.80).verdict, Verdict::implausible);
  const nlohmann::json document = to_json(hours(0.19));
  EXPECT_EQ(document["published"]["runs"], 7);
  EXPECT_EQ(document["published"]["lowest"], 0.42);
  EXPECT_EQ(document["published_steps"]["runs"], 75);
}

TEST(Claim, ConventionsAreThoseOfTheModel) {
  const ClaimAudit result = audit(claim(ClaimKind::flops_per_device, 400e12), published());
  ASSERT_EQ(result.conventions.size(), model::all_conventions().size());
  for (const auto& [convention, mfu] : result.conventions)
    if (convention == model::Convention::standard) {
      EXPECT_NEAR(mfu, 400.0 / 989, 1e-9);
    }
  EXPECT_EQ(to_json(result)["mfu_by_convention"].size(), result.conventions.size());
}

TEST(Claim, UnknownHardwareIsJudgedByAll) {
  const ClaimAudit result = audit(claim(ClaimKind::flops_per_device, 300e12, "mi300x"), published());
  EXPECT_EQ(result.published.of_kind.accelerator, "any");
  Claim fp8 = claim(ClaimKind::flops_per_device, 300e12, "a100");
  fp8.precision = "fp8";
  EXPECT_NE(longhaul::testing::usage_error([&] { audit(fp8, published()); }), "") << "an A100 has no fp8";
}

TEST(Claim, ATableThatContradictsItselfIsRefused) {
  const auto refusal = [](const std::string& row) {
    return longhaul::testing::usage_error([&] {
      read_published(
          files::Csv::parse("accelerator,precision,kind,runs,lowest,lower_quartile,median,best,best_run,sources\n" + row, "t.csv"));
    });
  };
  EXPECT_EQ(refusal("h100,bf16,step,3,0.1,0.2,0.3,0.4,x,y\n"), "");
  EXPECT_NE(refusal("h100,bf16,step,3,0.1,0.2,0.3,1.4,x,y\n").find("t.csv:2: best"), std::string::npos);
  EXPECT_NE(refusal("h100,bf16,step,3,0.5,0.2,0.3,0.4,x,y\n").find("must rise"), std::string::npos);
  EXPECT_NE(refusal("h100,bf16,steps,3,0.1,0.2,0.3,0.4,x,y\n").find("step and whole"), std::string::npos);
  EXPECT_NE(refusal("h100,bf16,step,0,0.1,0.2,0.3,0.4,x,y\n").find("runs"), std::string::npos);
}

}  // namespace
}  // namespace longhaul::evidence
