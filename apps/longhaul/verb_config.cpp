// longhaul config: the resolved run file with each value's origin; or the table of all options.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "command_line.h"
#include "config/options.h"
#include "console.h"
#include "files/examples.h"
#include "run_arguments.h"
#include "verbs.h"

namespace longhaul::app {

int verb_config(int argc, char** argv) {
  CommandLine line("longhaul config",
                   "Prints the resolved run file: every option with its value and where that came from. The output is itself a run file.\n"
                   "Example: longhaul config examples/demo.toml --set batch.micro_batch=2\n"
                   "         longhaul config --model qwen2.5-7b --json");
  RunArguments arguments;
  arguments.add_to(line);
  bool options = false, models = false;
  line.flag("--options", options, "print the table of all options (docs/options.md) instead");
  line.flag("--models", models, "print the names that --model knows instead");
  if (const std::optional<int> code = line.parse(argc, argv)) return *code;

  if (options) {
    fmt::print("{}", arguments.json ? config::options_json() + "\n" : config::options_markdown());
  } else if (models) {
    const std::vector<std::string> names = files::example_names("models");
    if (arguments.json)
      print_json(nlohmann::json{{"models", names}});
    else
      for (const std::string& name : names) fmt::print("{}\n", name);
  } else {
    const config::ResolvedConfig resolved = arguments.resolve();
    fmt::print("{}", arguments.json ? config::to_json(resolved) + "\n" : config::to_toml(resolved, true));
  }
  return 0;
}

}  // namespace longhaul::app
