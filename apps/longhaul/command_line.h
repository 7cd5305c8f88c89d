// apps/longhaul/command_line.h — parses a verb's arguments: help to stdout and exit 0, mistakes to stderr and exit 2.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>

#include "units/error.h"

namespace longhaul::app {

/// @return the code to exit with when nothing is left to do (help was printed, or the arguments are wrong)
inline std::optional<int> parse(CLI::App& app, int argc, char** argv) {
  try {
    app.parse(argc, argv);
    return std::nullopt;
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : static_cast<int>(ExitCode::usage);
  }
}

}  // namespace longhaul::app
