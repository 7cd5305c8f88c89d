// longhaul validate: predictions beside measured runs.
#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>

#include "command_line.h"
#include "console.h"
#include "evidence/fit.h"
#include "evidence/predict.h"
#include "evidence/score.h"
#include "units/error.h"
#include "units/format.h"
#include "verbs.h"

namespace longhaul::app {
namespace {

nlohmann::json row_json(const evidence::ScoredRun& run) {
  const auto figure = [](const auto& value) { return value ? nlohmann::json(*value) : nlohmann::json(nullptr); };
  return {{"id", run.id},
          {"family", run.family},
          {"seen", run.seen},
          {"skipped", run.skipped},
          {"step_seconds", {{"predicted", figure(run.seconds)}, {"measured", figure(run.measured_seconds)}}},
          {"memory_bytes", {{"predicted", figure(run.memory)}, {"measured", figure(run.measured_memory)}}},
          {"fits", {{"predicted", figure(run.fits)}, {"measured", figure(run.measured_fits)}}}};
}

/// "hidden=2048", "num_gpus>=128": rows that a fit must not see. Throws UsageError naming the columns there are.
std::function<bool(const evidence::MeasuredRun&)> condition(const std::string& text, const files::Csv& csv) {
  const std::size_t at = text.find('=');
  const bool at_least = at != std::string::npos && at > 0 && text[at - 1] == '>';
  const std::string column = text.substr(0, at == std::string::npos ? at : at - at_least);
  if (at == std::string::npos || at + 1 == text.size())
    throw UsageError(fmt::format("--leave-out {}: write COLUMN=VALUE or COLUMN>=NUMBER", text));
  csv.require({column});
  const std::string value = text.substr(at + 1);
  if (!at_least) return [=, &csv](const evidence::MeasuredRun& run) { return csv.text(run.row, column) == value; };
  const auto least = parse_count(value);
  if (!least) throw UsageError(fmt::format("--leave-out {}: {} is not a number", text, value));
  return [=, &csv](const evidence::MeasuredRun& run) {
    if (!run.unreadable.empty()) return false;  // it can be the cell that is compared
    return csv.number(run.row, column).value_or(0) >= static_cast<double>(*least);
  };
}

/// All conditions at once: "family=sc21" and "family=korthikanti" leave both out, "family=playbook" with "num_gpus>=128" their meeting.
std::vector<evidence::ScoredRun> unseen(const cost::Calibration& calibration, const std::vector<evidence::MeasuredRun>& rows,
                                        const files::Csv& csv, const std::vector<std::string>& left_out, int folds) {
  const train::Console console = make_console();
  evidence::FitOptions options;
  options.progress = [&](const std::string& said) { console.live(said); };
  if (folds > 0) return evidence::cross_validate(calibration, rows, folds, options);
  std::map<std::string, std::vector<std::function<bool(const evidence::MeasuredRun&)>>> by_column;
  for (const std::string& text : left_out) by_column[text.substr(0, text.find_first_of(">="))].push_back(condition(text, csv));
  return evidence::leave_out(
      calibration, rows,
      [&](const evidence::MeasuredRun& run) {
        return std::all_of(by_column.begin(), by_column.end(), [&](const auto& entry) {
          return std::any_of(entry.second.begin(), entry.second.end(), [&](const auto& meets) { return meets(run); });
        });
      },
      options);
}

}  // namespace

int verb_validate(int argc, char** argv) {
  CommandLine line("longhaul validate",
                   "Predicts every row of a table of measured runs and sets the figures beside the measured ones: per family bias, median, "
                   "mean,\n90th percentile and worst absolute error in percent, of step time and peak memory; precision, recall and F1 of "
                   "\"fits\".\nRows that a fit has seen are scored apart. Columns of the table: docs/formats.md. No measurement of a row "
                   "reaches its prediction.\n"
                   "Example: longhaul validate runs.csv\n"
                   "         longhaul validate runs.csv --folds 5\n"
                   "         longhaul validate runs.csv --leave-out family=playbook --leave-out 'num_gpus>=128'\n"
                   "         longhaul validate runs.csv --calibration my-calibration.toml --rows --json > score.json");
  std::filesystem::path runs_file, calibration_path;
  bool json = false, rows = false, strict = false;
  line.option("RUNS.csv", runs_file, "measured runs, one a row").required();
  line.option("--calibration", calibration_path, "parameters, a file or a folder of them (default: examples/calibration)");
  std::vector<std::string> left_out;
  int folds = 0;
  line.option("--folds", folds, "refit without each fold (by SHA-256 of the id) and score that fold's rows: nothing scored was seen")
      .between(2, 100);
  line.option("--leave-out", left_out, "COLUMN=VALUE or COLUMN>=NUMBER: refit without these rows and score them alone; may be repeated")
      .one_value_each_time();
  line.flag("--strict", strict, "a row that cannot be read is an error; without, it is skipped and named");
  line.flag("--rows", rows, "each row too, in the JSON");
  line.flag("--json", json, "one JSON document on stdout");
  if (const std::optional<int> code = line.parse(argc, argv)) return *code;

  if (folds > 0 && !left_out.empty()) throw UsageError("give --folds or --leave-out, not both: each says which rows a fit must not see");
  const cost::Calibration calibration = calibration_path.empty() ? cost::shipped_calibration() : cost::read_calibration(calibration_path);
  const evidence::RunsTable table = evidence::read_runs(runs_file, strict ? evidence::Unreadable::refuse : evidence::Unreadable::skip);
  for (const std::string& sentence : evidence::unreadable_rows(table.rows)) fmt::print(stderr, "warning: {}\n", sentence);
  for (const std::string& sentence : evidence::repeated_ids(table.rows)) fmt::print(stderr, "warning: {}\n", sentence);
  std::vector<evidence::ScoredRun> scored;
  if (folds > 0 || !left_out.empty()) {
    scored = unseen(calibration, table.rows, table.csv, left_out, folds);
    if (scored.empty()) throw UsageError(fmt::format("--leave-out: no row of {} matches", runs_file.string()));
  } else {
    evidence::Predictor predict(calibration);
    for (const evidence::MeasuredRun& run : table.rows) scored.push_back(predict(run));
  }
  const std::vector<evidence::FamilyScore> families = evidence::score(scored);
  if (!json) return fmt::print("{}{}", evidence::to_text(families, evidence::score_rows(scored, false)), evidence::skipped_text(scored)), 0;
  nlohmann::json out = evidence::to_json(families, evidence::score_rows(scored, false));
  out["skipped"] = evidence::skipped_json(scored);
  if (rows)
    for (const evidence::ScoredRun& run : scored) out["rows"].push_back(row_json(run));
  print_json(out);
  return 0;
}

}  // namespace longhaul::app
