#include "checkpoint/state_hash.h"

#include <xxhash.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstring>
#include <thread>

namespace longhaul::checkpoint {
namespace {

static_assert(std::endian::native == std::endian::little, "the state hash is defined over little-endian bytes");

Digest digest_of(const void* bytes, std::size_t count) {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits(bytes, count));
  Digest digest;
  std::memcpy(digest.bytes.data(), canonical.digest, digest.bytes.size());
  return digest;
}

/// What is hashed above the blocks: lengths before contents, so that no two lists have the same bytes.
class Message {
 public:
  Message& number(std::uint64_t value) { return raw(&value, sizeof value); }
  Message& text(std::string_view value) { return number(value.size()).raw(value.data(), value.size()); }
  Message& digests(std::span<const Digest> values) {
    number(values.size());
    for (const Digest& value : values) raw(value.bytes.data(), value.bytes.size());
    return *this;
  }
  Digest digest() const { return digest_of(bytes_.data(), bytes_.size()); }

 private:
  Message& raw(const void* data, std::size_t count) {
    bytes_.append(static_cast<const char*>(data), count);
    return *this;
  }
  std::string bytes_;
};

std::size_t block_count(std::size_t elements) { return (elements + kHashBlockElements - 1) / kHashBlockElements; }

std::span<const float> block_of(std::span<const float> data, std::size_t block) {
  const std::size_t begin = block * kHashBlockElements;
  return data.subspan(begin, std::min<std::size_t>(kHashBlockElements, data.size() - begin));
}

/// Digests of all blocks of all tensors, in one list.
std::vector<Digest> hash_blocks(std::span<const TensorEntry> tensors, int threads) {
  struct Work {
    std::size_t tensor, block;
  };
  std::vector<Work> work;
  for (std::size_t t = 0; t < tensors.size(); ++t) {
    for (std::size_t b = 0; b < block_count(tensors[t].data.size()); ++b) work.push_back({t, b});
  }
  std::vector<Digest> digests(work.size());
  std::atomic<std::size_t> next{0};
  const auto run = [&] {
    // 16 blocks = 4 MiB a turn: long against the atomic increment, short against the whole.
    constexpr std::size_t kTurn = 16;
    for (std::size_t begin = next.fetch_add(kTurn); begin < work.size(); begin = next.fetch_add(kTurn)) {
      for (std::size_t i = begin; i < std::min(begin + kTurn, work.size()); ++i) {
        digests[i] = hash_block(block_of(tensors[work[i].tensor].data, work[i].block));
      }
    }
  };
  std::vector<std::jthread> helpers;
  for (int i = 1; i < threads; ++i) helpers.emplace_back(run);
  run();
  helpers.clear();  // joins
  return digests;
}

}  // namespace

std::string Digest::hex() const {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const unsigned char byte : bytes) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

std::optional<Digest> digest_from_hex(std::string_view text) {
  Digest digest;
  if (text.size() != 2 * digest.bytes.size()) return std::nullopt;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const int value = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
    if (value < 0) return std::nullopt;
    digest.bytes[i / 2] = static_cast<unsigned char>(digest.bytes[i / 2] * 16 + value);
  }
  return digest;
}

Digest hash_block(std::span<const float> block) { return digest_of(block.data(), block.size_bytes()); }

Digest hash_tensor(std::string_view group, std::string_view name, std::span<const std::int64_t> shape, std::span<const Digest> blocks) {
  constexpr std::uint64_t kVirtualTensorShards = 1;
  Message message;
  message.text(group).text(name).number(shape.size());
  for (const std::int64_t extent : shape) message.number(static_cast<std::uint64_t>(extent));
  return message.number(kVirtualTensorShards).digests(blocks).digest();
}

Digest hash_root(std::span<const Digest> tensors) { return Message().digests(tensors).digest(); }

StateHash hash_state(std::span<const TensorEntry> tensors, int threads) {
  const std::vector<Digest> blocks = hash_blocks(tensors, threads);
  StateHash hash;
  std::size_t first = 0;
  for (const TensorEntry& tensor : tensors) {
    const std::size_t count = block_count(tensor.data.size());
    hash.tensors.push_back(hash_tensor(tensor.group, tensor.name, tensor.shape, std::span(blocks).subspan(first, count)));
    first += count;
  }
  std::vector<Digest> ordered;
  for (const std::size_t index : hash_order(tensors)) ordered.push_back(hash.tensors[index]);
  hash.root = hash_root(ordered);
  return hash;
}

}  // namespace longhaul::checkpoint
