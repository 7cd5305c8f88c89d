#include "ingest/token_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <string_view>
#include <utility>

#include "ingest/text_pieces.h"
#include "units/error.h"

namespace longhaul::ingest {

namespace {

constexpr std::int64_t kBlockIds = std::int64_t{1} << 18;
constexpr std::int64_t kLlmCHeaderBytes = 1024;
constexpr std::int32_t kLlmC16 = 20240520, kLlmC32 = 20240801, kLlmCEvaluation = 20240522;
constexpr std::string_view kNumPy = "\x93NUMPY";

std::int32_t word(std::string_view bytes, std::size_t index) {
  std::int32_t value = 0;
  if (bytes.size() >= 4 * (index + 1)) std::memcpy(&value, bytes.data() + 4 * index, sizeof value);
  return value;
}

/// Ids of 32 bits read as 16: every second one is zero.
bool looks_like_uint32(std::string_view bytes) {
  if (bytes.size() < 64) return false;
  bool any = false;
  for (std::size_t i = 0; i + 4 <= std::min<std::size_t>(bytes.size(), 65536); i += 4) {
    if (bytes[i + 2] != 0 || bytes[i + 3] != 0) return false;
    any = any || bytes[i] != 0 || bytes[i + 1] != 0;
  }
  return any;
}

}  // namespace

TokenFile::TokenFile(std::unique_ptr<DiskFile> file, TokenFormat format, const TokenVocabulary& vocabulary)
    : file_(std::move(file)), format_(format), vocabulary_(vocabulary) {
  read_header();
  check_id_bytes();
}

void TokenFile::fail(std::int64_t token, const std::string& what) const {
  throw DataError(fmt::format("{}: byte offset {} (token {}): {}", file_->path().string(), first_byte_ + token * id_bytes_, token, what));
}

void TokenFile::read_header() {
  if (format_ == TokenFormat::megatron) {
    std::filesystem::path index = file_->path();
    index_.emplace(index.replace_extension(".idx"), file_->size());
    id_bytes_ = index_->id_bytes();
    is_signed_ = index_->is_signed();
    tokens_ = index_->tokens();
    return;
  }
  if (format_ == TokenFormat::llm_c) return read_llm_c_header();
  id_bytes_ = format_ == TokenFormat::uint16 ? 2 : 4;
  tokens_ = file_->size() / id_bytes_;
  if (file_->size() % id_bytes_ != 0)
    fail(tokens_, fmt::format("truncated: {} bytes are no whole number of {}", file_->size(), token_format_name(format_)));
}

void TokenFile::read_llm_c_header() {
  const std::string path = file_->path().string();
  if (file_->size() < kLlmCHeaderBytes)
    throw DataError(fmt::format("{}: byte offset {}: truncated in llm.c's header of {} bytes", path, file_->size(), kLlmCHeaderBytes));
  read_bytes(kLlmCHeaderBytes);
  const std::int32_t magic = word(bytes_, 0), version = word(bytes_, 1);
  if (magic == kLlmCEvaluation)
    throw DataError(fmt::format("{}: byte offset 0: llm.c's multiple-choice evaluation data (magic {}), no text", path, magic));
  if (!(magic == kLlmC16 && version == 1) && !(magic == kLlmC32 && version == 7))
    throw DataError(
        fmt::format("{}: byte offset 0: no header of llm.c's: magic {}, version {}; read are {}, 1 (ids of 16 bits) and {}, 7 (of 32); ids "
                    "without a header are --tokens uint16 or uint32",
                    path, magic, version, kLlmC16, kLlmC32));
  first_byte_ = kLlmCHeaderBytes;
  id_bytes_ = magic == kLlmC16 ? 2 : 4;
  tokens_ = word(bytes_, 2);
  const std::int64_t wanted = kLlmCHeaderBytes + tokens_ * id_bytes_;
  if (tokens_ < 0 || file_->size() != wanted)
    throw DataError(fmt::format("{}: byte offset 8: {} tokens make {} bytes, the file has {}: it is {}", path, tokens_, wanted,
                                file_->size(), file_->size() < wanted ? "truncated" : "too long"));
}

/// Ids of a vocabulary of V are stored in a type that holds V − 1: a smaller one is another vocabulary's.
void TokenFile::check_id_bytes() const {
  const int bits = 8 * id_bytes_ - (is_signed_ ? 1 : 0);
  if (bits >= 32 || vocabulary_.size() <= std::int64_t{1} << bits) return;
  throw DataError(
      fmt::format("{}: its ids have {} bytes, too few for the vocabulary of {} ({}): it was made with another one; give its tokenizer with "
                  "--tokenizer",
                  file_->path().string(), id_bytes_, vocabulary_.size(), vocabulary_.name));
}

/// What ids without a header show of what they are.
void TokenFile::check_head(std::string_view head) const {
  const auto other = [&](const std::string& what) { fail(0, what); };
  const std::int32_t magic = word(head, 0);
  if (head.starts_with(kNumPy)) other("a NumPy file (.npy); write its ids alone: numpy.load(…).tofile(…)");
  if (magic == kLlmC16 || magic == kLlmC32 || magic == kLlmCEvaluation) other("llm.c's header: --tokens llm.c reads it");
  if (format_ == TokenFormat::uint16 && looks_like_uint32(head)) other("every second id is 0: probably --tokens uint32");
}

std::int32_t TokenFile::checked(std::int64_t id, std::int64_t token) const {
  if (id >= 0 && id < vocabulary_.size() && !vocabulary_.bytes[static_cast<std::size_t>(id)].empty()) [[likely]]
    return static_cast<std::int32_t>(id);
  const std::string what = id >= 0 && id < vocabulary_.size() ? "is no token" : "is outside the vocabulary";
  fail(token, fmt::format("id {} {} of {} ({}); give the tokenizer that made the file with --tokenizer, and its format with --tokens", id,
                          what, vocabulary_.size(), vocabulary_.name));
}

void TokenFile::read_bytes(std::size_t size) {
  bytes_.resize(size);
  std::size_t have = 0;
  while (have < size) {
    const std::size_t count = file_->read(bytes_.data() + have, size - have);
    if (count == 0) fail(position_, "the file became shorter while it was read; prepare again when nothing writes to it");
    have += count;
  }
}

template <class Id>
void TokenFile::convert() {
  for (std::size_t i = 0; i < block_.size(); ++i) {
    Id id;
    std::memcpy(&id, bytes_.data() + i * sizeof id, sizeof id);
    block_[i] = checked(static_cast<std::int64_t>(id), position_ + static_cast<std::int64_t>(i));
  }
}

/// The next ids of the file, at least one of which is left.
void TokenFile::refill() {
  const std::int64_t count = std::min(kBlockIds, tokens_ - position_);
  read_bytes(static_cast<std::size_t>(count * id_bytes_));
  if (position_ == 0 && (format_ == TokenFormat::uint16 || format_ == TokenFormat::uint32)) check_head(bytes_);
  block_.resize(static_cast<std::size_t>(count));
  used_ = 0;
  if (id_bytes_ == 1) return is_signed_ ? convert<std::int8_t>() : convert<std::uint8_t>();
  if (id_bytes_ == 2) return is_signed_ ? convert<std::int16_t>() : convert<std::uint16_t>();
  if (id_bytes_ == 4) return is_signed_ ? convert<std::int32_t>() : convert<std::uint32_t>();
  convert<std::int64_t>();
}

bool TokenFile::next_segment() {
  if (index_ ? !index_->next_document(left_) : any_segment_) return false;
  if (!index_) left_ = tokens_;
  any_segment_ = in_segment_ = first_cut_ = true;
  return true;
}

/// The ids up to the next end token, or to the end of the segment. @return whether an end token was met
bool TokenFile::cut(TokenDocument& document) {
  document.ids.clear();
  while (left_ > 0) {
    if (used_ == block_.size()) refill();
    const auto begin = block_.begin() + static_cast<std::ptrdiff_t>(used_);
    const auto limit = begin + static_cast<std::ptrdiff_t>(std::min<std::int64_t>(left_, block_.end() - begin));
    const auto found = std::find(begin, limit, vocabulary_.end);
    document.ids.insert(document.ids.end(), begin, found);
    const std::int64_t taken = found - begin + (found != limit ? 1 : 0);
    used_ += static_cast<std::size_t>(taken);
    position_ += taken;
    left_ -= taken;
    if (found != limit) return true;
    if (std::ssize(document.ids) > kMaxTokens)
      fail(position_, fmt::format("a document of more than {} tokens; is {} the end token of this file? --end names another", kMaxTokens,
                                  vocabulary_.end));
  }
  return false;
}

bool TokenFile::next(TokenDocument& document) {
  while (in_segment_ || next_segment()) {
    const std::int64_t first = position_;
    const bool first_cut = std::exchange(first_cut_, false);
    const bool ended = cut(document);
    in_segment_ = left_ > 0;
    if (ended && first_cut && in_segment_ && document.ids.empty()) continue;  // the end token before the first document
    if (!ended && first_cut && !index_ && !vocabulary_.whole_files && tokens_ > 0)
      fail(position_,
           fmt::format("none of its {} ids is the end token, {} ({}): the file was made with another vocabulary (--tokenizer), has "
                       "another end (--end), or is one document (--whole-token-files)",
                       tokens_, vocabulary_.end, vocabulary_.name));
    take_frame(document, first);
    return true;
  }
  return false;
}

/// Takes the begin token away, and makes the text.
void TokenFile::take_frame(TokenDocument& document, std::int64_t first) const {
  if (vocabulary_.begin != TokenVocabulary::kNone && !document.ids.empty()) {
    if (document.ids.front() != vocabulary_.begin)
      fail(first, fmt::format("a document begins with id {}, not with the begin token, {}; --begin none reads documents that have none",
                              document.ids.front(), vocabulary_.begin));
    document.ids.erase(document.ids.begin());
  }
  document.text.clear();
  for (const std::int32_t id : document.ids) document.text += vocabulary_.bytes[static_cast<std::size_t>(id)];
  if (vocabulary_.added_space && document.text.starts_with(' ')) document.text.erase(0, 1);
  if (std::ssize(document.text) > kMaxDocumentTextBytes)
    fail(first, fmt::format("a document of more than {} GiB of text", kMaxDocumentTextBytes >> 30));
}

}  // namespace longhaul::ingest
