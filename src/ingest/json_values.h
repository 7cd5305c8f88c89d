// ingest/json_values.h — values inside JSON by their path, and the JSON object that keeps the chosen fields of a row beside its text.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace longhaul::ingest {

/// "a.b.0" as its parts.
std::vector<std::string> split_field_path(std::string_view path);

/// The value at a path of the JSON document `json`, as JSON; "null" where there is none, or no document.
std::string json_value_at(std::string_view json, std::string_view path);

/// `text` as a JSON string; bytes that are no UTF-8 become U+FFFD.
std::string json_string(std::string_view text);

/// {"name": value, …} on one line. @param values  JSON, as many as names
std::string json_object(const std::vector<std::string>& names, const std::vector<std::string>& values);

}  // namespace longhaul::ingest
