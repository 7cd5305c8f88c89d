// longhaul fit: the cost model's parameters from measured runs, or a scaling law from losses of finished runs.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>

#include "command_line.h"
#include "console.h"
#include "evidence/fit.h"
#include "evidence/interval.h"
#include "evidence/predict.h"
#include "files/disk.h"
#include "files/read.h"
#include "report/page.h"
#include "report/plot.h"
#include "scaling/fit_report.h"
#include "scaling/law_file.h"
#include "units/error.h"
#include "verbs.h"

namespace longhaul::app {
namespace {

struct FitArguments {
  std::filesystem::path table, calibration, out, plot;
  bool json = false, non_embedding = false;
  int folds = 5;
  std::string form = "chinchilla", drop;
  std::int64_t starts = 200, bootstrap = 1000;
  std::uint64_t seed = 1;
};

/// Fewer rows than parameters leave most of these at their priors; fewer than a kind of runs needs give no interval.
void warn_of_few(const cost::Calibration& start, const std::vector<evidence::MeasuredRun>& rows, const train::Console& console) {
  const auto usable = static_cast<std::size_t>(std::count_if(rows.begin(), rows.end(), [](const evidence::MeasuredRun& row) {
    return row.skipped.empty() && (row.comparable_seconds() || row.comparable_memory());
  }));
  const auto free = static_cast<std::size_t>(
      std::count_if(start.parameters.begin(), start.parameters.end(), [](const auto& entry) { return entry.second.spread > 0; }));
  if (usable >= free && usable >= evidence::kFewestRows) return;
  console.say(
      fmt::format("warning: {} usable rows for {} parameters: what no row moves stays at its prior, and kinds of fewer than {} runs get no "
                  "interval; for three to ten runs of your own use `longhaul plan --from-runs`",
                  usable, free, evidence::kFewestRows));
}

void fit_runs(const FitArguments& arguments, const files::Csv& csv, const std::string& text) {
  if (arguments.out.empty()) throw UsageError("--out is required for a table of measured runs: the calibration to write");
  const train::Console console = make_console();
  // From the priors, so that a calibration once written gives the same again.
  const cost::Calibration start =
      evidence::at_priors(arguments.calibration.empty() ? cost::shipped_calibration() : cost::read_calibration(arguments.calibration));
  const std::vector<evidence::MeasuredRun> rows = evidence::read_runs(csv);
  for (const std::string& sentence : evidence::unreadable_rows(rows)) console.say("warning: " + sentence);
  evidence::FitOptions options;
  options.progress = [&](const std::string& said) { console.say(said); };
  cost::Calibration fitted = evidence::fit(start, rows, options);
  warn_of_few(start, rows, console);
  std::vector<evidence::ScoredRun> scored;
  if (arguments.folds > 0) scored = evidence::cross_validate(start, rows, arguments.folds, options);
  if (arguments.folds > 0) fitted = evidence::with_intervals(std::move(fitted), rows, scored);
  fitted.source = fmt::format("{}, SHA-256 {}", arguments.table.filename().string(), files::sha256_hex(text));
  files::write_named_file(arguments.out, to_toml(fitted));
  evidence::Predictor predict(fitted);
  for (const evidence::MeasuredRun& row : rows)
    if (arguments.folds == 0) scored.push_back(predict(row));
  const std::vector<evidence::FamilyScore> families = evidence::score(scored);
  const evidence::Score all = evidence::score_rows(scored, false);
  if (!arguments.json)
    return fmt::print("{}{}{}\n", evidence::to_text(families, all), evidence::skipped_text(scored), arguments.out.string());
  nlohmann::json document = evidence::to_json(families, all);
  document["skipped"] = evidence::skipped_json(scored);
  print_json(document);
}

/// Residuals against what may explain them: a trend is what the form misses.
void write_plot(const std::filesystem::path& path, const scaling::PointsFit& fit) {
  using scaling::Point;
  const std::array<std::pair<const char*, double (*)(const Point&)>, 3> axes{{
      {"tokens per parameter", [](const Point& p) { return p.at.tokens_per_parameter(); }},
      {"parameters", [](const Point& p) { return p.at.parameters; }},
      {"training FLOPs", [](const Point& p) { return p.flops; }},
  }};
  std::string body;
  for (const auto& [label, of] : axes) {
    std::vector<std::pair<double, double>> at;
    for (std::size_t i = 0; i < fit.kept.size(); ++i) at.emplace_back(of(fit.kept[i]), 100 * std::expm1(fit.fitted.residuals[i]));
    std::sort(at.begin(), at.end());
    report::Series series{"fit − measured", {}, {}, true};
    series.joined = false;
    for (const auto& [x, y] : at) series.x.push_back(x), series.y.push_back(y);
    report::Plot plot{fmt::format("loss, fit − measured, against {}", label), label, "percent of loss", {series}};
    plot.log_x = true;
    body += report::to_svg(plot);
  }
  files::write_named_file(path, report::page("Residuals of " + fit.label, body));
}

/// Only what `scale` can read.
void write_law(const std::filesystem::path& path, const scaling::Law& law) {
  const std::string text = scaling::to_toml(law);
  try {
    (void)scaling::parse_law(text, path.string());
  } catch (const UsageError& error) {
    throw DataError(fmt::format("--out {}: not written, the points decide no law that could be used ({}); without --out the fit is printed",
                                path.string(), error.what()));
  }
  files::write_named_file(path, text);
}

void fit_points(const FitArguments& arguments, const files::Csv& csv, const std::string& text) {
  scaling::FitLawOptions options;
  options.form = scaling::parse_form(arguments.form);
  options.starts = static_cast<std::size_t>(arguments.starts), options.bootstrap = static_cast<std::size_t>(arguments.bootstrap);
  options.seed = arguments.seed;
  if (options.bootstrap > 0 && options.bootstrap < scaling::kFewestDraws)
    throw UsageError(fmt::format("--bootstrap {}: fewer than {} refits say nothing of a tenth of them; give more, or 0 for no intervals",
                                 options.bootstrap, scaling::kFewestDraws));
  const train::Console console = make_console();
  options.progress = [&](std::size_t done, std::size_t all) {
    if (done % 50 == 0) console.live(fmt::format("{} of {} starts and refits", done, all));
  };
  auto rule = arguments.drop.empty() ? scaling::OutlierRule{} : scaling::parse_outlier_rule(arguments.drop);
  // A law of one variable has no term in tokens that these points would decide.
  if (arguments.drop.empty() && scaling::of_one_variable(options.form)) rule.share = 0;
  scaling::PointsFit fit =
      scaling::fit_points(scaling::read_points(csv), arguments.table.filename().string(), rule, arguments.drop.empty(), options);
  fit.embeddings = !arguments.non_embedding;
  if (!arguments.out.empty()) write_law(arguments.out, to_law(fit, files::sha256_hex(text)));
  if (!arguments.plot.empty()) write_plot(arguments.plot, fit);
  if (arguments.json)
    print_json(to_json(fit));
  else
    fmt::print("{}", to_text(fit));
}

}  // namespace

int verb_fit(int argc, char** argv) {
  CommandLine line(
      "longhaul fit",
      "Two fits, told apart by the columns of the table.\n"
      "Measured runs (layers, hidden, step_time_s …): the cost model's parameters (examples/calibration: those with a prior and a\n"
      "spread), written as a calibration that names the rows it has seen. Prints how well fits without a fifth of the rows\n"
      "predict that fifth (--folds 0: the rows of the fit itself).\n"
      "Losses (a column loss in nats per token, and two of parameters, tokens, flops): a scaling law with intervals, written as a\n"
      "law that `longhaul scale --law` takes. Seconds for hundreds of points, minutes for tens of thousands.\n"
      "Example: longhaul fit tests/golden/runs.csv --out my-calibration.toml\n"
      "         longhaul validate my-runs.csv --calibration my-calibration.toml\n"
      "         longhaul fit tests/golden/chinchilla_fig4_epoch.csv --out law.toml\n"
      "         longhaul scale --flops 1e21 --law law.toml");
  FitArguments arguments;
  line.option("TABLE.csv", arguments.table, "measured runs or losses, one a row (columns: docs/formats.md)").required();
  line.option("--out", arguments.out, "file to write: the calibration (required for runs), or the law").not_empty();
  line.flag("--json", arguments.json, "the errors, or the law with its residuals, as one JSON document on stdout");
  line.option("--calibration", arguments.calibration, "runs: parameters to begin with, a file or a folder (default: examples/calibration)");
  line.option("--folds", arguments.folds,
              "runs: refit without each of so many parts for the errors that intervals rest on (default 5; 0: no intervals)")
      .non_negative();
  line.option("--form", arguments.form, "losses: chinchilla (default), kaplan, power-flops, power-parameters, power-tokens");
  line.option("--drop-lowest-tokens-per-parameter", arguments.drop,
              "losses: points to leave out, a number or a share (default 2%, and the fit of all is shown beside)")
      .not_empty();
  line.option("--bootstrap", arguments.bootstrap, "losses: refits to resampled points, 20 or more (default 1000; 0: no intervals)")
      .between(0, 10'000);
  line.option("--seed", arguments.seed, "losses: of the resampling (default 1)");
  line.option("--starts", arguments.starts, "losses: descents, from the best of Hoffmann's grid (default 200; 4500: from all of it)")
      .between(1, 4500);
  line.flag("--non-embedding", arguments.non_embedding, "losses: the parameters of the table count no embeddings");
  line.option("--plot", arguments.plot, "losses: residuals as a page, FILE.html").not_empty();
  if (const std::optional<int> code = line.parse(argc, argv)) return *code;

  const std::string text = files::read_input(arguments.table, evidence::kMaxRunsBytes);
  const files::Csv csv = files::Csv::parse(text, arguments.table.string());
  if (scaling::kind_of(csv) == scaling::TableKind::points)
    fit_points(arguments, csv, text);
  else
    fit_runs(arguments, csv, text);
  return 0;
}

}  // namespace longhaul::app
