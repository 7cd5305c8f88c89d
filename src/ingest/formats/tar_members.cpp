#include "ingest/formats/tar_members.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <limits>
#include <optional>
#include <string_view>

namespace longhaul::ingest {

namespace {

constexpr std::size_t kBlock = 512;
constexpr std::size_t kTarPiece = std::size_t{64} << 10;
constexpr std::int64_t kMaxExtension = std::int64_t{1} << 20;  // of a long name or of pax records
constexpr std::int64_t kMaxMember = std::int64_t{1} << 60;

std::int64_t padding_of(std::int64_t size) {
  return (static_cast<std::int64_t>(kBlock) - size % static_cast<std::int64_t>(kBlock)) % static_cast<std::int64_t>(kBlock);
}

std::string_view until_nul(std::string_view field) { return field.substr(0, std::min(field.find('\0'), field.size())); }

/// Octal digits between spaces and NULs, or a big-endian number behind the byte 0x80 (GNU).
std::optional<std::int64_t> number_of(std::string_view field) {
  std::int64_t value = 0;
  if (static_cast<unsigned char>(field[0]) & 0x80) {
    if (static_cast<unsigned char>(field[0]) != 0x80) return std::nullopt;  // negative, or larger than any file
    for (const char c : field.substr(1)) {
      if (value > kMaxMember >> 8) return std::nullopt;
      value = value << 8 | static_cast<unsigned char>(c);
    }
    return value;
  }
  const std::size_t begin = std::min(field.find_first_not_of(' '), field.size());
  const std::string_view digits =
      field.substr(begin, std::min(field.find_first_of(std::string_view(" \0", 2), begin), field.size()) - begin);
  if (digits.empty()) return 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, 8);
  if (error != std::errc() || end != digits.data() + digits.size() || value < 0) return std::nullopt;
  return value;
}

/// The sum of the header's bytes with spaces in place of the sum itself.
bool has_right_sum(std::string_view block) {
  std::int64_t sum = 0;
  for (std::size_t i = 0; i < kBlock; ++i) sum += i >= 148 && i < 156 ? ' ' : static_cast<unsigned char>(block[i]);
  return number_of(block.substr(148, 8)) == sum;
}

std::string name_of_header(std::string_view block) {
  std::string name(until_nul(block.substr(0, 100)));
  const std::string_view prefix = until_nul(block.substr(345, 155));
  if (block.substr(257, 6) == std::string_view("ustar\0", 6) && !prefix.empty()) return std::string(prefix) + "/" + name;
  return name;
}

TarMember::Kind kind_of_member(char type) {
  if (type == '0' || type == '\0' || type == '7') return TarMember::Kind::file;
  if (type == '1' || type == '2') return TarMember::Kind::link;
  return type == '5' ? TarMember::Kind::folder : TarMember::Kind::other;
}

/// Whether the size in the header is that of data behind it: links, devices and folders have none, whatever it says.
bool has_data(char type) { return !(type >= '1' && type <= '6'); }

}  // namespace

bool TarMembers::fill() {
  if (at_ < buffer_.size()) return true;
  buffer_.resize(kTarPiece);
  buffer_.resize(archive_->read(buffer_.data(), buffer_.size()));
  at_ = 0;
  return !buffer_.empty();
}

/// @return how many bytes there were, fewer than `size` only at the end
std::size_t TarMembers::take(char* into, std::size_t size) {
  std::size_t done = 0;
  while (done < size && fill()) {
    const std::size_t count = std::min(size - done, buffer_.size() - at_);
    std::memcpy(into + done, buffer_.data() + at_, count);
    at_ += count;
    done += count;
  }
  position_ += static_cast<std::int64_t>(done);
  return done;
}

bool TarMembers::skip(std::int64_t size) {
  while (size > 0 && fill()) {
    const auto count = std::min(size, static_cast<std::int64_t>(buffer_.size() - at_));
    at_ += static_cast<std::size_t>(count);
    position_ += count;
    size -= count;
  }
  return size == 0;
}

/// The next block that is not all zeros. False at the end, with the state.
bool TarMembers::read_block(char* block, State& state) {
  for (;;) {
    const std::size_t count = take(block, kBlock);
    const bool zeros = std::all_of(block, block + count, [](char c) { return c == '\0'; });
    if (count < kBlock) {
      state = zeros_seen_ && zeros ? State::end : State::cut_off;
      return false;
    }
    if (!zeros) break;
    zeros_seen_ = true;
  }
  zeros_seen_ = false;
  if (has_right_sum({block, kBlock})) return true;
  position_ -= kBlock;
  state = State::damaged;
  return false;
}

bool TarMembers::read_extension(std::int64_t size, std::string& into, State& state) {
  state = State::damaged;
  if (size > kMaxExtension) return false;
  into.resize(static_cast<std::size_t>(size));
  state = State::cut_off;
  return take(into.data(), into.size()) == into.size() && skip(padding_of(size));
}

/// Records "LENGTH KEY=VALUE\n", where the length is that of the record.
bool TarMembers::read_pax(std::int64_t size, std::string& name, std::int64_t& data_size, bool& sparse, State& state) {
  std::string records;
  if (!read_extension(size, records, state)) return false;
  state = State::damaged;
  for (std::string_view rest = records; !rest.empty();) {
    std::size_t length = 0;
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), length);
    const auto digits = static_cast<std::size_t>(end - rest.data());
    if (error != std::errc() || length > rest.size() || length < digits + 3 || rest[digits] != ' ' || rest[length - 1] != '\n')
      return false;
    const std::string_view record = rest.substr(digits + 1, length - digits - 2);
    rest.remove_prefix(length);
    const std::size_t equals = record.find('=');
    if (equals == std::string_view::npos) return false;
    const std::string_view key = record.substr(0, equals), value = record.substr(equals + 1);
    sparse = sparse || key.starts_with("GNU.sparse.");
    if (key == "path") name = value;
    if (key != "size") continue;
    const auto [size_end, size_error] = std::from_chars(value.data(), value.data() + value.size(), data_size);
    if (size_error != std::errc() || size_end != value.data() + value.size() || data_size < 0 || data_size > kMaxMember) return false;
  }
  return true;
}

TarMembers::State TarMembers::next(TarMember& member) {
  if (!skip(unread_ + padding_)) return State::cut_off;
  unread_ = padding_ = 0;
  State state = State::member;
  std::string long_name;
  std::int64_t pax_size = -1;
  bool sparse = false;
  for (bool first = true;; first = false) {
    char block[kBlock];
    if (!read_block(block, state)) return first || state != State::end ? state : State::cut_off;
    const std::string_view header(block, kBlock);
    if (first) member.header = position_ - static_cast<std::int64_t>(kBlock);
    const char type = header[156];
    const auto size = number_of(header.substr(124, 12));
    if (!size) return State::damaged;
    std::string ignored;
    if (type == 'L' || type == 'K') {  // GNU: a long name, of this member or of what it links to
      if (!read_extension(*size, type == 'L' ? long_name : ignored, state)) return state;
      long_name = until_nul(long_name);
    } else if (type == 'x' || type == 'X') {
      if (!read_pax(*size, long_name, pax_size, sparse, state)) return state;
    } else if (type == 'g') {  // of all members: names and sizes are not among them
      if (!read_extension(*size, ignored, state)) return state;
    } else {
      member.name = long_name.empty() ? name_of_header(header) : long_name;
      member.kind = sparse ? TarMember::Kind::other : kind_of_member(type);
      member.size = !has_data(type) ? 0 : pax_size >= 0 ? pax_size : *size;
      if (type == 'S')  // GNU: the map of a sparse file goes on in blocks of its own
        for (bool more = block[482] != '\0'; more; more = block[504] != '\0')
          if (take(block, kBlock) < kBlock) return State::cut_off;
      member.data = position_;
      unread_ = member.size;
      padding_ = padding_of(member.size);
      return State::member;
    }
  }
}

bool TarMembers::read(std::string& data) {
  data.clear();
  while (unread_ > 0 && fill()) {  // in pieces: the header may promise more than there is
    const auto count = static_cast<std::size_t>(std::min(unread_, static_cast<std::int64_t>(buffer_.size() - at_)));
    data.append(buffer_, at_, count);
    at_ += count;
    position_ += static_cast<std::int64_t>(count);
    unread_ -= static_cast<std::int64_t>(count);
  }
  return unread_ == 0;
}

}  // namespace longhaul::ingest
