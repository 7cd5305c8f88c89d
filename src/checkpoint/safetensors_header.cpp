// The header of a safetensors file: decoded by events, so that what does not fit the schema ends the parse at once and memory stays in
// proportion to the tensors that were accepted.
#include <algorithm>
#include <array>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>
#include <tuple>
#include <utility>

#include "checkpoint/safetensors.h"

namespace longhaul::checkpoint {
namespace {

using nlohmann::json;

/// A name from the file, fit to print: escaped, and cut where it is absurd.
std::string shown(const std::string& name) {
  constexpr std::size_t kMostShown = 120;
  const std::string text = json(name).dump(-1, ' ', true, json::error_handler_t::replace);
  return text.size() <= kMostShown ? text : text.substr(0, kMostShown) + "…\"";
}

/// Receives the parser's events and accepts exactly the schema:
/// {"name": {"dtype": string, "shape": [unsigned…], "data_offsets": [unsigned, unsigned]}…, "__metadata__": {string: string…}}.
class HeaderEvents {
 public:
  HeaderEvents(Header& header, const std::string& what) : header_(header), what_(what) {}

  bool start_object(std::size_t) {
    if (place_ == Place::before) {
      place_ = Place::root;
    } else if (place_ == Place::entry) {
      if (key_ == "__metadata__") {
        if (std::exchange(has_metadata_, true)) fail("the key \"__metadata__\" appears twice");
        place_ = Place::metadata;
      } else {
        place_ = Place::tensor;
        tensor_ = {};
        tensor_.name = key_;
        seen_ = {};
      }
    } else {
      unexpected("an object");
    }
    return true;
  }

  bool key(std::string& name) {
    if (place_ == Place::root) {
      key_ = std::move(name);
      place_ = Place::entry;
    } else if (place_ == Place::metadata) {
      key_ = std::move(name);
      place_ = Place::metadata_value;
    } else if (place_ == Place::tensor) {
      const auto field = std::ranges::find(kFields, name);
      if (field == kFields.end()) fail("tensor " + shown(tensor_.name) + ": unknown field " + shown(name));
      field_ = static_cast<std::size_t>(field - kFields.begin());
      if (std::exchange(seen_[field_], true)) fail("tensor " + shown(tensor_.name) + ": the field \"" + name + "\" appears twice");
      place_ = Place::field;
    }
    return true;
  }

  bool string(std::string& value) {
    if (place_ == Place::metadata_value) {
      if (!header_.metadata.emplace(key_, std::move(value)).second) fail("__metadata__: the key " + shown(key_) + " appears twice");
      place_ = Place::metadata;
    } else if (place_ == Place::field && field_ == kDTypeField) {
      const std::optional<ElementType> dtype = element_type(value);
      if (!dtype) fail("tensor " + shown(tensor_.name) + ": unknown dtype " + shown(value));
      tensor_.dtype = *dtype;
      place_ = Place::tensor;
    } else {
      unexpected("a string");
    }
    return true;
  }

  bool start_array(std::size_t) {
    if (place_ != Place::field || field_ == kDTypeField) unexpected("an array");
    place_ = Place::numbers;
    offsets_ = 0;
    return true;
  }

  bool number_unsigned(std::uint64_t value) {
    if (place_ != Place::numbers) unexpected("a number");
    if (field_ == kShapeField) {
      if (value > static_cast<std::uint64_t>(INT64_MAX)) fail("tensor " + shown(tensor_.name) + ": impossible extent in its shape");
      constexpr std::size_t kMostDimensions = 64;  // frameworks stop at 8 … 64; a longer list is an attack on memory
      if (tensor_.shape.size() == kMostDimensions) fail("tensor " + shown(tensor_.name) + ": more than 64 dimensions");
      tensor_.shape.push_back(static_cast<std::int64_t>(value));
    } else {
      if (offsets_ == 2) fail("tensor " + shown(tensor_.name) + ": data_offsets has more than two numbers");
      (offsets_++ == 0 ? tensor_.begin : tensor_.end) = value;
    }
    return true;
  }

  bool end_array() {
    if (field_ == kOffsetsField && offsets_ != 2) fail("tensor " + shown(tensor_.name) + ": data_offsets must be [begin, end]");
    place_ = Place::tensor;
    return true;
  }

  bool end_object() {
    if (place_ == Place::tensor) {
      for (std::size_t i = 0; i < kFields.size(); ++i) {
        if (!seen_[i]) fail("tensor " + shown(tensor_.name) + ": the field \"" + std::string(kFields[i]) + "\" is missing");
      }
      header_.tensors.push_back(std::move(tensor_));
    }
    place_ = place_ == Place::root ? Place::after : Place::root;
    return true;
  }

  bool null() { return unexpected("null"); }
  bool boolean(bool) { return unexpected("a boolean"); }
  bool number_integer(std::int64_t) { return unexpected("a negative number"); }
  bool number_float(double, const std::string&) { return unexpected("a fraction"); }
  bool binary(json::binary_t&) { return unexpected("binary data"); }
  bool parse_error(std::size_t, const std::string&, const json::exception& error) {
    constexpr std::size_t kMostShown = 300;  // the message quotes the last token, which may be long
    fail("the header is not valid JSON: " + std::string(error.what()).substr(0, kMostShown));
  }

 private:
  enum class Place { before, root, entry, tensor, field, numbers, metadata, metadata_value, after };
  static constexpr std::array<std::string_view, 3> kFields = {"dtype", "shape", "data_offsets"};
  static constexpr std::size_t kDTypeField = 0, kShapeField = 1, kOffsetsField = 2;

  [[noreturn]] void fail(const std::string& problem) const { throw CheckpointError(what_ + ": " + problem); }
  [[noreturn]] bool unexpected(const std::string& found) const {
    switch (place_) {
      case Place::before:
        fail("the header must be an object, found " + found);
      case Place::entry:
        fail("tensor " + shown(key_) + ": expected an object, found " + found);
      case Place::metadata_value:
        fail("__metadata__ " + shown(key_) + ": expected a string, found " + found);
      default:
        fail("tensor " + shown(tensor_.name) + ": " + std::string(kFields[field_]) + " cannot be " + found);
    }
  }

  Header& header_;
  const std::string& what_;
  Place place_ = Place::before;
  std::string key_;
  TensorInfo tensor_;
  std::array<bool, 3> seen_{};
  std::size_t field_ = 0;
  int offsets_ = 0;
  bool has_metadata_ = false;
};

/// Sizes without overflow, offsets that tile the data exactly, names that appear once.
void check_layout(Header& header, std::uint64_t data_bytes, const std::string& what) {
  for (const TensorInfo& tensor : header.tensors) {
    std::uint64_t bytes = static_cast<std::uint64_t>(size_of(tensor.dtype));
    for (const std::int64_t extent : tensor.shape) {
      if (__builtin_mul_overflow(bytes, static_cast<std::uint64_t>(extent), &bytes)) {
        throw CheckpointError(what + ": tensor " + shown(tensor.name) + ": its shape has more bytes than 64 bits can count");
      }
    }
    if (tensor.end < tensor.begin || tensor.end - tensor.begin != bytes) {
      throw CheckpointError(what + ": tensor " + shown(tensor.name) + ": data_offsets [" + std::to_string(tensor.begin) + ", " +
                            std::to_string(tensor.end) + "] do not hold the " + std::to_string(bytes) + " bytes of its shape");
    }
  }
  std::ranges::sort(header.tensors, {}, [](const TensorInfo& tensor) { return std::tie(tensor.begin, tensor.end, tensor.name); });
  std::uint64_t at = 0;
  for (const TensorInfo& tensor : header.tensors) {
    if (tensor.begin != at) {
      throw CheckpointError(what + ": tensor " + shown(tensor.name) + (tensor.begin > at ? " leaves a hole" : " overlaps another one") +
                            " before byte " + std::to_string(tensor.begin) + " of the data");
    }
    at = tensor.end;
  }
  if (at != data_bytes) {
    throw CheckpointError(what + ": the tensors need " + std::to_string(at) + " bytes of data, the file has " + std::to_string(data_bytes) +
                          (data_bytes < at ? " (truncated?)" : ""));
  }
  std::vector<const std::string*> names;
  for (const TensorInfo& tensor : header.tensors) names.push_back(&tensor.name);
  const auto value = [](const std::string* name) -> const std::string& { return *name; };
  std::ranges::sort(names, {}, value);
  const auto repeated = std::ranges::adjacent_find(names, {}, value);
  if (repeated != names.end()) throw CheckpointError(what + ": the tensor " + shown(**repeated) + " appears twice");
}

}  // namespace

Header parse_header(std::span<const std::byte> file, const std::string& what) {
  std::uint64_t length = 0;
  if (file.size() < sizeof length) throw CheckpointError(what + ": shorter than the 8 bytes a safetensors file starts with");
  std::memcpy(&length, file.data(), sizeof length);
  if (length > kMaxHeaderBytes) {
    throw CheckpointError(what + ": claims a header of " + std::to_string(length) + " bytes; at most 100 MB are allowed");
  }
  if (length > file.size() - sizeof length) throw CheckpointError(what + ": its header is longer than the file (truncated?)");
  const auto text = file.subspan(sizeof length, static_cast<std::size_t>(length));
  if (text.empty() || text.front() != std::byte{'{'}) throw CheckpointError(what + ": its header does not start with '{'");

  Header header;
  HeaderEvents events(header, what);
  const auto* characters = reinterpret_cast<const char*>(text.data());
  json::sax_parse(characters, characters + text.size(), &events);
  header.data_start = sizeof length + length;
  check_layout(header, file.size() - header.data_start, what);
  return header;
}

}  // namespace longhaul::checkpoint
