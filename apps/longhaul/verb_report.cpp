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
  CommandLine line("longhaul report",
                   "Plan beside measurement, line by line, and one self-contained HTML page of a run: the same lines, loss and validation, "
                   "learning rate,\n"
                   "gradient norm, time per phase, memory. Made from the run's ledger at any time, also while it trains.\n"
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
  if (arguments.json)
    print_json(nlohmann::json{{"report", path.string()}, {"comparison", report::to_json(report.comparison)}});
  else
    fmt::print("{}{}\n", report::to_text(report.comparison), path.string());
  return 0;
}

}  // namespace longhaul::app
