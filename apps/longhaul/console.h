// apps/longhaul/console.h — lines for a person, on stderr: lines that stay, and one live line that the next replaces.
//
// On a terminal the live line is redrawn in place; elsewhere (a log file, CI) it is left out, so that logs hold no control characters.
#pragma once

#include "train/console.h"

namespace longhaul::app {

train::Console make_console();

}  // namespace longhaul::app
