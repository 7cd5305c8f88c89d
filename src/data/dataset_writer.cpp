#include "data/dataset_writer.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "units/error.h"

namespace longhaul::data {

namespace fs = std::filesystem;

namespace {

/// Opens and locks `directory`; -1 when it was renamed away between the two (its owner has just committed).
int lock_directory(const fs::path& directory) {
  const int descriptor = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) {
    if (errno == ENOENT) return -1;
    throw Error(fmt::format("{}: cannot open the directory: {}", directory.string(), std::strerror(errno)));
  }
  if (::flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
    ::close(descriptor);
    throw UsageError(
        fmt::format("{}: another process is preparing this dataset; wait for it, or choose another --out", directory.string()));
  }
  struct stat opened {
  }, named{};
  if (::fstat(descriptor, &opened) == 0 && ::stat(directory.c_str(), &named) == 0 && opened.st_ino == named.st_ino &&
      opened.st_dev == named.st_dev)
    return descriptor;
  ::close(descriptor);
  return -1;
}

}  // namespace

PartialDirectory::PartialDirectory(fs::path target) : target_(std::move(target)) {
  if (!target_.has_filename()) target_ = target_.parent_path();  // "data/" means "data"
  partial_ = target_;
  partial_ += ".partial";
  std::error_code error;
  while (descriptor_ < 0) {
    fs::create_directories(partial_, error);
    if (error) throw Error(fmt::format("{}: cannot create the directory: {}", partial_.string(), error.message()));
    descriptor_ = lock_directory(partial_);
  }
}

PartialDirectory::~PartialDirectory() {
  std::error_code ignored;
  if (!committed_) fs::remove_all(partial_, ignored);
  ::close(descriptor_);
}

void PartialDirectory::commit() {
  const files::Disk disk;
  for (const auto& entry : fs::recursive_directory_iterator(partial_))
    if (entry.is_directory()) disk.sync_directory(entry.path());
  disk.sync_directory(partial_);
  if (::rename(partial_.c_str(), target_.c_str()) != 0)
    throw Error(fmt::format("{}: cannot give the finished dataset its name: {}; remove what is there or choose another --out",
                            target_.string(), std::strerror(errno)));
  committed_ = true;
  const fs::path parent = target_.parent_path();
  disk.sync_directory(parent.empty() ? fs::path(".") : parent);
}

SplitWriter::SplitWriter(const fs::path& directory, std::string name, const tokenizer::Tokenizer& tokenizer,
                         const tokenizer::Framing& framing, std::int64_t shard_tokens, bool write_text, std::vector<ShardRecord> finished,
                         std::function<void(const ShardRecord&)> on_shard)
    : directory_(directory),
      name_(std::move(name)),
      tokenizer_(tokenizer),
      framing_(framing),
      shard_tokens_(shard_tokens),
      records_(std::move(finished)),
      on_shard_(std::move(on_shard)),
      finished_(records_.size()) {
  fs::create_directory(directory_ / name_);
  if (write_text) text_.emplace(files::Disk(), directory_ / (name_ + ".txt"));
}

void SplitWriter::add(std::string_view text, std::span<const std::int32_t> ids, std::uint32_t source) {
  if (!shard_) shard_.emplace(static_cast<std::uint32_t>(tokenizer_.vocab_size()), framing_, tokenizer_.fingerprint());
  shard_->add(ids, static_cast<std::uint32_t>(text.size()), source);
  if (text_) text_->write(text);
  if (static_cast<std::int64_t>(shard_->header().token_count) >= shard_tokens_) close_shard();
}

std::optional<std::int64_t> SplitWriter::pass_over(std::string_view text, std::uint32_t source) {
  if (passed_.shard == finished_) return std::nullopt;
  const ShardRecord& record = records_[passed_.shard];
  if (!passed_.view) passed_.view = Shard::map(directory_ / record.path, ShardCheck::structure);
  const ShardView& view = passed_.view->view();
  const DocumentEntry entry = view.document(passed_.document);
  if (entry.text_bytes != text.size() || entry.source != source)
    throw DataError(
        fmt::format("{}: holds another text than the sources have now; remove {} and prepare again", record.path, directory_.string()));
  const bool last = ++passed_.document == record.counts.documents;
  const std::uint64_t end = last ? view.header.token_count : view.document(passed_.document).first_token;
  if (last) passed_ = {passed_.shard + 1, 0, nullptr};
  if (text_) text_->write(text);
  return static_cast<std::int64_t>(end - entry.first_token);
}

std::string SplitWriter::shard_path(std::string_view name, std::size_t number) {
  return fmt::format("{}/shard-{:05}.tokens", name, number);
}

void SplitWriter::close_shard() {
  ShardHeader header;
  const std::vector<std::byte> bytes = shard_->finish(header);
  shard_.reset();
  const FileRecord file =
      write_file(directory_, shard_path(name_, records_.size()), {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  const Counts counts{static_cast<std::int64_t>(header.document_count), static_cast<std::int64_t>(header.text_bytes),
                      static_cast<std::int64_t>(header.token_count)};
  records_.push_back({file.path, counts, file.bytes, file.sha256});
  on_shard_(records_.back());
}

void SplitWriter::finish(std::vector<ShardRecord>& shards, std::vector<FileRecord>& files) {
  if (shard_) close_shard();
  shards = records_;
  if (!text_) return;
  const files::FileDigest digest = text_->finish();
  files.push_back({name_ + ".txt", static_cast<std::int64_t>(digest.bytes), digest.sha256});
}

FileRecord write_file(const fs::path& directory, const std::string& path, std::string_view contents) {
  files::FileWriter file(files::Disk(), directory / path);
  file.write(contents);
  const files::FileDigest digest = file.finish();
  return {path, static_cast<std::int64_t>(digest.bytes), digest.sha256};
}

}  // namespace longhaul::data
