// ingest/json_path.h — one step of a path inside a parsed JSON document.
#pragma once

#include <simdjson.h>

#include <charconv>
#include <string>

namespace longhaul::ingest {

/// Goes from `at` to the first such key of an object, or to that place of a list. False where there is none; `at` is then undefined.
inline bool step_into(simdjson::dom::element& at, const std::string& part) {
  simdjson::dom::object object;
  if (at.get(object) == simdjson::SUCCESS) return object.at_key(part).get(at) == simdjson::SUCCESS;
  simdjson::dom::array list;
  std::size_t place = 0;
  const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), place);
  return error == std::errc() && end == part.data() + part.size() && at.get(list) == simdjson::SUCCESS &&
         list.at(place).get(at) == simdjson::SUCCESS;
}

}  // namespace longhaul::ingest
