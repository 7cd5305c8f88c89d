// checkpoint/state_hash.h — one hash of the whole training state, which can be computed in parts.
//
// XXH3-128 of fixed blocks of 65,536 elements → tensor → root, over weights, moments and EMA in that order, tensors in ParamTable order.
// Names and shapes are part of a tensor's digest. Two runs are the same if and only if their hashes are: the hash depends on the logical
// tensors alone, never on threads, ranks or layout, and a rank that owns some blocks hashes just those (the blocks are the pieces of ZeRO).
// A tensor split in T virtual shards will list its blocks shard by shard; T = 1 here, and the count is part of the digest.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/registry.h"

namespace longhaul::checkpoint {

inline constexpr std::int64_t kHashBlockElements = 65'536;

/// 128 bits, most significant byte first (XXH128's canonical form).
struct Digest {
  std::array<unsigned char, 16> bytes{};
  bool operator==(const Digest&) const = default;
  std::string hex() const;
};
/// The inverse of hex(); nothing if the text is not 32 lower-case hexadecimal digits.
std::optional<Digest> digest_from_hex(std::string_view text);

/// One block: at most kHashBlockElements values, as their little-endian bytes.
Digest hash_block(std::span<const float> block);
/// One tensor from the digests of its blocks, in order.
Digest hash_tensor(std::string_view group, std::string_view name, std::span<const std::int64_t> shape, std::span<const Digest> blocks);
/// The root from the digests of all tensors, in order.
Digest hash_root(std::span<const Digest> tensors);

struct StateHash {
  Digest root;
  std::vector<Digest> tensors;  ///< in the order of the registry handed in
};
/// Hashes the whole registry. threads ≥ 1 divide the blocks; the result does not depend on it.
StateHash hash_state(std::span<const TensorEntry> tensors, int threads = 1);

}  // namespace longhaul::checkpoint
