// data/test_stream.h — token streams of a test's own ids, through a shard as training reads them.
#pragma once

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "data/dataset.h"
#include "data/shard.h"
#include "units/test_directory.h"

namespace longhaul::data {

/// A stream of these ids (below vocab_size), with documents that begin at `document_starts`, rising from 0. The first id frames the
/// documents, though a test may let them begin with others. Each document counts one byte of text a token after its first.
inline TokenStream stream_of(const std::vector<std::int32_t>& ids, const std::vector<std::int64_t>& document_starts,
                             std::int64_t vocab_size) {
  const std::int32_t frame = ids.empty() ? 0 : ids.front();
  ShardBuilder builder(static_cast<std::uint32_t>(std::max<std::int64_t>(1, vocab_size)), {frame, frame}, "test");
  for (std::size_t d = 0; d < document_starts.size(); ++d) {
    const std::int64_t end = d + 1 < document_starts.size() ? document_starts[d + 1] : std::ssize(ids);
    const std::vector<std::int32_t> rest(ids.begin() + document_starts[d] + 1, ids.begin() + end);
    builder.add(rest, static_cast<std::uint32_t>(rest.size()), 0);
  }
  ShardHeader header;
  std::vector<std::byte> bytes = builder.finish(header);
  for (const std::int64_t start : document_starts)  // the builder begins each document with <|endoftext|>, a test as it likes
    std::memcpy(bytes.data() + header.bytes() + start * header.token_bytes, &ids[static_cast<std::size_t>(start)], header.token_bytes);
  return TokenStream({Shard::own(std::move(bytes))});
}

}  // namespace longhaul::data
