// ingest/formats/tar_rows.h — WebDataset archives: each sample is a row. A sample is the members that follow one another with the same
// name up to the first dot of its last part; what is behind that dot is the name of a field ("0001.txt", "0001.json", "0001.seg.png").
//
// The text of a sample is the member whose field RowOptions::text_field names; "text" also names .txt. "json.a.b" is a value in the member
// .json, and so is "a.b" where no member has that name. Members that no field can mean are passed over without being held. Nothing is
// extracted: links and names that lead out of the archive ("../x", "/x") are bad rows all the same, because whoever made them wants
// something else than text.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ingest/formats/byte_stream.h"
#include "ingest/formats/tar_members.h"
#include "ingest/json_row.h"
#include "ingest/row.h"

namespace longhaul::ingest {

class TarRows final : public RowReader {
 public:
  /// @param archive  decompressed
  TarRows(std::unique_ptr<ByteStream> archive, RowOptions options) : members_(std::move(archive)), options_(std::move(options)) {}

  /// The next sample. Row::line counts samples; Row::byte is where its text begins in the archive, or its first member where it has none.
  bool next(Row& row) override;
  void read(Row& row) override;

 private:
  /// A member that a field can mean.
  struct Field {
    std::string name;  // of the field, in lower case
    std::string data;
    std::int64_t byte = 0;
    bool too_long = false;
  };
  struct Sample {
    std::string key;
    std::vector<std::string> names;  // of the fields that there are, the first few
    std::vector<Field> fields;
    std::string repeated;  // a field that is there twice
  };
  /// Where the text or a value of the metadata is: all of a field (path empty), or a value in it.
  struct Place {
    const Field* field = nullptr;
    std::string path;
  };

  bool look_ahead();
  bool end(Row& row);
  bool gather();
  bool is_wanted(const std::string& field) const;
  const Field* field_named(std::string_view name) const;
  Place find(const std::string& field) const;
  void choose_text(Row& row);
  std::string metadata();

  TarMembers members_;
  RowOptions options_;
  TarMember member_;  // ahead: met, and not yet part of a sample
  TarMembers::State state_ = TarMembers::State::member;
  bool ahead_ = false, finished_ = false;
  std::int64_t number_ = 0;
  Sample sample_;
  Place text_;
  std::unique_ptr<JsonRowParser> parser_;  // of values at parser_path_
  std::string parser_path_;
};

}  // namespace longhaul::ingest
