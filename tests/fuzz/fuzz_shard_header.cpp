// Token shards from memory: whatever the bytes, the parser throws DataError or gives a view whose every read stays inside them.
//
// Random bytes never have the right hashes, so each input is also tried with its hashes repaired: that reaches the checks behind them.
// rooms: data
#include <xxhash.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "data/shard.h"
#include "units/error.h"

namespace {

using longhaul::data::ShardCheck;
using longhaul::data::ShardHeader;

void read_all(std::span<const std::byte> bytes, ShardCheck check) {
  try {
    const longhaul::data::ShardView view = longhaul::data::parse_shard(bytes, "fuzz", check);
    std::vector<std::int32_t> ids(view.header.token_count);
    view.read(0, ids);
    for (std::uint64_t d = 0; d < view.header.document_count; ++d) (void)view.document(static_cast<std::int64_t>(d));
  } catch (const longhaul::DataError&) {
  }
}

/// Magic, version and both hashes made right; everything else as it came. A header of version 1 has 72 bytes, of version 2 80; the last
/// eight are its hash (docs/formats.md).
void repair(std::vector<std::byte>& bytes, std::uint32_t version) {
  const std::size_t header = version == ShardHeader::kShared ? 72 : 80;
  if (bytes.size() < header) return;
  std::memcpy(bytes.data(), "LHTOKENS", 8);
  std::memcpy(bytes.data() + 8, &version, sizeof version);
  const std::uint64_t body = XXH3_64bits(bytes.data() + header, bytes.size() - header);
  std::memcpy(bytes.data() + 56, &body, sizeof body);
  const std::uint64_t hash = XXH3_64bits(bytes.data(), header - 8);
  std::memcpy(bytes.data() + header - 8, &hash, sizeof hash);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::vector<std::byte> bytes(size);
  if (size > 0) std::memcpy(bytes.data(), data, size);
  read_all(bytes, ShardCheck::structure);
  read_all(bytes, ShardCheck::contents);
  for (const std::uint32_t version : {ShardHeader::kShared, ShardHeader::kSeparate}) {
    repair(bytes, version);
    read_all(bytes, ShardCheck::structure);
    read_all(bytes, ShardCheck::contents);
  }
  return 0;
}
