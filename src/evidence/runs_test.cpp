#include "evidence/runs.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "evidence/predict.h"
#include "units/error.h"

namespace longhaul::evidence {
namespace {

const std::vector<std::string> kColumns = {"id",
                                           "family",
                                           "model",
                                           "layers",
                                           "hidden",
                                           "heads",
                                           "kv_heads",
                                           "ffn",
                                           "vocab",
                                           "seq_len",
                                           "global_batch",
                                           "micro_batch",
                                           "dp",
                                           "tp",
                                           "pp",
                                           "vpp",
                                           "cp",
                                           "zero_stage",
                                           "fsdp",
                                           "sequence_parallel",
                                           "tied_embeddings",
                                           "gated_mlp",
                                           "learned_positions",
                                           "recompute",
                                           "precision",
                                           "framework",
                                           "gpu",
                                           "num_gpus",
                                           "gpus_per_node",
                                           "status",
                                           "step_time_s",
                                           "tokens_per_s_per_gpu",
                                           "peak_memory_gib",
                                           "attention",
                                           "notes",
                                           "memory_kind"};
const std::vector<std::string> kRow = {
    "run", "family", "gpt", "24", "2048", "16", "16",   "8192", "50304",       "2048",          "64", "2", "4",  "2",   "1", "1",  "1",
    "1",   "0",      "0",   "0",  "0",    "1",  "none", "bf16", "megatron-lm", "A100-SXM-80GB", "8",  "8", "ok", "3.5", "",  "40", "",
    "",    ""};
const std::vector<std::string> kTexts = {"id",  "family", "model",     "recompute", "precision",  "framework",
                                         "gpu", "status", "attention", "notes",     "memory_kind"};

std::string line_of(const std::vector<std::string>& cells) { return fmt::format("{}\n", fmt::join(cells, ",")); }

/// Three rows, the second with one cell replaced.
std::vector<MeasuredRun> rows_with(std::size_t column, const std::string& cell, Unreadable unreadable = Unreadable::skip) {
  std::vector<std::string> first = kRow, second = kRow, third = kRow;
  first[0] = "first", second[0] = "second", third[0] = "third";
  second[column] = cell;
  return read_runs(files::Csv::parse(line_of(kColumns) + line_of(first) + line_of(second) + line_of(third), "runs.csv"), unreadable);
}

std::vector<ScoredRun> scored(const std::vector<MeasuredRun>& rows) {
  Predictor predict(cost::shipped_calibration());
  std::vector<ScoredRun> out;
  for (const MeasuredRun& row : rows) out.push_back(predict(row));
  return out;
}

TEST(Runs, OneBadCellChangesNoOtherRowAndIsNamed) {
  ASSERT_EQ(kColumns.size(), kRow.size());
  const std::vector<ScoredRun> good = scored(rows_with(0, "second"));
  ASSERT_TRUE(good[0].seconds && good[1].seconds && good[2].memory) << good[0].skipped;
  for (std::size_t column = 1; column < kColumns.size(); ++column)
    for (const std::string cell : {"0", "-1", "1e400", "text", "", "nan", "2.5", "99999999999999999999"}) {
      SCOPED_TRACE(kColumns[column] + " = '" + cell + "'");
      const std::vector<ScoredRun> shown = scored(rows_with(column, cell));
      ASSERT_EQ(shown.size(), 3U);
      for (const std::size_t other : {0U, 2U}) {
        EXPECT_EQ(shown[other].skipped, "");
        EXPECT_EQ(shown[other].seconds, good[other].seconds);
        EXPECT_EQ(shown[other].memory, good[other].memory);
      }
      EXPECT_EQ(shown[1].line, 3U);
      EXPECT_EQ(shown[1].seconds.has_value(), shown[1].skipped.empty());
      const bool number = std::find(kTexts.begin(), kTexts.end(), kColumns[column]) == kTexts.end();
      if (number && (cell == "text" || cell == "nan" || cell == "1e400" || cell == "-1")) {
        EXPECT_NE(shown[1].skipped.find(kColumns[column]), std::string::npos) << shown[1].skipped;
      }
    }
}

TEST(Runs, WhatCannotBeReadIsNamedByReasonLineAndId) {
  const auto batch = static_cast<std::size_t>(std::find(kColumns.begin(), kColumns.end(), "global_batch") - kColumns.begin());
  const std::vector<MeasuredRun> rows = rows_with(batch, "0");
  EXPECT_EQ(rows[1].skipped, "global_batch is not a whole number of at least 1");
  EXPECT_EQ(rows[1].unreadable, "runs.csv:3: global_batch '0' is not a whole number of at least 1");
  EXPECT_EQ(unreadable_rows(rows),
            std::vector<std::string>{"1 row is skipped, global_batch is not a whole number of at least 1: line 3 (second)"});
  EXPECT_EQ(unreadable_rows(rows_with(batch, "64")), std::vector<std::string>{});
  EXPECT_THROW(rows_with(batch, "0", Unreadable::refuse), UsageError);
}

TEST(Runs, ATableOfUnreadableRowsAloneIsAnError) {
  std::vector<std::string> bad = kRow;
  bad[3] = "many";
  EXPECT_THROW(read_runs(files::Csv::parse(line_of(kColumns) + line_of(bad) + line_of(bad), "runs.csv")), UsageError);
}

}  // namespace
}  // namespace longhaul::evidence
