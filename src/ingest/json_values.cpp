#include "ingest/json_values.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "ingest/json_path.h"

namespace longhaul::ingest {

std::vector<std::string> split_field_path(std::string_view path) {
  std::vector<std::string> parts;
  for (std::size_t begin = 0; begin <= path.size();) {
    const std::size_t dot = std::min(path.find('.', begin), path.size());
    parts.emplace_back(path.substr(begin, dot - begin));
    begin = dot + 1;
  }
  return parts;
}

std::string json_value_at(std::string_view json, std::string_view path) {
  simdjson::dom::parser parser;
  simdjson::dom::element at;
  if (parser.parse(json.data(), json.size()).get(at) != simdjson::SUCCESS) return "null";
  for (const std::string& part : split_field_path(path))
    if (!step_into(at, part)) return "null";
  return simdjson::minify(at);
}

std::string json_string(std::string_view text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string json_object(const std::vector<std::string>& names, const std::vector<std::string>& values) {
  std::string text;
  for (std::size_t i = 0; i < names.size(); ++i) text += fmt::format("{}{}:{}", i == 0 ? "{" : ",", json_string(names[i]), values[i]);
  return text + "}";
}

}  // namespace longhaul::ingest
