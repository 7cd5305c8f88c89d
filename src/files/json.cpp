// The limits on JSON input and the canonical form of JSON output, declared in files/read.h.
#include <bit>
#include <charconv>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>
#include <vector>

#include "files/read.h"

namespace longhaul::files {
namespace {

using nlohmann::json;

void append_string(std::string& out, const std::string& text) {
  // nlohmann's escaping is the shortest; bytes that are no UTF-8 (a file name in a message) become U+FFFD rather than an error while
  // logging.
  out += json(text).dump(-1, ' ', false, json::error_handler_t::replace);
}

void append_double(std::string& out, double value) {
  if (std::isnan(value)) {
    out += "\"nan\"";
    return;
  }
  if (std::isinf(value)) {
    out += value > 0 ? "\"inf\"" : "\"-inf\"";
    return;
  }
  char buffer[32];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value).ptr;
  const std::string_view text(buffer, static_cast<std::size_t>(end - buffer));
  out += text;
  if (text.find_first_of(".e") == std::string_view::npos) out += ".0";
}

void append_value(std::string& out, const json& value) {
  switch (value.type()) {
    case json::value_t::object: {
      out += '{';
      bool first = true;
      for (const auto& [key, item] : value.items()) {  // json's object is a std::map: keys are sorted by byte
        if (!std::exchange(first, false)) out += ',';
        append_string(out, key);
        out += ':';
        append_value(out, item);
      }
      out += '}';
      return;
    }
    case json::value_t::array: {
      out += '[';
      bool first = true;
      for (const json& item : value) {
        if (!std::exchange(first, false)) out += ',';
        append_value(out, item);
      }
      out += ']';
      return;
    }
    case json::value_t::string:
      return append_string(out, value.get_ref<const std::string&>());
    case json::value_t::number_float:
      return append_double(out, value.get<double>());
    default:
      out += value.dump();  // null, booleans, integers
  }
}

}  // namespace

json parse_json(std::string_view text, const std::string& what) {
  if (text.size() > kMaxDocumentBytes) throw Error(what + ": larger than 16 MiB, the most a JSON document may have");
  std::vector<std::set<std::string>> keys;  // of the objects that are open
  const auto check = [&](int depth, json::parse_event_t event, json& value) {
    // The root's own events have depth 0.
    const bool opens = event == json::parse_event_t::object_start || event == json::parse_event_t::array_start;
    if (opens && depth >= kMaxDocumentDepth) throw Error(what + ": nested deeper than 64 levels");
    if (event == json::parse_event_t::object_start) keys.emplace_back();
    if (event == json::parse_event_t::object_end) keys.pop_back();
    if (event == json::parse_event_t::key && !keys.back().insert(value.get_ref<const std::string&>()).second) {
      throw Error(what + ": the key \"" + value.get<std::string>() + "\" appears twice in one object");
    }
    return true;
  };
  try {
    return json::parse(text.begin(), text.end(), check);
  } catch (const json::exception& error) {
    constexpr std::size_t kMostShown = 300;      // the message quotes the last token, which may be long
    const std::string_view said = error.what();  // "[json.exception.parse_error.101] parse error at line 1, column 39: …"
    const std::size_t tag = said.find("] ");
    throw Error(what + ": not valid JSON: " + std::string(said.substr(tag == said.npos ? 0 : tag + 2).substr(0, kMostShown)));
  }
}

std::string canonical_json(const json& value) {
  std::string out;
  append_value(out, value);
  return out;
}

double json_double(const json& value) {
  if (value.is_number()) return value.get<double>();
  if (value == "nan") return std::numeric_limits<double>::quiet_NaN();
  if (value == "inf") return std::numeric_limits<double>::infinity();
  if (value == "-inf") return -std::numeric_limits<double>::infinity();
  throw Error("expected a number, \"nan\", \"inf\" or \"-inf\", found " + value.dump(-1, ' ', false, json::error_handler_t::replace));
}

std::string double_bits(double value) {
  char buffer[16];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, std::bit_cast<std::uint64_t>(value), 16).ptr;
  const std::string digits(buffer, end);
  return std::string(16 - digits.size(), '0') + digits;
}

double double_from_bits(std::string_view hex) {
  std::uint64_t bits = 0;
  const auto [end, error] = std::from_chars(hex.data(), hex.data() + hex.size(), bits, 16);
  if (hex.size() != 16 || error != std::errc() || end != hex.data() + hex.size()) {
    throw Error("\"" + std::string(hex) + "\" is not 16 hexadecimal digits, the bits of a double");
  }
  return std::bit_cast<double>(bits);
}

}  // namespace longhaul::files
