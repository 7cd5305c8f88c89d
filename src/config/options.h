// config/options.h — the option table: the only list of what a run file may say.
//
// Each option has its table, key, kind, unit, default, range, help and whether it reaches a bit of the result; each is bound to one field
// of RunConfig. Reading, checking, printing, hashing and docs/options.md all walk this table, so they cannot disagree.
#pragma once

#include <cstdint>
#include <limits>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "config/run_config.h"

namespace longhaul::config {

/// The field an option sets. A choice is an enum of one byte whose value is the index in Option::choices, or an element type by the name
/// it has in run files.
using Field = std::variant<bool*, std::int64_t*, double*, std::string*, std::uint8_t*, ElementType*, Cadence*, std::vector<std::int64_t>*>;

/// `integers` is a text of whole numbers joined by +, like "27+27+26".
enum class Kind : std::uint8_t { boolean, integer, real, text, path, choice, cadence, integers };

struct Option {
  std::string_view table, key;
  Kind kind;
  std::string_view unit;      ///< "tokens", "sequences", "nats" …; empty for pure numbers
  std::string_view fallback;  ///< default as in a run file, without quotes; empty when `computed` says what it becomes
  std::string_view computed;  ///< how the value is found when none is given
  std::string_view choices;   ///< "a|b|c" for choices; for cadences the kinds of unit allowed
  double least, most;         ///< inclusive range of numbers
  bool reaches_bits;          ///< part of the config hash
  std::string_view help;
  Field (*field)(RunConfig&);

  std::string name() const { return std::string(table) + "." + std::string(key); }
};

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
