// longhaul report: a run's page.
#include <fmt/format.h>

#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>

#include "command_line.h"
#include "files/disk.h"
#include "report/report.h"
#include "run_arguments.h"
#include "verbs.h"

namespace longhaul::app {

int verb_report(int argc, char** argv) {
  CommandLine line(
      "longhaul report",
      "One self-contained HTML page of a run: plan beside measurement, loss and validation, learning rate, gradient norm, time per phase,\n"
      "memory. Made from the run's ledger at any time, also while it trains.\n"
      "Example: longhaul report examples/demo.toml        (writes report.html in the run's directory)");
  RunArguments arguments;
  arguments.add_to(line);
  std::string out;
  line.option("--out", out, "file to write (default: report.html in the run's directory)");
  if (const std::optional<int> code = line.parse(argc, argv)) return *code;

  const std::filesystem::path directory = arguments.resolve().config.run.directory;
  const std::filesystem::path path = out.empty() ? directory / "report.html" : std::filesystem::path(out);
  files::write_file_atomically(files::Disk(), path, report::html(directory));
  if (arguments.json)
    std::cout << nlohmann::json{{"report", path.string()}}.dump(2) << '\n';
  else
    fmt::print("{}\n", path.string());
  return 0;
}

}  // namespace longhaul::app
