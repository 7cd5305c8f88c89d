// tokenizer/bpe_encode.h — byte-pair encoding of one piece.
//
// The rule: of all adjacent pairs that have a merge, take the one of lowest rank, the leftmost on ties; merge; repeat until none is
// left. Short pieces search a small array for the lowest rank; long ones keep a heap of (rank, position) whose outdated entries are
// dropped when they are popped, so that a run of 100,000 equal letters costs O(m log m) and not O(m²).
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "tokenizer/bpe_tables.h"

namespace longhaul::tokenizer {

/// Pieces up to this length are searched, longer ones use the heap. The heap's bookkeeping pays from about 100 bytes on (as tiktoken
/// found too); either gives the same ids.
inline constexpr std::size_t kSearchedPieceBytes = 100;

/// Appends the ids of one piece, the whole piece first if the vocabulary says so.
/// @throws DataError   a piece of 4 GiB or more
void encode_piece(const BpeTables& tables, std::string_view piece, std::vector<std::int32_t>& ids);

/// The two ways to merge; public for the test that they agree. `piece` is not empty.
void merge_by_search(const BpeTables& tables, std::string_view piece, std::vector<std::int32_t>& ids);
void merge_by_heap(const BpeTables& tables, std::string_view piece, std::vector<std::int32_t>& ids);

}  // namespace longhaul::tokenizer
