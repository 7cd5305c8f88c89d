// config/option.h — one row of the option table (config/options.h) as values: name, type, range, help, and the field that it sets.
#pragma once

#include <cstdint>
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

/// What an option does to the result, and so what may change when a run is resumed (docs/formats.md, "Changes").
enum class Effect : std::uint8_t {
  none,      ///< reaches no bit: not in the config hash, changes freely
  recorded,  ///< in the config hash; a change is a record of the ledger's chain
  result,    ///< in the config hash; changes only in a branch
};

struct Option {
  std::string_view table, key;
  Kind kind;
  std::string_view unit;      ///< "tokens", "sequences", "nats" …; empty for pure numbers
  std::string_view fallback;  ///< default as in a run file, without quotes; empty when `computed` says what it becomes
  std::string_view computed;  ///< how the value is found when none is given
  std::string_view choices;   ///< "a|b|c" for choices; for cadences the kinds of unit allowed
  double least, most;         ///< inclusive range of numbers
  Effect effect;
  std::string_view help;
  Field (*field)(RunConfig&);

  std::string name() const { return std::string(table) + "." + std::string(key); }
};

}  // namespace longhaul::config
