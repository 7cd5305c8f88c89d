// data/dataset_writer.h — the writing part of prepare: shards of both splits, texts and manifest, in a directory that is renamed when
// complete.
//
// Everything is written to NAME.partial next to the target under a lock of that directory; commit() syncs and renames it. What a killed
// preparation left behind in it is taken over or removed (data/preparation_record.h); one that another process is writing is refused.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/manifest.h"
#include "data/shard.h"
#include "files/disk.h"
#include "tokenizer/tokenizer.h"

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
  /// @param name      "train" or "heldout": the subdirectory and the text file's stem
  /// @param finished  shards of an earlier call, which are there and intact
  /// @param on_shard  called when another shard is on disk
  SplitWriter(const std::filesystem::path& directory, std::string name, const tokenizer::Tokenizer& tokenizer,
              const tokenizer::Framing& framing, std::int64_t shard_tokens, bool write_text, std::vector<ShardRecord> finished,
              std::function<void(const ShardRecord&)> on_shard);
  /// If the next text is in a finished shard, passes over it. @return its stored tokens; nothing: it is to be encoded and added
  /// @throws DataError when the shard holds another text there
  std::optional<std::int64_t> pass_over(std::string_view text, std::uint32_t source);
  void add(std::string_view text, std::span<const std::int32_t> ids, std::uint32_t source);
  static std::string shard_path(std::string_view name, std::size_t number);
  /// Closes the last shard and the text file, and adds both to the manifest's lists.
  void finish(std::vector<ShardRecord>& shards, std::vector<FileRecord>& files);

 private:
  void close_shard();
  std::filesystem::path directory_;
  std::string name_;
  const tokenizer::Tokenizer& tokenizer_;
  tokenizer::Framing framing_;
  std::int64_t shard_tokens_;
  std::optional<ShardBuilder> shard_;
  std::optional<files::FileWriter> text_;
  std::vector<ShardRecord> records_;
  std::function<void(const ShardRecord&)> on_shard_;
  struct {
    std::size_t shard = 0;
    std::int64_t document = 0;
    std::shared_ptr<const Shard> view;
  } passed_;  // of the finished shards
  std::size_t finished_;
};

/// Writes and syncs one file of the dataset.
FileRecord write_file(const std::filesystem::path& directory, const std::string& path, std::string_view contents);

}  // namespace longhaul::data
