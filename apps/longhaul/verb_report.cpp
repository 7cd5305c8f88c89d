// longhaul report: a run's page.
#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "command_line.h"
#include "console.h"
#include "files/disk.h"
#include "report/report.h"
#include "run_arguments.h"
#include "verbs.h"

namespace longhaul::app {

int verb_report(int argc, char** argv) {
  CommandLine line(
      "longhaul report",
      "Plan compared with measurement, line by line, and one self-contained HTML page of a run: loss and held-out loss, the "
      "same lines,\n"
      "learning rate, gradient norm, time per phase, memory. Made from the run's ledger and its plan at any time, also while it "
      "trains.\n"
      "Example: longhaul report examples/demo.toml        (writes report.html in the run's directory)");
  RunArguments arguments;
  arguments.add_to(line);
  std::string out;
  line.option("--out", out, "file to write (default: report.html in the run's directory)");
  if (const std::optional<int> code = line.parse(argc, argv)) return *code;

  const std::filesystem::path directory = arguments.resolve().config.run.directory;
  const std::filesystem::path path = out.empty() ? directory / "report.html" : std::filesystem::path(out);
  const report::Report report = report::make_report(directory);
  files::write_named_file(path, report.html);
  const report::PlanDocument& plan = report.plan;
  if (arguments.json)
    print_json(nlohmann::json{{"report", path.string()},
                              {"plan", {{"file", plan.file}, {"rates", plan.rates ? nlohmann::json(*plan.rates) : nlohmann::json()}}},
                              {"comparison", report::to_json(report.comparison)}});
  else
    fmt::print("{}planned: {}\n{}\n", report::to_text(report.comparison), plan.basis(), path.string());
  return 0;
}

}  // namespace longhaul::app
