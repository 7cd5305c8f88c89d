// longhaul fit: the cost model's parameters from measured runs.
#include <fmt/format.h>

#include <iostream>
#include <nlohmann/json.hpp>

#include "command_line.h"
#include "console.h"
#include "files/disk.h"
#include "plan/fit.h"
#include "plan/predict.h"
#include "verbs.h"

namespace longhaul::app {

int verb_fit(int argc, char** argv) {
  CommandLine line("longhaul fit",
                   "Fits the cost model's parameters (examples/calibration: those with a prior and a spread) to the step times and peak\n"
                   "memories of a table of measured runs, and writes a calibration that names the rows it has seen. Prints how well fits\n"
                   "without a fifth of the rows predict that fifth (--folds 0: the rows of the fit itself).\n"
                   "Example: longhaul fit tests/golden/runs.csv --out my-calibration.toml\n"
                   "         longhaul validate my-runs.csv --calibration my-calibration.toml");
  std::filesystem::path runs_file, calibration_path, out;
  bool json = false;
  line.option("RUNS.csv", runs_file, "measured runs, one a row (columns: docs/formats.md)").required();
  line.option("--calibration", calibration_path, "parameters to begin with, a file or a folder (default: examples/calibration)");
  line.option("--out", out, "file to write").required();
  int folds = 5;
  line.option("--folds", folds, "refit without each of so many parts for the errors that intervals rest on (default 5; 0: no intervals)")
      .non_negative();
  line.flag("--json", json, "the errors as one JSON document on stdout");
  if (const std::optional<int> code = line.parse(argc, argv)) return *code;

  const train::Console console = make_console();
  // From the priors, so that a calibration once written gives the same again.
  const plan::Calibration start =
      plan::at_priors(calibration_path.empty() ? plan::shipped_calibration() : plan::read_calibration(calibration_path));
  const auto [csv, rows, sha256] = plan::read_runs(runs_file);
  plan::FitOptions options;
  options.progress = [&](const std::string& said) { console.say(said); };
  plan::Calibration fitted = plan::fit(start, rows, options);
  std::vector<plan::ScoredRun> scored;
  if (folds > 0) scored = plan::cross_validate(start, rows, folds, options);
  if (folds > 0) fitted = plan::with_intervals(std::move(fitted), rows, scored);
  fitted.source = fmt::format("{}, SHA-256 {}", runs_file.filename().string(), sha256);
  files::write_file_atomically(files::Disk(), out, plan::to_toml(fitted));
  plan::Predictor predict(fitted);
  for (const plan::MeasuredRun& row : rows)
    if (folds == 0) scored.push_back(predict(row));
  const std::vector<plan::FamilyScore> families = plan::score(scored);
  if (json)
    std::cout << plan::to_json(families, plan::score_rows(scored, false)).dump(2) << '\n';
  else
    fmt::print("{}{}\n", plan::to_text(families, plan::score_rows(scored, false)), out.string());
  return 0;
}

}  // namespace longhaul::app
