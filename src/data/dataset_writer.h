// data/dataset_writer.h — the writing part of prepare: shards of both splits, texts and manifest, in a directory that is renamed when
// complete.
//
// Everything is written to NAME.partial next to the target under a lock of that directory; commit() syncs and renames it. A partial
// directory that a killed preparation left behind is emptied and used again; one that another process is writing is refused.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/manifest.h"
#include "data/shard.h"
#include "data/tokenizer.h"
#include "files/disk.h"

namespace longhaul::data {

/// NAME.partial, locked; removed again unless committed.
class PartialDirectory {
 public:
  /// @throws Error when it cannot be made, UsageError when another process is preparing the same dataset
  explicit PartialDirectory(std::filesystem::path target);
  ~PartialDirectory();
  PartialDirectory(const PartialDirectory&) = delete;
  PartialDirectory& operator=(const PartialDirectory&) = delete;
  const std::filesystem::path& path() const { return partial_; }
  /// Syncs the directory and its subdirectories, renames it to the target and syncs the parent.
  void commit();

 private:
  std::filesystem::path target_, partial_;
  int descriptor_ = -1;
  bool committed_ = false;
};

/// Shards and, if asked for, the text of one split.
class SplitWriter {
 public:
  /// @param name  "train" or "heldout": the subdirectory and the text file's stem
  SplitWriter(const std::filesystem::path& directory, std::string name, const Tokenizer& tokenizer, const Framing& framing,
              std::int64_t shard_tokens, bool write_text);
  void add(std::string_view text, std::span<const std::int32_t> ids, std::uint32_t source);
  /// Closes the last shard and the text file, and adds both to the manifest's lists.
  void finish(std::vector<ShardRecord>& shards, std::vector<FileRecord>& files);

 private:
  void close_shard();
  std::filesystem::path directory_;
  std::string name_;
  const Tokenizer& tokenizer_;
  Framing framing_;
  std::int64_t shard_tokens_;
  std::optional<ShardBuilder> shard_;
  std::optional<files::FileWriter> text_;
  std::vector<ShardRecord> records_;
};

/// Writes and syncs one file of the dataset.
FileRecord write_file(const std::filesystem::path& directory, const std::string& path, std::string_view contents);

}  // namespace longhaul::data
