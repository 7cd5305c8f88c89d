// longhaul plan: the account of a run before it starts.
#include <fmt/format.h>

#include <iostream>
#include <nlohmann/json.hpp>

#include "command_line.h"
#include "machine.h"
#include "run_arguments.h"
#include "verbs.h"

namespace longhaul::app {

int verb_plan(int argc, char** argv) {
  CommandLine line("longhaul plan",
                   "Parameters, FLOPs, memory by line, tokens and time of a run on one rank, before it starts.\n"
                   "Example: longhaul plan examples/demo.toml\n"
                   "         longhaul plan --model gpt2-124m --set batch.micro_batch=4 --json");
  RunArguments arguments;
  arguments.add_to(line);
  std::string profile;
  line.option("--profile", profile, "rates of the machine, as `longhaul calibrate --out` wrote them (default: measured now, about 1 s)");
  if (const std::optional<int> code = line.parse(argc, argv)) return *code;

  const config::RunConfig config = arguments.resolve().config;
  const std::optional<std::string> only_countable = model::trainable(config.model);
  if (only_countable) fmt::print(stderr, "parameters and work only: {}\n", *only_countable);
  const plan::Account account =
      only_countable ? plan::count(config) : account_of(config, profile.empty() ? measure(config) : cluster::read_profile(profile));
  if (arguments.json)
    std::cout << plan::to_json(account).dump(2) << '\n';
  else
    fmt::print("{}", plan::to_text(account, config));
  return 0;
}

}  // namespace longhaul::app
