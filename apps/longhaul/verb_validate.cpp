// longhaul validate: predictions beside measured runs.
#include <fmt/format.h>

#include <iostream>
#include <nlohmann/json.hpp>

#include "command_line.h"
#include "files/read.h"
#include "plan/predict.h"
#include "plan/score.h"
#include "verbs.h"

namespace longhaul::app {
namespace {

constexpr std::uint64_t kMaxRunsBytes = 256u << 20;

nlohmann::json row_json(const plan::ScoredRun& run) {
  const auto figure = [](const auto& value) { return value ? nlohmann::json(*value) : nlohmann::json(nullptr); };
  return {{"id", run.id},
          {"family", run.family},
          {"seen", run.seen},
          {"skipped", run.skipped},
          {"step_seconds", {{"predicted", figure(run.seconds)}, {"measured", figure(run.measured_seconds)}}},
          {"memory_bytes", {{"predicted", figure(run.memory)}, {"measured", figure(run.measured_memory)}}},
          {"fits", {{"predicted", figure(run.fits)}, {"measured", figure(run.measured_fits)}}}};
}

}  // namespace

int verb_validate(int argc, char** argv) {
  CommandLine line("longhaul validate",
                   "Predicts every row of a table of measured runs and sets the figures beside the measured ones: per family bias, median, "
                   "mean,\n90th percentile and worst absolute error in percent, of step time and peak memory; precision, recall and F1 of "
                   "\"fits\".\nRows that a fit has seen are scored apart. Columns of the table: docs/formats.md. No measurement of a row "
                   "reaches its prediction.\n"
                   "Example: longhaul validate runs.csv\n"
                   "         longhaul validate runs.csv --calibration my-calibration.toml --rows --json > score.json");
  std::filesystem::path runs_file, calibration_path;
  bool json = false, rows = false;
  line.option("RUNS.csv", runs_file, "measured runs, one a row").required();
  line.option("--calibration", calibration_path, "parameters, a file or a folder of them (default: examples/calibration)");
  line.flag("--rows", rows, "each row too, in the JSON");
  line.flag("--json", json, "one JSON document on stdout");
  if (const std::optional<int> code = line.parse(argc, argv)) return *code;

  plan::Predictor predict(calibration_path.empty() ? plan::shipped_calibration() : plan::read_calibration(calibration_path));
  const files::Csv csv = files::Csv::parse(files::read_file(runs_file, kMaxRunsBytes), runs_file.string());
  std::vector<plan::ScoredRun> scored;
  for (const plan::MeasuredRun& run : plan::read_runs(csv)) scored.push_back(predict(run));
  const std::vector<plan::FamilyScore> families = plan::score(scored);
  if (!json) return fmt::print("{}", plan::to_text(families)), 0;
  nlohmann::json out = plan::to_json(families);
  if (rows)
    for (const plan::ScoredRun& run : scored) out["rows"].push_back(row_json(run));
  std::cout << out.dump(2) << '\n';
  return 0;
}

}  // namespace longhaul::app
