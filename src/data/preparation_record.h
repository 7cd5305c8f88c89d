// data/preparation_record.h — what a preparation has finished so far, so that one that was killed goes on instead of beginning again.
//
// progress.jsonl in the partial directory: the recipe, then a line for the vocabulary when it is trained and one for each shard when it
// is on disk. A later preparation of the same recipe verifies by hash what the lines name, removes everything else, and makes the rest.
// It reads the text from its beginning, which is cheap, but encodes only documents that are in no finished shard; so the bytes are those
// of a preparation that was never stopped. The recipe has the size and the time of modification of each source file in place of its hash,
// which is not known before the file was read.
#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "data/manifest.h"
#include "files/disk.h"
#include "tokenizer/tokenizer.h"

namespace longhaul::data {

class PreparationRecord {
 public:
  static constexpr const char* kFileName = "progress.jsonl";

  /// Takes over what an earlier preparation of the same recipe left in `directory`, or empties it.
  PreparationRecord(std::filesystem::path directory, const std::string& recipe);

  /// The vocabulary that was trained already.
  std::optional<tokenizer::Tokenizer> vocabulary() const;
  const std::optional<FileRecord>& vocabulary_file() const { return vocabulary_; }
  /// Its file is written and synced.
  void add_vocabulary(const FileRecord& file);
  /// Finished shards of a split, in order.
  const std::vector<ShardRecord>& shards(const std::string& split) const { return shards_.at(split); }
  void add_shard(const std::string& split, const ShardRecord& shard);

  /// The dataset is complete and has its name: the record is of no use any more.
  static void remove_from(const std::filesystem::path& dataset);

 private:
  void read(const std::string& recipe);
  bool read_line(const std::string& line);
  void remove_everything_else() const;
  void append(const std::string& line);

  std::filesystem::path directory_;
  std::optional<FileRecord> vocabulary_;
  std::map<std::string, std::vector<ShardRecord>> shards_ = {{"train", {}}, {"heldout", {}}};
  std::optional<files::AppendFile> file_;
};

}  // namespace longhaul::data
