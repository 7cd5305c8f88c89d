// config/toml_reader.h — a run file as a flat list of entries; private to this room.
//
// Run files are two levels deep (table, key) with scalar values; anything else is an error with its line.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "config/options.h"

namespace longhaul::config {

struct Entry {
  std::string table, key;
  Value value;
  std::string origin;  ///< "file:line" or "--set"
};

/// Throws UsageError that starts with "label:line:".
std::vector<Entry> read_toml(std::string_view text, const std::string& label);
/// "table.key=value"; the value is TOML or a bare string.
Entry read_override(const std::string& text);
/// A value as it was written, for messages.
std::string display(const Value& value);

}  // namespace longhaul::config
