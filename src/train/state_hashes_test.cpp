// Every run of tests/golden/state_hashes.csv, trained again in each instruction set of this processor with one and two threads.
//
// The hashes were first written by the whole program on the processors that the table names (tests/golden/state_hashes.py), so a
// difference here is a difference between processors, compilers or versions of the code: a change of the numerics contract.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <set>

#include "config/options.h"
#include "config/resolve.h"
#include "data/prepare.h"
#include "files/csv.h"
#include "files/testing.h"
#include "kernels/context.h"
#include "tests/source_tree.h"
#include "train/loop.h"
#include "train/ranks.h"

namespace longhaul::train {
namespace {

const std::string kGolden = source_tree("tests/golden/");

files::Csv table() { return files::Csv::parse(files::testing::slurp(kGolden + "state_hashes.csv"), "state_hashes.csv"); }

/// As tests/golden/state_hashes.py prepares it.
void prepare_genesis(const std::filesystem::path& directory) {
  data::PrepareOptions options;
  options.sources = {{"genesis", kGolden + "genesis.jsonl"}};
  options.directory = directory;
  options.vocab_size = 331;
  options.split.heldout_fraction = 0.1;
  data::prepare_dataset(options);
}

/// The options that a row gives: `table.key=value` of each cell that is not empty.
config::Overrides options_of(const files::Csv& table, std::size_t row) {
  config::Overrides sets;
  for (const std::string& column : table.columns())
    if (column.find('.') != std::string::npos && !table.text(row, column).empty())
      sets.push_back(fmt::format("{}={}", column, table.text(row, column)));
  return sets;
}

std::string hash_after_training(const config::Overrides& sets) {
  const config::ResolvedConfig resolved = config::resolve_text("", "state_hashes.csv", "/", sets);
  const auto ignore = [](const std::string&) {};
  std::string hash;
  run_ranks(program::layout_of(resolved.config.parallel), 1, [&](comm::Communicator& communicator) {
    Run run(resolved, communicator, {ignore, ignore, ignore});
    const TrainSummary summary = train(run);
    if (run.first()) hash = summary.state_hash;
  });
  return hash;
}

TEST(StateHashes, TheTableIsComplete) {
  const files::Csv runs = table();
  runs.require({"run", "data", "state_hash", "seen_on"});
  const std::set<std::string> known = {"run", "data", "state_hash", "seen_on"};
  for (const std::string& column : runs.columns())
    EXPECT_TRUE(known.contains(column) || config::find_option(column)) << "unknown column " << column;
  std::set<std::string_view> names;
  for (std::size_t row = 0; row < runs.rows(); ++row) {
    const std::string_view name = runs.text(row, "run"), data = runs.text(row, "data");
    EXPECT_TRUE(names.insert(name).second) << name << " stands in the table twice";
    EXPECT_TRUE(data == "genesis" || data == "guide") << name << ": no data named " << data;
    EXPECT_EQ(runs.text(row, "state_hash").size(), 32U) << name;
    EXPECT_FALSE(runs.text(row, "seen_on").empty()) << name;
    EXPECT_FALSE(options_of(runs, row).empty()) << name;
  }
  EXPECT_GE(names.size(), 16U);
}

TEST(StateHashes, AreTheSameInEachInstructionSetWithOneAndTwoThreads) {
  const files::testing::TemporaryDirectory scratch;
  prepare_genesis(scratch.path() / "genesis");
  const files::Csv runs = table();
  const char* asked = std::getenv("LONGHAUL_STATE_HASHES");
  const bool one = asked != nullptr && std::string_view(asked) == "one";  // under sanitizers: the fastest family, two threads
  for (std::size_t row = 0; row < runs.rows(); ++row) {
    if (runs.text(row, "data") != "genesis") continue;  // the guide's text is a download of 12 MB: state_hashes.py --corpus
    for (const kernels::Family family : {kernels::Family::avx2, kernels::Family::avx512, kernels::Family::avx512_bf16}) {
      if (!kernels::supported(family) || (one && family != kernels::best_family())) continue;
      for (const int threads : {1, 2}) {
        if (one && threads == 1) continue;
        const std::string name = fmt::format("{}-{}-{}", runs.text(row, "run"), kernels::name(family), threads);
        config::Overrides sets = options_of(runs, row);
        sets.insert(sets.end(), {fmt::format("run.directory={}", (scratch.path() / name).string()),
                                 fmt::format("data.directory={}", (scratch.path() / "genesis").string()),
                                 fmt::format("run.family={}", kernels::name(family)), fmt::format("run.threads={}", threads)});
        EXPECT_EQ(hash_after_training(sets), runs.text(row, "state_hash")) << name;
      }
    }
  }
}

}  // namespace
}  // namespace longhaul::train
