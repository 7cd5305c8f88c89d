#include "data/preparation_record.h"

#include <fmt/format.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "data/dataset_writer.h"
#include "files/read.h"
#include "units/error.h"

namespace longhaul::data {

namespace fs = std::filesystem;

namespace {

constexpr const char* kVocabularyFile = "tokenizer.json";
constexpr std::uint64_t kMaxRecordBytes = std::uint64_t{1} << 30;

std::string recipe_line(const std::string& recipe) { return nlohmann::ordered_json{{"recipe", recipe}}.dump() + "\n"; }

std::string vocabulary_line(const FileRecord& file) {
  return nlohmann::ordered_json{{"vocabulary", file.path}, {"bytes", file.bytes}, {"sha256", file.sha256}}.dump() + "\n";
}

std::string shard_line(const std::string& split, const ShardRecord& shard) {
  return nlohmann::ordered_json{{"split", split},
                                {"path", shard.path},
                                {"documents", shard.counts.documents},
                                {"text_bytes", shard.counts.bytes},
                                {"tokens", shard.counts.tokens},
                                {"bytes", shard.file_bytes},
                                {"sha256", shard.sha256}}
             .dump() +
         "\n";
}

/// Whether the file is there as it was written.
bool intact(const fs::path& path, std::int64_t bytes, const std::string& sha256) {
  std::error_code error;
  if (!fs::is_regular_file(path, error) || static_cast<std::int64_t>(fs::file_size(path, error)) != bytes) return false;
  return files::digest_file(path).sha256 == sha256;
}

}  // namespace

PreparationRecord::PreparationRecord(fs::path directory, const std::string& recipe) : directory_(std::move(directory)) {
  read(recipe);
  remove_everything_else();
  std::string text = recipe_line(recipe);
  if (vocabulary_) text += vocabulary_line(*vocabulary_);
  for (const auto& [split, shards] : shards_)
    for (const ShardRecord& shard : shards) text += shard_line(split, shard);
  const files::Disk disk;
  files::write_file_atomically(disk, directory_ / kFileName, text);
  file_.emplace(disk, directory_ / kFileName);
}

/// Lines up to the first that is torn, or names a file that is not as it was.
void PreparationRecord::read(const std::string& recipe) {
  std::error_code error;
  if (!fs::is_regular_file(directory_ / kFileName, error)) return;
  const std::string text = files::read_file(directory_ / kFileName, kMaxRecordBytes);
  bool first = true;
  for (std::size_t begin = 0, end = 0; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1) {
    const std::string line = text.substr(begin, end + 1 - begin);
    if (first ? line != recipe_line(recipe) : !read_line(line)) return;
    first = false;
  }
}

bool PreparationRecord::read_line(const std::string& line) {
  try {
    const auto json = nlohmann::json::parse(line);
    const auto path = json.at(json.contains("split") ? "path" : "vocabulary").get<std::string>();
    const auto bytes = json.at("bytes").get<std::int64_t>();
    const auto sha256 = json.at("sha256").get<std::string>();
    if (!json.contains("split")) {
      if (path != kVocabularyFile || !intact(directory_ / path, bytes, sha256)) return false;
      vocabulary_ = {path, bytes, sha256};
      return true;
    }
    const auto split = json.at("split").get<std::string>();
    std::vector<ShardRecord>& shards = shards_.at(split);
    if (path != SplitWriter::shard_path(split, shards.size()) || !intact(directory_ / path, bytes, sha256)) return false;
    shards.push_back({path, {json.at("documents"), json.at("text_bytes"), json.at("tokens")}, bytes, sha256});
    return true;
  } catch (const std::exception&) {  // torn or damaged: what is behind it is made again
    return false;
  }
}

void PreparationRecord::remove_everything_else() const {
  std::set<fs::path> kept;
  if (vocabulary_) kept.insert(directory_ / vocabulary_->path);
  for (const auto& [split, shards] : shards_) {
    if (!shards.empty()) kept.insert(directory_ / split);
    for (const ShardRecord& shard : shards) kept.insert(directory_ / shard.path);
  }
  std::vector<fs::path> others;
  for (const auto& entry : fs::directory_iterator(directory_)) {
    if (!kept.contains(entry.path())) others.push_back(entry.path());
    if (kept.contains(entry.path()) && entry.is_directory())
      for (const auto& inner : fs::directory_iterator(entry.path()))
        if (!kept.contains(inner.path())) others.push_back(inner.path());
  }
  for (const fs::path& path : others) fs::remove_all(path);
}

std::optional<tokenizer::Tokenizer> PreparationRecord::vocabulary() const {
  if (!vocabulary_) return std::nullopt;
  return tokenizer::Tokenizer::load(directory_ / vocabulary_->path);
}

void PreparationRecord::add_vocabulary(const FileRecord& file) {
  vocabulary_ = file;
  append(vocabulary_line(file));
}

void PreparationRecord::add_shard(const std::string& split, const ShardRecord& shard) { append(shard_line(split, shard)); }

void PreparationRecord::append(const std::string& line) {
  file_->append(line);
  file_->sync();
}

void PreparationRecord::remove_from(const fs::path& dataset) {
  std::error_code ignored;
  fs::remove(dataset / kFileName, ignored);
}

}  // namespace longhaul::data
