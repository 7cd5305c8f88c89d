// apps/longhaul/console.h — lines for a person, on stderr: lines that stay, and one live line that the next replaces.
//
// On a terminal the live line is redrawn in place; elsewhere (a log file, CI) it is left out, so that logs hold no control characters.
#pragma once

#include <string>

#include "train/console.h"

namespace longhaul::app {

/// One line on stderr; a stderr that cannot be written is no error.
void complain(const std::string& line);
/// Also lets the program outlive whoever read its output (SIGPIPE is ignored).
train::Console make_console();

}  // namespace longhaul::app
