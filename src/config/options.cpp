#include "config/options.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "config/option_rows.h"
#include "units/format.h"
#include "units/nearest.h"

namespace longhaul::config {

namespace {

/// Element types as run files name them.
constexpr std::string_view kBf16 = "bf16", kFp32 = "fp32";

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (std::size_t end; (end = text.find(separator)) != std::string_view::npos; text.remove_prefix(end + 1))
    parts.push_back(text.substr(0, end));
  parts.push_back(text);
  return parts;
}

template <class Part>
std::string joined(const std::vector<Part>& parts, std::string_view separator) {
  return fmt::format("{}", fmt::join(parts, separator));
}

/// The shortest digits that read back to the same double, marked as a real number.
std::string number_text(double value) {
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  char buffer[32];
  std::string text(buffer, std::to_chars(buffer, buffer + sizeof buffer, value).ptr);
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  // "3e-04" is written 3e-4.
  if (const std::size_t e = text.find('e'); e != std::string::npos && text[e + 2] == '0') text.erase(e + 2, 1);
  return text;
}

std::optional<std::string> problem(const Option& option, std::string_view what) {
  return std::string(what) + "; allowed: " + allowed(option);
}

bool in_range(const Option& option, double value) { return value >= option.least && value <= option.most; }

std::optional<std::string> set_integer(const Option& option, std::int64_t& field, const Value& value) {
  std::optional<std::int64_t> number;
  if (const auto* integer = std::get_if<std::int64_t>(&value)) number = *integer;
  // Budgets of tokens are large: "100M" and 1e8 are friendlier than nine digits.
  if (option.unit == "tokens") {
    if (const auto* text = std::get_if<std::string>(&value)) number = parse_count(*text);
    const auto* real = std::get_if<double>(&value);
    if (real && *real == std::floor(*real) && std::abs(*real) < kLargest) number = static_cast<std::int64_t>(*real);
  }
  if (!number) return problem(option, "is not an integer");
  if (!in_range(option, static_cast<double>(*number))) return problem(option, "is out of range");
  field = *number;
  return std::nullopt;
}

std::optional<std::string> set_real(const Option& option, double& field, const Value& value) {
  const auto* real = std::get_if<double>(&value);
  const auto* integer = std::get_if<std::int64_t>(&value);
  if (!real && !integer) return problem(option, "is not a number");
  const double number = real ? *real : static_cast<double>(*integer);
  if (!in_range(option, number)) return problem(option, "is out of range");  // also NaN
  field = number;
  return std::nullopt;
}

std::optional<std::string> set_integers(const Option& option, std::vector<std::int64_t>& field, const Value& value) {
  const auto* text = std::get_if<std::string>(&value);
  if (!text) return problem(option, "is not a text");
  std::vector<std::int64_t> numbers;
  for (const std::string_view part : text->empty() ? std::vector<std::string_view>{} : split(*text, '+')) {
    const auto number = parse_count(part);
    if (!number) return problem(option, "is not a list of whole numbers");
    if (!in_range(option, static_cast<double>(*number))) return problem(option, "is out of range");
    numbers.push_back(*number);
  }
  field = std::move(numbers);
  return std::nullopt;
}

std::optional<std::string> set_cadence(const Option& option, Cadence& field, const Value& value) {
  const auto* text = std::get_if<std::string>(&value);
  const auto cadence = text ? parse_cadence(*text) : std::nullopt;
  if (!cadence) return problem(option, text ? "is not a number with a unit" : "has no unit");
  if (cadence->kind == Cadence::Kind::seconds && option.choices.find("time") == std::string_view::npos) {
    return problem(option, "is a time, which would reach the result (another machine is faster)");
  }
  field = *cadence;
  return std::nullopt;
}

}  // namespace

std::string quoted(std::string_view text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      result += {'\\', c};
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      constexpr std::string_view kHex = "0123456789ABCDEF";
      result += {'\\', 'u', '0', '0', kHex[static_cast<unsigned char>(c) >> 4], kHex[c & 15]};
    } else {
      result += c;
    }
  }
  return result + "\"";
}

std::span<const Option> options() {
  static const std::vector<Option> kAll = [] {
    std::vector<Option> all;
    for (const auto rows : {run_options(), model_options(), training_options(), watching_options()}) {
      all.insert(all.end(), rows.begin(), rows.end());
    }
    return all;
  }();
  return kAll;
}

const Option* find_option(std::string_view table, std::string_view key) {
  const auto all = options();
  const auto found = std::find_if(all.begin(), all.end(), [&](const Option& o) { return o.table == table && o.key == key; });
  return found == all.end() ? nullptr : &*found;
}

const Option* find_option(std::string_view name) {
  const std::size_t dot = name.find('.');
  return dot == std::string_view::npos ? nullptr : find_option(name.substr(0, dot), name.substr(dot + 1));
}

std::optional<std::string> set(const Option& option, RunConfig& config, const Value& value) {
  const Field field = option.field(config);
  if (auto* integer = std::get_if<std::int64_t*>(&field)) return set_integer(option, **integer, value);
  if (auto* real = std::get_if<double*>(&field)) return set_real(option, **real, value);
  if (auto* cadence = std::get_if<Cadence*>(&field)) return set_cadence(option, **cadence, value);
  if (auto* integers = std::get_if<std::vector<std::int64_t>*>(&field)) return set_integers(option, **integers, value);
  if (auto* boolean = std::get_if<bool*>(&field)) {
    if (!std::holds_alternative<bool>(value)) return problem(option, "is not a boolean");
    **boolean = std::get<bool>(value);
    return std::nullopt;
  }
  const auto* text = std::get_if<std::string>(&value);
  if (!text) return problem(option, "is not a text");
  if (option.kind == Kind::choice) {
    const auto names = split(option.choices, '|');
    const auto found = std::find(names.begin(), names.end(), *text);
    if (found == names.end()) {
      return problem(option, "is unknown").value() + "; nearest: " + std::string(nearest(*text, names));
    }
    if (auto* byte = std::get_if<std::uint8_t*>(&field)) **byte = static_cast<std::uint8_t>(found - names.begin());
    if (auto* type = std::get_if<ElementType*>(&field)) **type = *text == kFp32 ? ElementType::f32 : ElementType::bf16;
  }
  if (text->find('\0') != std::string::npos) return problem(option, "holds a zero byte");
  if (auto* string = std::get_if<std::string*>(&field)) **string = *text;
  return std::nullopt;
}

std::string plain_text(const Option& option, const RunConfig& config) {
  // The accessor hands out a mutable field; it is only read here.
  const Field field = option.field(const_cast<RunConfig&>(config));
  if (auto* boolean = std::get_if<bool*>(&field)) return **boolean ? "true" : "false";
  if (auto* integer = std::get_if<std::int64_t*>(&field)) return std::to_string(**integer);
  if (auto* real = std::get_if<double*>(&field)) return number_text(**real);
  if (auto* text = std::get_if<std::string*>(&field)) return **text;
  if (auto* byte = std::get_if<std::uint8_t*>(&field)) return std::string(split(option.choices, '|').at(**byte));
  if (auto* type = std::get_if<ElementType*>(&field)) return std::string(**type == ElementType::f32 ? kFp32 : kBf16);
  if (auto* cadence = std::get_if<Cadence*>(&field)) return to_text(**cadence);
  return joined(**std::get_if<std::vector<std::int64_t>*>(&field), "+");
}

std::string to_text(const Option& option, const RunConfig& config) {
  const std::string text = plain_text(option, config);
  const bool bare = option.kind == Kind::boolean || option.kind == Kind::integer || option.kind == Kind::real;
  return bare ? text : config::quoted(text);
}

std::string allowed(const Option& option) {
  switch (option.kind) {
    case Kind::boolean:
      return "true or false";
    case Kind::text:
      return "text";
    case Kind::path:
      return "a path";
    case Kind::choice:
      return joined(split(option.choices, '|'), ", ");
    case Kind::cadence: {
      std::string text = "\"N steps\", \"N tokens\" (N with k, M, B, T)";
      if (option.choices.find("time") != std::string_view::npos) text += ", \"N s\", \"N min\", \"N h\"";
      return text + " or \"never\"";
    }
    case Kind::integers:
      return "whole numbers joined by +, like \"27+27+26\"";
    case Kind::integer:
    case Kind::real:
      break;
  }
  std::string text = option.kind == Kind::integer ? "integer" : "number";
  const auto bound = [&](double value) {
    return option.kind == Kind::integer ? std::to_string(static_cast<std::int64_t>(value)) : number_text(value);
  };
  text += option.least == kTiny ? " > 0" : " ≥ " + bound(option.least);
  if (option.most == kBelowOne) return text + " and < 1";
  return option.most >= kLargest ? text : text + " and ≤ " + bound(option.most);
}

bool is_table(std::string_view table) {
  const auto all = options();
  return std::any_of(all.begin(), all.end(), [&](const Option& o) { return o.table == table; });
}

std::string_view nearest_table(std::string_view table) {
  const auto all = options();
  const auto nearer = [&](const Option& a, const Option& b) { return edit_distance(table, a.table) < edit_distance(table, b.table); };
  return std::min_element(all.begin(), all.end(), nearer)->table;
}

const Option& nearest_option(std::string_view table, std::string_view key) {
  // "lenght" means sequence_length: a word of the key stands for it. A right key in the wrong table is nearer than any misspelling, but
  // a name of another table that is written quite differently is not what was meant.
  constexpr std::size_t kElsewhere = 1000;
  const auto wrong = [&](const Option& o) {
    std::size_t least = edit_distance(key, o.key);
    for (const std::string_view word : split(o.key, '_')) least = std::min(least, 1 + edit_distance(key, word));
    return least;
  };
  const auto distance = [&](const Option& o) {
    const std::size_t letters = wrong(o);
    if (o.table == table) return 2 * letters;
    return 2 * letters + 1 + edit_distance(table, o.table) / 4 + (3 * letters > key.size() ? kElsewhere : 0);
  };
  const auto all = options();
  return *std::min_element(all.begin(), all.end(), [&](const Option& a, const Option& b) { return distance(a) < distance(b); });
}

namespace {

std::string bits(Effect effect) { return effect == Effect::result ? "yes" : effect == Effect::recorded ? "recorded" : ""; }

}  // namespace

std::string options_markdown() {
  std::string text =
      "# Options of a run file\n\n"
      "Written by `longhaul config --options`; a test keeps this page equal to the program's table. Every option can also be given as\n"
      "`--set table.key=value`. *Bits*: `yes`, the option reaches a bit of the result and is part of the config hash; another value needs "
      "a\n"
      "branch (`train --branch-from`). `recorded`: likewise, but it may change when a run is resumed, as a record of its ledger. The "
      "others\n"
      "change freely.\n";
  std::string_view table;
  for (const Option& option : options()) {
    if (option.table != table) {
      table = option.table;
      text += "\n## [" + std::string(table) + "]\n\n| key | default | unit | allowed | bits | meaning |\n|---|---|---|---|---|---|\n";
    }
    const std::string fallback =
        option.fallback.empty() ? "*" + std::string(option.computed) + "*" : "`" + std::string(option.fallback) + "`";
    text += "| `" + std::string(option.key) + "` | " + fallback + " | " + std::string(option.unit) + " | " + allowed(option) + " | " +
            bits(option.effect) + " | " + std::string(option.help) + " |\n";
  }
  return text;
}

}  // namespace longhaul::config
