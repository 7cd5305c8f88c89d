// config/options.h — the option table: the only list of what a run file may say.
//
// Each option has its table, key, kind, unit, default, range, help and whether it reaches a bit of the result; each is bound to one field
// of RunConfig. Reading, checking, printing, hashing and docs/options.md all walk this table, so they cannot disagree.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "config/option.h"

namespace longhaul::config {

/// All options, in the order of the run file.
std::span<const Option> options();
const Option* find_option(std::string_view table, std::string_view key);
const Option* find_option(std::string_view name);

/// A value as written: TOML's scalar types.
using Value = std::variant<bool, std::int64_t, double, std::string>;

/// Sets the option's field. Returns what is wrong with the value, in words that fit after "table.key = value ", or nothing.
std::optional<std::string> set(const Option& option, RunConfig& config, const Value& value);
/// The field's present value as TOML text; reading it back gives the same field.
std::string to_text(const Option& option, const RunConfig& config);
/// The same without quotes and escapes, as a command line takes it.
std::string plain_text(const Option& option, const RunConfig& config);
/// The same as JSON.
nlohmann::json to_json_value(const Option& option, const RunConfig& config);
/// What may be written: `bf16, fp32`, `integer ≥ 1`, `"N steps", "N tokens" or "never"` …
std::string allowed(const Option& option);

/// A text between quotes, with TOML's escapes.
std::string quoted(std::string_view text);

/// "10 steps", "1M tokens", "5 min" … ; nothing if it is not a cadence.
std::optional<Cadence> parse_cadence(std::string_view text);
std::string to_text(const Cadence& cadence);

/// The table of all options in Markdown: docs/options.md.
std::string options_markdown();
/// The same for programs: docs/json/config.json.
std::string options_json();

/// The option whose name is nearest to "table.key" as written: for error messages.
bool is_table(std::string_view table);
std::string_view nearest_table(std::string_view table);
const Option& nearest_option(std::string_view table, std::string_view key);

}  // namespace longhaul::config
