#include "config/toml_reader.h"

// Header-only, because the nesting limit is compiled in and the packaged library has a larger one.
#define TOML_HEADER_ONLY 1
#define TOML_ENABLE_FORMATTERS 0
#define TOML_MAX_NESTED_VALUES 64
// The parser's own assertions can be reached by malformed text (an invalid UTF-8 byte inside a key): an error here, not an abort.
#define TOML_ASSERT(condition) ::longhaul::config::parser_requires(static_cast<bool>(condition))
#include <stdexcept>
namespace longhaul::config {
constexpr void parser_requires(bool condition) {
  if (!condition) throw std::logic_error("malformed TOML");
}
}  // namespace longhaul::config
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wshadow"
#include <toml++/toml.h>
#pragma GCC diagnostic pop

#include <charconv>

#include "units/error.h"

namespace longhaul::config {

namespace {

constexpr std::size_t kMaxBytes = 16u << 20;
constexpr int kMaxDotsPerLine = 32;

[[noreturn]] void fail(const std::string& label, std::size_t line, const std::string& what) {
  throw UsageError(label + ":" + std::to_string(line) + ": " + what);
}

void check_limits(std::string_view text, const std::string& label) {
  if (text.size() > kMaxBytes) throw UsageError(label + ": larger than 16 MiB, which no run file is");
  std::size_t line = 1;
  int dots = 0;
  char last = '\n';
  for (const char c : text) {
    // Names are never empty, so neighbouring dots are decoration or text, not nesting.
    if (c == '.' && last != '.' && ++dots > kMaxDotsPerLine)
      fail(label, line, "more than 32 dots on a line: a run file has table.key = value");
    if (c == '\n') ++line, dots = 0;
    last = c;
  }
}

std::string type_of(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::table:
      return "a table";
    case toml::node_type::array:
      return "an array";
    default:
      return "a date or time";
  }
}

std::optional<Value> scalar(const toml::node& node) {
  if (const auto* boolean = node.as_boolean()) return Value(boolean->get());
  if (const auto* integer = node.as_integer()) return Value(integer->get());
  if (const auto* real = node.as_floating_point()) return Value(real->get());
  if (const auto* text = node.as_string()) return Value(text->get());
  return std::nullopt;
}

toml::table parse(std::string_view text, const std::string& label) {
  try {
    return toml::parse(text, std::string_view(label));
  } catch (const toml::parse_error& error) {
    fail(label, error.source().begin.line, std::string(error.description()));
  } catch (const std::logic_error&) {
    fail(label, 1, "not TOML: is every byte of it UTF-8?");
  }
}

}  // namespace

std::vector<Entry> read_toml(std::string_view text, const std::string& label) {
  check_limits(text, label);
  const toml::table document = parse(text, label);
  std::vector<Entry> entries;
  for (const auto& [table_name, table_node] : document) {
    const toml::table* table = table_node.as_table();
    if (!table) {
      fail(label, table_node.source().begin.line,
           "'" + std::string(table_name.str()) + "' stands outside a table; nearest: " + nearest_option("", table_name.str()).name());
    }
    if (!is_table(table_name.str())) {
      fail(label, table_node.source().begin.line,
           "unknown table [" + std::string(table_name.str()) + "]; nearest: [" + std::string(nearest_table(table_name.str())) + "]");
    }
    for (const auto& [key, node] : *table) {
      const std::string name = std::string(table_name.str()) + "." + std::string(key.str());
      const std::size_t line = node.source().begin.line;
      const auto value = scalar(node);
      if (!value) fail(label, line, name + " is " + type_of(node) + "; allowed are numbers, texts, true and false");
      entries.push_back({std::string(table_name.str()), std::string(key.str()), *value, label + ":" + std::to_string(line)});
    }
  }
  return entries;
}

Entry read_override(const std::string& text) {
  const std::size_t equals = text.find('='), dot = text.find('.');
  if (equals == std::string::npos || dot == std::string::npos || dot > equals || dot == 0 || equals == dot + 1) {
    throw UsageError("--set " + text + ": write --set table.key=value");
  }
  Entry entry{text.substr(0, dot), text.substr(dot + 1, equals - dot - 1), Value(text.substr(equals + 1)), "--set"};
  const std::string& written = std::get<std::string>(entry.value);
  // A value that is no TOML scalar is a bare string: paths and names need no quotes on a command line.
  if (written.size() > kMaxBytes || written.find_first_of("\r\n") != std::string::npos) return entry;
  try {
    check_limits(written, "--set");
    const toml::table document = toml::parse("value = " + written);
    if (const auto value = document.size() == 1 ? scalar(*document.get("value")) : std::nullopt) entry.value = *value;
  } catch (const toml::parse_error&) {
  } catch (const UsageError&) {
  }
  return entry;
}

std::string display(const Value& value) {
  if (const auto* boolean = std::get_if<bool>(&value)) return *boolean ? "true" : "false";
  if (const auto* integer = std::get_if<std::int64_t>(&value)) return std::to_string(*integer);
  if (const auto* real = std::get_if<double>(&value)) {
    char buffer[32];
    return std::string(buffer, std::to_chars(buffer, buffer + sizeof buffer, *real).ptr);
  }
  // Long texts are cut: the message is for a person.
  const std::string& text = std::get<std::string>(value);
  constexpr std::size_t kShown = 80;
  return quoted(text.size() > kShown ? text.substr(0, kShown) + "…" : text);
}

}  // namespace longhaul::config
