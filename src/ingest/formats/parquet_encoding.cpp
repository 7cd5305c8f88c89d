#include "ingest/formats/parquet_encoding.h"

#include <algorithm>
#include <cstring>

namespace longhaul::ingest {

namespace {

/// Moves `at` behind a variable-length number. False where the bytes end.
bool read_varint(std::string_view bytes, std::size_t& at, std::uint64_t& value) {
  value = 0;
  for (unsigned shift = 0; shift < 64 && at < bytes.size(); shift += 7) {
    const auto byte = static_cast<std::uint8_t>(bytes[at++]);
    value |= static_cast<std::uint64_t>(byte & 0x7F) << shift;
    if ((byte & 0x80) == 0) return true;
  }
  return false;
}

std::uint64_t unzigzag(std::uint64_t value) { return (value >> 1) ^ (~(value & 1) + 1); }

/// `width` (at most 64) bits from bit `bit` on, the lowest first; those behind the end are zero.
std::uint64_t bits_at(std::string_view bytes, std::uint64_t bit, unsigned width) {
  if (width == 0) return 0;
  const std::uint64_t at = bit / 8;
  const auto shift = static_cast<unsigned>(bit % 8);
  std::uint64_t low = 0;
  if (at < bytes.size()) std::memcpy(&low, bytes.data() + at, std::min<std::size_t>(8, bytes.size() - at));
  std::uint64_t value = low >> shift;
  if (shift + width > 64 && at + 8 < bytes.size())
    value |= static_cast<std::uint64_t>(static_cast<std::uint8_t>(bytes[at + 8])) << (64 - shift);
  return width == 64 ? value : value & ((std::uint64_t{1} << width) - 1);
}

std::size_t bytes_of(ParquetType type) { return type == ParquetType::int32 || type == ParquetType::real32 ? 4 : 8; }

/// A little-endian 32-bit length and what it counts. False where the bytes end.
bool take_sized(std::string_view& bytes, std::string_view& taken) {
  if (bytes.size() < 4) return false;
  std::uint32_t size = 0;
  std::memcpy(&size, bytes.data(), 4);
  if (size > bytes.size() - 4) return false;
  taken = bytes.substr(4, size);
  bytes.remove_prefix(4 + std::size_t{size});
  return true;
}

class PlainValues final : public ValueReader {
 public:
  PlainValues(ParquetType type, std::string_view bytes) : type_(type), bytes_(bytes) {}
  bool next(std::string_view& value) override {
    if (type_ == ParquetType::byte_array) return take_sized(bytes_, value);
    if (type_ == ParquetType::boolean) {
      if (bit_ / 8 >= bytes_.size()) return false;
      boolean_ = static_cast<char>(bits_at(bytes_, bit_++, 1));
      value = {&boolean_, 1};
      return true;
    }
    const std::size_t size = bytes_of(type_);
    if (bytes_.size() < size) return false;
    value = bytes_.substr(0, size);
    bytes_.remove_prefix(size);
    return true;
  }

 private:
  ParquetType type_;
  std::string_view bytes_;
  std::uint64_t bit_ = 0;
  char boolean_ = 0;
};

/// Truth values as runs, behind the length of all of them.
class RunLengthBooleans final : public ValueReader {
 public:
  explicit RunLengthBooleans(std::string_view bytes) {
    std::string_view runs;
    if (take_sized(bytes, runs)) values_ = HybridReader(runs, 1);
  }
  bool next(std::string_view& value) override {
    std::uint32_t bit = 0;
    if (!values_.next(bit)) return false;
    boolean_ = static_cast<char>(bit);
    value = {&boolean_, 1};
    return true;
  }

 private:
  HybridReader values_;
  char boolean_ = 0;
};

/// Places in the dictionary; the first byte is their width.
class DictionaryValues final : public ValueReader {
 public:
  DictionaryValues(std::string_view bytes, const std::vector<std::string_view>& dictionary) : dictionary_(dictionary) {
    if (!bytes.empty() && static_cast<std::uint8_t>(bytes[0]) <= 32)
      places_ = HybridReader(bytes.substr(1), static_cast<std::uint8_t>(bytes[0]));
  }
  bool next(std::string_view& value) override {
    std::uint32_t place = 0;
    if (!places_.next(place) || place >= dictionary_.size()) return false;
    value = dictionary_[place];
    return true;
  }

 private:
  HybridReader places_;
  const std::vector<std::string_view>& dictionary_;
};

class DeltaValues final : public ValueReader {
 public:
  DeltaValues(ParquetType type, std::string_view bytes) : size_(bytes_of(type)), values_(bytes) {}
  bool next(std::string_view& value) override {
    if (!values_.next(value_)) return false;
    value = {reinterpret_cast<const char*>(&value_), size_};
    return true;
  }

 private:
  std::size_t size_;
  DeltaReader values_;
  std::int64_t value_ = 0;
};

/// DELTA_LENGTH_BYTE_ARRAY: all lengths, then all bytes.
class DeltaLengthValues final : public ValueReader {
 public:
  explicit DeltaLengthValues(std::string_view bytes) : lengths_(bytes), bytes_(bytes.substr(DeltaReader::length(bytes))) {}
  bool next(std::string_view& value) override {
    std::int64_t length = 0;
    if (!lengths_.next(length) || length < 0 || static_cast<std::uint64_t>(length) > bytes_.size()) return false;
    value = bytes_.substr(0, static_cast<std::size_t>(length));
    bytes_.remove_prefix(value.size());
    return true;
  }

 private:
  DeltaReader lengths_;
  std::string_view bytes_;
};

/// DELTA_BYTE_ARRAY: how much of the value before each begins with, and the rest of it.
class DeltaByteValues final : public ValueReader {
 public:
  explicit DeltaByteValues(std::string_view bytes) : prefixes_(bytes), suffixes_(bytes.substr(DeltaReader::length(bytes))) {}
  bool next(std::string_view& value) override {
    std::int64_t prefix = 0;
    std::string_view suffix;
    if (!prefixes_.next(prefix) || prefix < 0 || static_cast<std::uint64_t>(prefix) > value_.size() || !suffixes_.next(suffix))
      return false;
    value_.resize(static_cast<std::size_t>(prefix));
    value_ += suffix;
    value = value_;
    return true;
  }

 private:
  DeltaReader prefixes_;
  DeltaLengthValues suffixes_;
  std::string value_;
};

}  // namespace

/// A run's header is its count, doubled: of equal values that follow once, or (odd) of groups of eight packed ones.
bool HybridReader::begin_run() {
  std::uint64_t header = 0;
  std::size_t at = 0;
  if (!read_varint(bytes_, at, header)) return false;
  bytes_.remove_prefix(at);
  if ((header & 1) == 0) {
    repeats_ = header >> 1;
    const std::size_t size = (width_ + 7) / 8;
    if (bytes_.size() < size || repeats_ == 0) return false;
    repeated_ = static_cast<std::uint32_t>(bits_at(bytes_.substr(0, size), 0, width_));
    bytes_.remove_prefix(size);
    return true;
  }
  // The last group may be cut where the values end.
  packed_ = header >> 1 > UINT32_MAX ? 0 : (header >> 1) * 8;
  bit_ = 0;
  return packed_ > 0;
}

bool HybridReader::next(std::uint32_t& value) {
  if (repeats_ == 0 && packed_ == 0 && !begin_run()) return false;
  if (repeats_ > 0) {
    --repeats_;
    value = repeated_;
    return true;
  }
  if (bit_ + width_ > std::uint64_t{8} * bytes_.size()) return false;
  value = static_cast<std::uint32_t>(bits_at(bytes_, bit_, width_));
  bit_ += width_;
  if (--packed_ == 0) bytes_.remove_prefix(std::min<std::size_t>(bytes_.size(), (bit_ + 7) / 8));
  return true;
}

DeltaReader::DeltaReader(std::string_view bytes) : bytes_(bytes) {
  std::uint64_t block = 0, first = 0;
  if (!read_varint(bytes_, at_, block) || !read_varint(bytes_, at_, miniblocks_) || !read_varint(bytes_, at_, left_) ||
      !read_varint(bytes_, at_, first)) {
    left_ = 0;
    return;
  }
  value_ = unzigzag(first);
  constexpr std::uint64_t kMaxBlock = std::uint64_t{1} << 20;
  // A block's size is a multiple of 128, a miniblock's of 32; so packed values end with a byte.
  if (miniblocks_ == 0 || block > kMaxBlock || block % miniblocks_ != 0 || (block / miniblocks_) % 8 != 0 || block / miniblocks_ == 0)
    left_ = 0;
  else
    values_per_miniblock_ = block / miniblocks_;
}

bool DeltaReader::begin_block() {
  std::uint64_t minimum = 0;
  if (!read_varint(bytes_, at_, minimum) || bytes_.size() - at_ < miniblocks_) return false;
  minimum_ = unzigzag(minimum);
  widths_ = bytes_.substr(at_, static_cast<std::size_t>(miniblocks_));
  at_ += widths_.size();
  miniblock_ = 0;
  return true;
}

bool DeltaReader::begin_miniblock() {
  if (miniblock_ == widths_.size() && !begin_block()) return false;
  width_ = static_cast<std::uint8_t>(widths_[static_cast<std::size_t>(miniblock_++)]);
  const std::uint64_t size = width_ * values_per_miniblock_ / 8;
  if (width_ > 64 || size > bytes_.size() - at_) return false;
  bit_ = std::uint64_t{8} * at_;
  at_ += static_cast<std::size_t>(size);
  in_miniblock_ = values_per_miniblock_;
  return true;
}

bool DeltaReader::next(std::int64_t& value) {
  if (left_ == 0) return false;
  if (!first_) {
    if (in_miniblock_ == 0 && !begin_miniblock()) {
      left_ = 0;
      return false;
    }
    value_ += minimum_ + bits_at(bytes_, bit_, width_);
    bit_ += width_;
    --in_miniblock_;
  }
  first_ = false;
  --left_;
  value = static_cast<std::int64_t>(value_);
  return true;
}

std::size_t DeltaReader::length(std::string_view bytes) {
  DeltaReader reader(bytes);
  // Whole miniblocks are passed over: the first value stands in the header.
  for (std::uint64_t left = reader.left_ > 0 ? reader.left_ - 1 : 0; left > 0;) {
    if (!reader.begin_miniblock()) break;
    left -= std::min(left, reader.values_per_miniblock_);
  }
  return reader.at_;
}

std::unique_ptr<ValueReader> value_reader(int encoding, ParquetType type, std::string_view bytes,
                                          const std::vector<std::string_view>& dictionary) {
  const bool integers = type == ParquetType::int32 || type == ParquetType::int64;
  switch (encoding) {
    case ParquetPage::kPlain:
      return std::make_unique<PlainValues>(type, bytes);
    case ParquetPage::kPlainDictionary:
    case ParquetPage::kRleDictionary:
      return std::make_unique<DictionaryValues>(bytes, dictionary);
    case ParquetPage::kRle:
      if (type == ParquetType::boolean) return std::make_unique<RunLengthBooleans>(bytes);
      break;
    case ParquetPage::kDeltaBinaryPacked:
      if (integers) return std::make_unique<DeltaValues>(type, bytes);
      break;
    case ParquetPage::kDeltaLengthByteArray:
      if (type == ParquetType::byte_array) return std::make_unique<DeltaLengthValues>(bytes);
      break;
    case ParquetPage::kDeltaByteArray:
      if (type == ParquetType::byte_array) return std::make_unique<DeltaByteValues>(bytes);
      break;
    default:
      break;
  }
  return nullptr;
}

bool read_dictionary(ParquetType type, std::string_view bytes, std::int64_t count, std::vector<std::string_view>& dictionary) {
  dictionary.clear();
  // A value has four bytes at least.
  if (type == ParquetType::boolean || count < 0 || static_cast<std::uint64_t>(count) > bytes.size() / 4) return false;
  PlainValues values(type, bytes);
  dictionary.resize(static_cast<std::size_t>(count));
  return std::all_of(dictionary.begin(), dictionary.end(), [&](std::string_view& value) { return values.next(value); });
}

}  // namespace longhaul::ingest
