// apps/longhaul/console.h — lines for a person, on stderr: lines that stay, and one live line that the next replaces; documents for a
// program, on stdout.
//
// On a terminal the live line is redrawn in place. Elsewhere (a log file, CI) it is a plain line, without control characters, and printed
// only where the work it tells of takes long: 2, 4, 8 … seconds after that began, whether or not another one has come meanwhile.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "train/console.h"

namespace longhaul::app {

/// One line on stderr; a stderr that cannot be written is no error.
void complain(const std::string& line);
/// Also lets the program outlive whoever read its output (SIGPIPE is ignored).
train::Console make_console();

/// The document of `--json`, whose keys docs/json describes. Bytes that are no UTF-8, as file names may have, become U+FFFD.
/// @param indent spaces a level; -1: all on one line
void print_json(const nlohmann::json& document, int indent = 2);
void print_json(const nlohmann::ordered_json& document, int indent = 2);
/// What was printed has reached stdout. Says so on stderr where it has not: half a document must not look like one.
bool everything_printed();

}  // namespace longhaul::app
