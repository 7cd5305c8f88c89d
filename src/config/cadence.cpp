// Cadences: reading, printing, and whether one is due.
#include <array>
#include <cctype>
#include <utility>

#include "config/options.h"
#include "units/format.h"

namespace longhaul::config {

namespace {

struct Unit {
  std::string_view name;
  Cadence::Kind kind;
  std::int64_t factor;
};
constexpr std::array kUnits = {Unit{"steps", Cadence::Kind::steps, 1},      Unit{"step", Cadence::Kind::steps, 1},
                               Unit{"tokens", Cadence::Kind::tokens, 1},    Unit{"token", Cadence::Kind::tokens, 1},
                               Unit{"seconds", Cadence::Kind::seconds, 1},  Unit{"s", Cadence::Kind::seconds, 1},
                               Unit{"minutes", Cadence::Kind::seconds, 60}, Unit{"min", Cadence::Kind::seconds, 60},
                               Unit{"hours", Cadence::Kind::seconds, 3600}, Unit{"h", Cadence::Kind::seconds, 3600}};
// A century in seconds, and more steps or tokens than any run has: sums of counters and amounts stay inside 64 bits.
constexpr std::int64_t kLongest = 1'000'000'000'000'000'000;

std::string counted(std::int64_t amount, std::string_view unit) {
  return std::to_string(amount) + " " + std::string(unit) + (amount == 1 ? "" : "s");
}

}  // namespace

bool passes(const Cadence& cadence, std::int64_t before, std::int64_t after) {
  return cadence.kind != Cadence::Kind::never && after / cadence.amount > before / cadence.amount;
}

std::optional<Cadence> parse_cadence(std::string_view text) {
  if (text == "never") return Cadence{};
  for (const Unit& unit : kUnits) {
    if (!text.ends_with(unit.name)) continue;
    const auto amount = parse_count(text.substr(0, text.size() - unit.name.size()));
    if (!amount || *amount < 1 || *amount > kLongest / unit.factor) continue;
    return Cadence{unit.kind, *amount * unit.factor};
  }
  return std::nullopt;
}

std::string to_text(const Cadence& cadence) {
  switch (cadence.kind) {
    case Cadence::Kind::never:
      return "never";
    case Cadence::Kind::steps:
      return counted(cadence.amount, "step");
    case Cadence::Kind::tokens:
      return counted(cadence.amount, "token");
    case Cadence::Kind::seconds:
      break;
  }
  if (cadence.amount % 3600 == 0) return std::to_string(cadence.amount / 3600) + " h";
  if (cadence.amount % 60 == 0) return std::to_string(cadence.amount / 60) + " min";
  return std::to_string(cadence.amount) + " s";
}

}  // namespace longhaul::config
