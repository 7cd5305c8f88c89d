// ingest/row.h — a row of a file of rows (a line of JSON, an element of a JSON array, a record of a table, a sample of an archive): the
// text of one document, or what is wrong with it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace longhaul::ingest {

/// The longest row.
constexpr std::int64_t kMaxRowBytes = std::int64_t{64} << 20;

struct RowFault {
  std::string reason;     ///< a few words, equal for equal faults: "null", "missing field", "cut off" …
  std::string what;       ///< a sentence without the place, with the fix where there is one
  bool expected = false;  ///< as blank rows are: counted, and never a reason to stop
};

struct Row {
  std::string_view text;  ///< of the document, valid until the next row; undefined with a fault
  std::string_view raw;   ///< the row as it stands in the file's text, valid as long
  std::int64_t line = 0;  ///< from 1; of archives and Parquet files: the number of the row
  std::int64_t byte =
      0;  ///< where raw begins in its file (after decompression and conversion); 0 in Parquet files, which have no such place
  std::int64_t replaced = 0;  ///< half surrogate pairs replaced by U+FFFD, where that was asked for
  std::optional<RowFault> fault;
  std::string metadata;  ///< the fields of RowOptions::metadata as a JSON object; empty where none are asked for
};

struct RowOptions {
  std::string text_field = "text";    ///< of an object: a key, or a path of keys and places in lists: "a.b.0"
  bool last_of_repeated = false;      ///< a key that an object has twice counts as its last; else it is a fault
  std::vector<std::string> metadata;  ///< fields to be kept beside the text, named as text_field is
  bool replace_surrogates = false;    ///< half a surrogate pair becomes U+FFFD; else it is a fault
};

/// Hands out the rows of a file, one after another. Between next() and read() the caller sees that row.raw is valid UTF-8, or puts another
/// text in its place.
class RowReader {
 public:
  virtual ~RowReader() = default;
  /// The next row as it stands: raw and the place, and a fault where the file ends in the middle of it. False at the end.
  virtual bool next(Row& row) = 0;
  /// Its text, or what is wrong with it.
  virtual void read(Row& row) = 0;
  /// Bytes of the file on disk that the rows so far came from, where that is not how far its stream is.
  virtual std::optional<std::int64_t> disk_bytes() const { return std::nullopt; }
};

}  // namespace longhaul::ingest
