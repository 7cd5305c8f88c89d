#include "data/shard.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <xxhash.h>

#include <array>
#include <bit>
#include <cassert>
#include <cstring>
#include <utility>

#include "units/error.h"

namespace longhaul::data {

static_assert(std::endian::native == std::endian::little, "shards are little-endian and read in place");

namespace {

constexpr std::array<char, 8> kMagic = {'L', 'H', 'T', 'O', 'K', 'E', 'N', 'S'};
constexpr std::size_t kIndexEntryBytes = 16;
static_assert(sizeof(DocumentEntry) == kIndexEntryBytes);
/// No file is larger, so sums of products of the counts below it cannot overflow.
constexpr std::uint64_t kMaxCount = std::uint64_t{1} << 56;
/// Ids are int32 in memory.
constexpr std::uint64_t kMaxVocabulary = std::uint64_t{1} << 31;

/// The header's fields in file order, as blocks that are written and parsed whole: the fields of both versions, then version 2's framing,
/// then the hash of all before it.
struct RawFields {
  std::array<char, 8> magic;
  std::uint32_t version, token_bytes, vocab_size, end;
  std::uint64_t token_count, document_count, text_bytes, tokenizer_hash, body_hash;
};
struct RawFraming {
  std::uint32_t begin, zero;
};
constexpr std::uint32_t kNoBegin = 0xFFFFFFFF;  // in RawFraming::begin
static_assert(sizeof(RawFields) == 64 && sizeof(RawFraming) == 8);

std::uint64_t padded_token_bytes(const ShardHeader& header) { return (header.token_count * header.token_bytes + 7) / 8 * 8; }

constexpr const char* kRestore = "prepare the dataset again (`longhaul data prepare`) or restore the file from a copy";

[[noreturn]] void damaged(const std::string& name, const std::string& what) {
  throw DataError(fmt::format("{}: {}; {}", name, what, kRestore));
}

/// Bytes of the header before its hash.
std::size_t hashed_bytes(std::uint32_t version) { return sizeof(RawFields) + (version == ShardHeader::kSeparate ? sizeof(RawFraming) : 0); }

/// Fields, framing and hash; all that is asked of the bytes alone.
std::pair<RawFields, RawFraming> read_header(std::span<const std::byte> bytes, const std::string& name) {
  const auto require = [&](std::size_t size) {
    if (bytes.size() < size)
      damaged(name, fmt::format("the token shard is truncated: {} bytes, its header alone has {}", bytes.size(), size));
  };
  require(sizeof(RawFields) + sizeof(std::uint64_t));
  RawFields raw;
  std::memcpy(&raw, bytes.data(), sizeof raw);
  if (raw.magic != kMagic) damaged(name, "not a token shard: offset 0 does not hold LHTOKENS");
  if (raw.version != ShardHeader::kShared && raw.version != ShardHeader::kSeparate)
    damaged(name, fmt::format("offset 8: shard version {}, this program reads versions {} and {}", raw.version, ShardHeader::kShared,
                              ShardHeader::kSeparate));
  const std::size_t size = hashed_bytes(raw.version);
  require(size + sizeof(std::uint64_t));
  RawFraming framing{raw.end, 0};
  if (raw.version == ShardHeader::kSeparate) std::memcpy(&framing, bytes.data() + sizeof raw, sizeof framing);
  std::uint64_t stored = 0;
  std::memcpy(&stored, bytes.data() + size, sizeof stored);
  if (const std::uint64_t computed = XXH3_64bits(bytes.data(), size); stored != computed)
    damaged(name, fmt::format("the header (bytes 0 to {}) does not match its hash: {:016x} stored, {:016x} computed",
                              size + sizeof stored - 1, stored, computed));
  return {raw, framing};
}

ShardHeader parse_header(std::span<const std::byte> bytes, const std::string& name) {
  const auto [raw, framing] = read_header(bytes, name);
  if (raw.token_bytes != 2 && raw.token_bytes != 4)
    damaged(name, fmt::format("offset 12: {} bytes a token, allowed: 2, 4", raw.token_bytes));
  if (raw.vocab_size == 0 || raw.vocab_size > kMaxVocabulary || (raw.token_bytes == 2 && raw.vocab_size > 65536))
    damaged(name, fmt::format("offset 16: a vocabulary of {} does not fit {}-byte tokens", raw.vocab_size, raw.token_bytes));
  if (raw.end >= raw.vocab_size)
    damaged(name, fmt::format("offset 20: the end token {} is outside the vocabulary of {}", raw.end, raw.vocab_size));
  if (framing.begin != kNoBegin && framing.begin >= raw.vocab_size)
    damaged(name, fmt::format("offset 64: the begin token {} is outside the vocabulary of {}", framing.begin, raw.vocab_size));
  if (framing.zero != 0 || (raw.version == ShardHeader::kSeparate && framing.begin == raw.end))
    damaged(name, "offset 64: version 2 is for a begin token that is not the end token, and four bytes of zero after it");
  if (raw.token_count >= kMaxCount || raw.document_count > raw.token_count)
    damaged(name, fmt::format("offset 24: {} tokens in {} documents is impossible", raw.token_count, raw.document_count));
  const tokenizer::Framing frame{framing.begin == kNoBegin ? tokenizer::Framing::kNone : static_cast<std::int32_t>(framing.begin),
                                 static_cast<std::int32_t>(raw.end)};
  return {raw.token_bytes, raw.vocab_size, frame, raw.token_count, raw.document_count, raw.text_bytes, raw.tokenizer_hash, raw.body_hash};
}

/// Starts rise from 0, each document is framed, the bytes add up.
void check_index(const ShardView& view, const std::string& name) {
  const ShardHeader& header = view.header;
  if (header.document_count == 0 && header.token_count != 0) damaged(name, fmt::format("{} tokens but no document", header.token_count));
  std::uint64_t text_bytes = 0;
  const auto documents = static_cast<std::int64_t>(header.document_count);
  for (std::int64_t d = 0; d < documents; ++d) {
    const DocumentEntry entry = view.document(d);
    const std::uint64_t next = d + 1 < documents ? view.document(d + 1).first_token : header.token_count;
    if ((d == 0 && entry.first_token != 0) || entry.first_token >= next || next > header.token_count)
      damaged(name,
              fmt::format("document {} begins at token {} and ends before token {} of {}", d, entry.first_token, next, header.token_count));
    const auto first = static_cast<std::int64_t>(entry.first_token), last = static_cast<std::int64_t>(next) - 1;
    if (header.framing.has_begin() && view.token(first) != header.framing.begin)
      damaged(name, fmt::format("document {} does not begin with the begin token {} (token {})", d, header.framing.begin, first));
    if (!header.framing.shared() && view.token(last) != header.framing.end)
      damaged(name, fmt::format("document {} does not end with the end token {} (token {})", d, header.framing.end, last));
    if (last - first + 1 < header.framing.stored(0))
      damaged(name, fmt::format("document {} has {} tokens, fewer than its frame", d, last - first + 1));
    text_bytes += entry.text_bytes;
  }
  if (text_bytes != header.text_bytes)
    damaged(name, fmt::format("the documents have {} bytes of text, the header says {}", text_bytes, header.text_bytes));
}

template <class Id>
void check_ids(const ShardView& view, const std::string& name) {
  for (std::uint64_t i = 0; i < view.header.token_count; ++i) {
    Id id;
    std::memcpy(&id, view.tokens + i * sizeof(Id), sizeof id);
    if (id >= view.header.vocab_size)
      damaged(name, fmt::format("token {} (offset {}) is {}, outside the vocabulary of {}", i, view.header.bytes() + i * sizeof(Id), id,
                                view.header.vocab_size));
  }
}

}  // namespace

std::uint64_t tokenizer_hash(const std::string& fingerprint) { return XXH3_64bits(fingerprint.data(), fingerprint.size()); }

std::int32_t ShardView::token(std::int64_t position) const {
  if (header.token_bytes == 2) {
    std::uint16_t id;
    std::memcpy(&id, tokens + position * 2, sizeof id);
    return id;
  }
  std::int32_t id;
  std::memcpy(&id, tokens + position * 4, sizeof id);
  return id;
}

void ShardView::read(std::int64_t first, std::span<std::int32_t> out) const {
  assert(first >= 0 && static_cast<std::uint64_t>(first) + out.size() <= header.token_count);
  if (header.token_bytes == 4) {
    if (!out.empty()) std::memcpy(out.data(), tokens + first * 4, out.size() * 4);
    return;
  }
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = token(first + static_cast<std::int64_t>(i));
}

DocumentEntry ShardView::document(std::int64_t document) const {
  DocumentEntry entry;
  std::memcpy(&entry, index + document * static_cast<std::int64_t>(kIndexEntryBytes), sizeof entry);
  return entry;
}

ShardView parse_shard(std::span<const std::byte> bytes, const std::string& name, ShardCheck check) {
  ShardView view;
  view.header = parse_header(bytes, name);
  const std::uint64_t expected = view.header.bytes() + padded_token_bytes(view.header) + view.header.document_count * kIndexEntryBytes;
  if (bytes.size() != expected)
    damaged(name, fmt::format("the token shard is {}: {} bytes, its header promises {} ({} tokens, {} documents)",
                              bytes.size() < expected ? "truncated" : "too long", bytes.size(), expected, view.header.token_count,
                              view.header.document_count));
  view.tokens = bytes.data() + view.header.bytes();
  view.index = view.tokens + padded_token_bytes(view.header);
  if (check == ShardCheck::structure) return view;
  const std::uint64_t computed = XXH3_64bits(view.tokens, bytes.size() - view.header.bytes());
  if (computed != view.header.body_hash)
    damaged(name, fmt::format("bytes {} to {} do not match their hash: {:016x} in the header, {:016x} computed", view.header.bytes(),
                              bytes.size() - 1, view.header.body_hash, computed));
  if (view.header.token_bytes == 2)
    check_ids<std::uint16_t>(view, name);
  else
    check_ids<std::uint32_t>(view, name);
  check_index(view, name);
  return view;
}

std::shared_ptr<const Shard> Shard::map(const std::filesystem::path& file, ShardCheck check) {
  std::shared_ptr<Shard> shard(new Shard);
  try {
    shard->mapping_.emplace(file);
  } catch (const files::FileError& error) {
    throw DataError(fmt::format("{}; {}", error.what(), kRestore));
  }
  shard->bytes_ = shard->mapping_->bytes();
  shard->view_ = parse_shard(shard->bytes_, file.string(), check);
  return shard;
}

std::shared_ptr<const Shard> Shard::own(std::vector<std::byte> bytes) {
  std::shared_ptr<Shard> shard(new Shard);
  shard->owned_ = std::move(bytes);
  shard->bytes_ = shard->owned_;
  shard->view_ = parse_shard(shard->bytes_, "a shard in memory", ShardCheck::structure);
  return shard;
}

void Shard::release_pages() const {
  if (mapping_ && !bytes_.empty()) ::madvise(const_cast<std::byte*>(bytes_.data()), bytes_.size(), MADV_DONTNEED);
}

ShardBuilder::ShardBuilder(std::uint32_t vocab_size, const tokenizer::Framing& framing, const std::string& tokenizer_fingerprint) {
  header_.token_bytes = vocab_size <= 65536 ? 2 : 4;
  header_.vocab_size = vocab_size;
  header_.framing = framing;
  header_.tokenizer_hash = longhaul::data::tokenizer_hash(tokenizer_fingerprint);
  bytes_.resize(header_.bytes());  // its place
}

void ShardBuilder::add(std::span<const std::int32_t> ids, std::uint32_t text_bytes, std::uint32_t source) {
  index_.push_back({header_.token_count, text_bytes, source});
  const auto append = [&](std::int32_t id) {
    assert(id >= 0 && static_cast<std::uint32_t>(id) < header_.vocab_size);
    const auto* bytes = reinterpret_cast<const std::byte*>(&id);  // little-endian: the low bytes come first
    bytes_.insert(bytes_.end(), bytes, bytes + header_.token_bytes);
  };
  const tokenizer::Framing& framing = header_.framing;
  if (framing.has_begin()) append(framing.begin);
  for (const std::int32_t id : ids) append(id);
  if (!framing.shared()) append(framing.end);
  header_.token_count += static_cast<std::uint64_t>(framing.stored(std::ssize(ids)));
  header_.text_bytes += text_bytes;
}

std::vector<std::byte> ShardBuilder::finish(ShardHeader& header) {
  header_.document_count = index_.size();
  bytes_.resize(header_.bytes() + padded_token_bytes(header_));
  const auto index = std::as_bytes(std::span(index_));
  bytes_.insert(bytes_.end(), index.begin(), index.end());
  header_.body_hash = XXH3_64bits(bytes_.data() + header_.bytes(), bytes_.size() - header_.bytes());
  const RawFields raw{kMagic,
                      header_.version(),
                      header_.token_bytes,
                      header_.vocab_size,
                      static_cast<std::uint32_t>(header_.framing.end),
                      header_.token_count,
                      header_.document_count,
                      header_.text_bytes,
                      header_.tokenizer_hash,
                      header_.body_hash};
  std::memcpy(bytes_.data(), &raw, sizeof raw);
  const std::size_t size = hashed_bytes(raw.version);
  if (raw.version == ShardHeader::kSeparate) {
    const RawFraming framing{header_.framing.has_begin() ? static_cast<std::uint32_t>(header_.framing.begin) : kNoBegin, 0};
    std::memcpy(bytes_.data() + sizeof raw, &framing, sizeof framing);
  }
  const std::uint64_t hash = XXH3_64bits(bytes_.data(), size);
  std::memcpy(bytes_.data() + size, &hash, sizeof hash);
  header = header_;
  return std::move(bytes_);
}

}  // namespace longhaul::data
