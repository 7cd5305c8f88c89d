#include "ingest/json_row.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <charconv>
#include <vector>

#include "ingest/json_fault.h"
#include "ingest/json_path.h"
#include "ingest/json_values.h"
#include "units/error.h"

namespace longhaul::ingest {

namespace {

namespace dom = simdjson::dom;

std::string keys_of(const dom::object& object) {
  std::string keys;
  int count = 0;
  for (const auto field : object) {
    if (++count > 8) return keys + ", …";
    keys += fmt::format("{}\"{}\"", keys.empty() ? "" : ", ", field.key);
  }
  return keys.empty() ? "no fields at all" : keys;
}

/// "a number (5)", "a list" …
std::string kind_of_value(const dom::element& value) {
  switch (value.type()) {
    case dom::element_type::ARRAY:
      return "a list";
    case dom::element_type::OBJECT:
      return "an object";
    case dom::element_type::BOOL:
      return "true or false";
    case dom::element_type::INT64:
    case dom::element_type::UINT64:
    case dom::element_type::DOUBLE:
      return fmt::format("a number ({})", simdjson::minify(value));
    case dom::element_type::STRING:
      return "a text";
    case dom::element_type::NULL_VALUE:
      return "null";
  }
  return "another value";
}

}  // namespace

const std::size_t JsonRowParser::kPadding = simdjson::SIMDJSON_PADDING;

class JsonRowParser::Impl {
 public:
  explicit Impl(RowOptions options) : options_(std::move(options)), path_(split_field_path(options_.text_field)) {
    for (const std::string& field : options_.metadata) metadata_.push_back(split_field_path(field));
  }

  void read(Row& row, bool padded) {
    row.fault.reset();
    row.replaced = 0;
    dom::element document;
    if (parse(row.raw, padded, document)) return read_document(document, row);
    JsonFault found = find_json_fault(row.raw);
    if (found.reason == kLoneSurrogate && options_.replace_surrogates) {
      repaired_ = replace_lone_surrogates(row.raw);
      row.replaced = count_changes(row.raw, repaired_);
      if (parse(repaired_, false, document)) return read_document(document, row);
      found = find_json_fault(repaired_);
    }
    row.fault =
        RowFault{std::move(found.reason), fmt::format("{} (byte {})", found.what, row.byte + static_cast<std::int64_t>(found.offset))};
  }

 private:
  /// Escapes (of six characters) that were replaced.
  static std::int64_t count_changes(std::string_view before, std::string_view after) {
    std::int64_t changes = 0;
    for (std::size_t i = 0; i < before.size(); ++i)
      if (before[i] != after[i]) {
        ++changes;
        i += 5;
      }
    return changes;
  }

  bool parse(std::string_view text, bool padded, dom::element& document) {
    if (text.size() > parser_.capacity() &&
        parser_.allocate(std::max(text.size(), std::size_t{1} << 16), kMaxJsonDepth) != simdjson::SUCCESS)
      throw Error(fmt::format("no memory to parse a row of {} bytes", text.size()));
    return parser_.parse(text.data(), text.size(), !padded).get(document) == simdjson::SUCCESS;
  }

  void read_document(const dom::element& document, Row& row) {
    if (!metadata_.empty()) row.metadata = metadata_of(document);
    dom::element at = document;
    dom::object object;
    if (document.get(object) != simdjson::SUCCESS) {
      row.fault = RowFault{"not an object", fmt::format("the row is {}, not an object with the text in its field \"{}\"",
                                                        kind_of_value(document), options_.text_field)};
      return;
    }
    // A key that has dots itself comes before the path.
    dom::element whole;
    if (path_.size() > 1 && object.at_key(options_.text_field).get(whole) == simdjson::SUCCESS) return take(whole, row);
    for (const std::string& part : path_)
      if (!step(at, part, row)) return;
    take(at, row);
  }

  /// The chosen fields, null where there is none.
  std::string metadata_of(const dom::element& document) const {
    std::vector<std::string> values;
    for (const std::vector<std::string>& path : metadata_) {
      dom::element at = document;
      bool found = true;
      for (const std::string& part : path) found = found && step_into(at, part);
      values.push_back(found ? std::string(simdjson::minify(at)) : "null");
    }
    return json_object(options_.metadata, values);
  }

  /// One part of the path: a key of an object or a place in a list. False with a fault.
  bool step(dom::element& at, const std::string& part, Row& row) {
    dom::array list;
    std::size_t place = 0;
    if (at.get(list) == simdjson::SUCCESS) {
      const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), place);
      if (error == std::errc() && end == part.data() + part.size() && list.at(place).get(at) == simdjson::SUCCESS) return true;
      row.fault = RowFault{"missing field", fmt::format("no place {} (of \"{}\") in a list of {}", part, options_.text_field, list.size())};
      return false;
    }
    dom::object object;
    if (at.get(object) != simdjson::SUCCESS) {
      row.fault = RowFault{"missing field", fmt::format("no field \"{}\" (of \"{}\") in {}", part, options_.text_field, kind_of_value(at))};
      return false;
    }
    int found = 0;
    for (const auto field : object)
      if (field.key == part && (++found == 1 || options_.last_of_repeated)) at = field.value;
    if (found == 0) {
      row.fault = RowFault{"missing field", fmt::format("no field \"{}\"; the row has {}; name the right one with --text-field",
                                                        options_.text_field, keys_of(object))};
      return false;
    }
    if (found > 1 && !options_.last_of_repeated) {
      row.fault = RowFault{"repeated field",
                           fmt::format("the field \"{}\" is there {} times; --repeated-keys last takes the last one", part, found)};
      return false;
    }
    return true;
  }

  void take(const dom::element& value, Row& row) {
    if (value.get(row.text) == simdjson::SUCCESS) return;
    if (value.is_null())
      row.fault = RowFault{"null", fmt::format("the field \"{}\" is null", options_.text_field)};
    else
      row.fault = RowFault{"not a text", fmt::format("the field \"{}\" is {}, not a text", options_.text_field, kind_of_value(value))};
  }

  RowOptions options_;
  std::vector<std::string> path_;
  std::vector<std::vector<std::string>> metadata_;  // their paths
  dom::parser parser_;
  std::string repaired_;
};

JsonRowParser::JsonRowParser(RowOptions options) : impl_(std::make_unique<Impl>(std::move(options))) {}
JsonRowParser::~JsonRowParser() = default;
void JsonRowParser::read(Row& row, bool padded) { impl_->read(row, padded); }

}  // namespace longhaul::ingest
