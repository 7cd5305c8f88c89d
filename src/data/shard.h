// data/shard.h — one file of token ids with its document index (docs/formats.md, "Token shard").
//
// Little-endian. A header of 72 bytes (80 where documents have an end token of their own) with its own hash, the ids (u16 up to 65,536
// entries of vocabulary, else u32) padded with zeros to 8 bytes, then one 16-byte entry a document. Every byte of the file is covered by
// one of the two hashes and the file's size follows from the header, so any flipped byte and any truncation is detected without the
// manifest. The parser checks every field that it reads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "files/read.h"
#include "tokenizer/framing.h"

namespace longhaul::data {

struct ShardHeader {
  /// Version 1: one token for begin and end. Version 2 has both.
  static constexpr std::uint32_t kShared = 1, kSeparate = 2;
  std::uint32_t token_bytes = 0;  ///< 2 or 4
  std::uint32_t vocab_size = 0;
  tokenizer::Framing framing;
  std::uint64_t token_count = 0;
  std::uint64_t document_count = 0;
  std::uint64_t text_bytes = 0;      ///< UTF-8 bytes of all documents
  std::uint64_t tokenizer_hash = 0;  ///< XXH3-64 of the tokenizer's fingerprint
  std::uint64_t body_hash = 0;       ///< XXH3-64 of everything after the header

  std::uint32_t version() const { return framing.shared() ? kShared : kSeparate; }
  /// Of the header in its file.
  std::size_t bytes() const { return framing.shared() ? 72 : 80; }
};

/// One entry of the document index.
struct DocumentEntry {
  std::uint64_t first_token = 0;  ///< within the shard
  std::uint32_t text_bytes = 0;
  std::uint32_t source = 0;  ///< index into the manifest's sources
};

enum class ShardCheck {
  structure,  ///< header, its hash, sizes
  contents    ///< also the body's hash, the document index and every id
};

/// A shard's parsed view of memory that somebody else owns.
struct ShardView {
  ShardHeader header;
  const std::byte* tokens = nullptr;  ///< token_count ids of token_bytes each
  const std::byte* index = nullptr;   ///< document_count entries of 16 bytes

  std::int32_t token(std::int64_t position) const;
  void read(std::int64_t first, std::span<std::int32_t> out) const;
  DocumentEntry document(std::int64_t document) const;
};

/// @param name  the file's name, for messages
/// @throws DataError naming the file, the offset or field, and the fix
ShardView parse_shard(std::span<const std::byte> bytes, const std::string& name, ShardCheck check);

/// A shard to be read: its file mapped into memory, or the bytes of a ShardBuilder.
class Shard {
 public:
  static std::shared_ptr<const Shard> map(const std::filesystem::path& file, ShardCheck check);
  /// A shard that was built in this process and is on no disk.
  static std::shared_ptr<const Shard> own(std::vector<std::byte> bytes);
  Shard(const Shard&) = delete;
  Shard& operator=(const Shard&) = delete;
  const ShardView& view() const { return view_; }
  std::span<const std::byte> bytes() const { return bytes_; }
  /// Pages of a mapping that were read are no longer resident; they are read again, mostly from the page cache, when they are used.
  void release_pages() const;

 private:
  Shard() = default;
  std::optional<files::MappedFile> mapping_;
  std::vector<std::byte> owned_;
  std::span<const std::byte> bytes_;
  ShardView view_;
};

/// Builds one shard document by document, in memory: its header holds hashes of all that follows.
class ShardBuilder {
 public:
  ShardBuilder(std::uint32_t vocab_size, const tokenizer::Framing& framing, const std::string& tokenizer_fingerprint);
  /// Adds a document, framed; its ids are below vocab_size.
  void add(std::span<const std::int32_t> ids, std::uint32_t text_bytes, std::uint32_t source);
  const ShardHeader& header() const { return header_; }
  /// The whole file; the builder is spent afterwards. @param header  set to what was written
  std::vector<std::byte> finish(ShardHeader& header);

 private:
  ShardHeader header_;
  std::vector<DocumentEntry> index_;
  std::vector<std::byte> bytes_;
};

/// XXH3-64 of a tokenizer's fingerprint, as a shard's header carries it.
std::uint64_t tokenizer_hash(const std::string& fingerprint);

}  // namespace longhaul::data
