// ingest/json_row.h — the text of one JSON object, found by the path of a field.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "ingest/row.h"

namespace longhaul::ingest {

/// The nesting that any JSON input may have (design limit shared with configuration files and manifests).
constexpr std::size_t kMaxJsonDepth = 64;

class JsonRowParser {
 public:
  explicit JsonRowParser(RowOptions options);
  ~JsonRowParser();
  JsonRowParser(const JsonRowParser&) = delete;
  JsonRowParser& operator=(const JsonRowParser&) = delete;

  /// Sets row.text or row.fault from row.raw, which must be valid UTF-8. The text is valid until the next call.
  /// @param padded  whether kPadding readable bytes follow row.raw; else it is copied
  void read(Row& row, bool padded);
  static const std::size_t kPadding;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace longhaul::ingest
