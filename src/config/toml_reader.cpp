#include "config/toml_reader.h"

#include <charconv>

#include "files/toml.h"
#include "units/error.h"

namespace longhaul::config {

namespace {

[[noreturn]] void fail(const std::string& label, std::size_t line, const std::string& what) {
  throw UsageError(label + ":" + std::to_string(line) + ": " + what);
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

}  // namespace

std::vector<Entry> read_toml(std::string_view text, const std::string& label) {
  const toml::table document = files::parse_toml(text, label);
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
  if (written.find_first_of("\r\n") != std::string::npos) return entry;
  try {
    const toml::table document = files::parse_toml("value = " + written, "--set");
    if (const auto value = document.size() == 1 ? scalar(*document.get("value")) : std::nullopt) entry.value = *value;
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
  return config::quoted(text.size() > kShown ? text.substr(0, kShown) + "…" : text);
}

}  // namespace longhaul::config
