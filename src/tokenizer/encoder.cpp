// The encoder's loop: cut a piece, look it up, copy its ids.
//
// Text repeats itself: in prose more than 98 % of pieces have been seen a moment ago. So the loop is built around one look-up that
// compares a whole piece in one 16-byte register and copies its ids in one store, seen or not; everything else is the rare path.
#include <immintrin.h>

#include <array>
#include <cstring>
#include <optional>

#include "tokenizer/bpe_encode.h"
#include "tokenizer/category_scan.h"
#include "tokenizer/tokenizer.h"
#include "units/utf8.h"

namespace longhaul::tokenizer {
namespace {

constexpr std::size_t kShortPiece = 15;  // with its length it fills a register
constexpr std::size_t kShortIds = 3;
constexpr int kShortSetBits = 15;  // 2^15 pairs of 32 bytes: 2 MiB, about the words of a language
constexpr std::size_t kLongPiece = 31;
constexpr std::size_t kLongIds = 7;
constexpr int kLongSlotBits = 14;  // 2^14 of 64 bytes: 1 MiB
constexpr std::size_t kOutputIds = 8192;

// A piece of up to 15 bytes, padded with zeros, its length in the last byte: equal keys are equal pieces.
struct alignas(16) ShortKey {
  std::uint64_t low = 0, high = 0;
  bool operator==(const ShortKey&) const = default;
};

struct alignas(32) ShortEntry {
  ShortKey key;
  std::int32_t ids[kShortIds];
  std::uint32_t count;  // 0 = empty (and no key has length 0)
};

struct alignas(64) LongEntry {
  std::array<char, kLongPiece> piece;
  std::uint8_t length;
  std::array<std::int32_t, kLongIds> ids;
  std::uint32_t count;
};

static_assert(sizeof(ShortEntry) == 32 && sizeof(LongEntry) == 64);

// Bytes 0..n-1 of a register survive the mask that begins at kMask + 16 - n.
alignas(16) constexpr std::array<std::uint8_t, 32> kMask = [] {
  std::array<std::uint8_t, 32> mask{};
  for (std::size_t i = 0; i < 16; ++i) mask[i] = 0xFF;
  return mask;
}();

inline ShortKey short_key(const char* p, std::size_t length, const char* text_end) {
  ShortKey key;
  if (text_end - p >= 16) [[likely]] {
    const __m128i mask = _mm_loadu_si128(reinterpret_cast<const __m128i*>(kMask.data() + 16 - length));
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    _mm_store_si128(reinterpret_cast<__m128i*>(&key), _mm_and_si128(bytes, mask));
  } else {
    std::memcpy(&key, p, length);
  }
  key.high |= static_cast<std::uint64_t>(length) << 56;
  return key;
}

// Two multiplications spread all 128 bits into the upper ones (odd constants from the digits of √2 and √3).
inline std::size_t short_set(const ShortKey& key) {
  return ((key.low * 0x6A09E667F3BCC909u) ^ (key.high * 0xBB67AE8584CAA73Bu)) * 0x9E3779B97F4A7C15u >> (64 - kShortSetBits);
}

}  // namespace

struct Encoder::Cache {
  std::vector<ShortEntry> short_entries = std::vector<ShortEntry>(std::size_t{2} << kShortSetBits);
  std::vector<LongEntry> long_entries = std::vector<LongEntry>(std::size_t{1} << kLongSlotBits);
  std::vector<std::int32_t> output = std::vector<std::int32_t>(kOutputIds);
  std::vector<std::int32_t> piece_ids;

  std::optional<Cutter> cutter;  // of a pattern that has no scanner
  std::vector<Range> parts;
  std::vector<AddedTokenSearch::Match> in_text, in_normalized;

  /// Cuts and encodes; text that was normalised already.
  void encode_marked(const BpeTables& tables, std::string_view text, std::vector<std::int32_t>& ids);
  /// Normalises a part of a document that holds no added token of the first kind, looks for those of the second, encodes the rest.
  void encode_part(const BpeTables& tables, std::string_view part, bool is_first, std::vector<std::int32_t>& ids);
  /// The ids of a document that must be searched for added tokens or changed before it is cut.
  void encode_by_rules(const BpeTables& tables, std::string_view text, std::vector<std::int32_t>& ids);

 private:
  template <typename NextPiece>
  void encode(NextPiece next_piece, const BpeTables& tables, std::string_view text, std::vector<std::int32_t>& ids);
  const std::vector<std::int32_t>& encode_rare(const BpeTables& tables, std::string_view piece);
  static void remember(ShortEntry* set, const ShortKey& key, const std::vector<std::int32_t>& ids);
};

// Pieces that are not in the short entries: long ones, ones with many ids, new ones.
const std::vector<std::int32_t>& Encoder::Cache::encode_rare(const BpeTables& tables, std::string_view piece) {
  piece_ids.clear();
  if (piece.size() > kLongPiece) {
    encode_piece(tables, piece, piece_ids);
    return piece_ids;
  }
  std::uint64_t hash = piece.size();
  for (std::size_t i = 0; i < piece.size(); i += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, piece.data() + i, std::min<std::size_t>(8, piece.size() - i));
    hash = (hash ^ word) * 0x9E3779B97F4A7C15u;
    hash ^= hash >> 32;
  }
  LongEntry& entry = long_entries[hash >> (64 - kLongSlotBits)];
  if (entry.count != 0 && std::string_view(entry.piece.data(), entry.length) == piece) {
    piece_ids.assign(entry.ids.begin(), entry.ids.begin() + entry.count);
    return piece_ids;
  }
  encode_piece(tables, piece, piece_ids);
  const bool short_enough = piece.size() <= kShortPiece && piece_ids.size() <= kShortIds;  // those live in the short entries
  if (!short_enough && piece_ids.size() <= kLongIds) {
    std::copy(piece.begin(), piece.end(), entry.piece.begin());
    entry.length = static_cast<std::uint8_t>(piece.size());
    std::copy(piece_ids.begin(), piece_ids.end(), entry.ids.begin());
    entry.count = static_cast<std::uint32_t>(piece_ids.size());
  }
  return piece_ids;
}

// The newest goes first, the other one stays second: a set forgets the piece that was not seen for longest.
void Encoder::Cache::remember(ShortEntry* set, const ShortKey& key, const std::vector<std::int32_t>& ids) {
  if (ids.size() > kShortIds) return;
  set[1] = set[0];
  set[0].key = key;
  std::copy(ids.begin(), ids.end(), set[0].ids);
  set[0].count = static_cast<std::uint32_t>(ids.size());
}

// @param next_piece   (p, end) → end of the piece that begins at p
template <typename NextPiece>
void Encoder::Cache::encode(NextPiece next_piece, const BpeTables& tables, std::string_view text, std::vector<std::int32_t>& ids) {
  const char* p = text.data();
  const char* const end = p + text.size();
  std::int32_t* const out_begin = output.data();
  std::int32_t* const out_limit = out_begin + kOutputIds - 4;  // room for one store of a short entry
  std::int32_t* out = out_begin;
  const auto flush = [&] { ids.insert(ids.end(), out_begin, out), out = out_begin; };
  while (p < end) {
    const char* const stop = next_piece(p, end);
    const auto length = static_cast<std::size_t>(stop - p);
    if (out >= out_limit) flush();
    if (length <= kShortPiece) [[likely]] {
      const ShortKey key = short_key(p, length, end);
      ShortEntry* const set = short_entries.data() + 2 * short_set(key);
      if (set[0].key != key && set[1].key == key) std::swap(set[0], set[1]);
      if (set[0].key == key) [[likely]] {
        _mm_storeu_si128(reinterpret_cast<__m128i*>(out), _mm_load_si128(reinterpret_cast<const __m128i*>(set[0].ids)));
        out += set[0].count;
        p = stop;
        continue;
      }
      remember(set, key, encode_rare(tables, {p, length}));
    } else {
      encode_rare(tables, {p, length});
    }
    flush();
    ids.insert(ids.end(), piece_ids.begin(), piece_ids.end());
    p = stop;
  }
  flush();
}

void Encoder::Cache::encode_marked(const BpeTables& tables, std::string_view text, std::vector<std::int32_t>& ids) {
  const Pattern& pattern = tables.pattern();
  if (scan::is_scanned(pattern.kind())) {
    return scan::with_scanner(pattern.kind(), [&](auto piece) { encode(piece, tables, text, ids); });
  }
  if (pattern.kind() == PatternKind::whole) {
    parts.clear();
    if (tables.units() == Units::characters) {
      tables.cut_before_metaspace(text, parts);
    } else if (!text.empty()) {
      parts.push_back({0, text.size()});
    }
  } else if (!cutter) {
    cutter.emplace(tables.compiled_pattern());
  }
  const std::vector<Range>& pieces = pattern.kind() == PatternKind::whole ? parts : cutter->cut(text);
  // Runs of pieces without a gap go through the loop together.
  for (std::size_t first = 0; first < pieces.size();) {
    std::size_t last = first + 1;
    while (last < pieces.size() && pieces[last].begin == pieces[last - 1].end) ++last;
    std::size_t at = first;
    const std::size_t begin = pieces[first].begin;
    encode([&](const char*, const char*) { return text.data() + pieces[at++].end; }, tables,
           text.substr(begin, pieces[last - 1].end - begin), ids);
    first = last;
  }
}

void Encoder::Cache::encode_part(const BpeTables& tables, std::string_view part, bool is_first, std::vector<std::int32_t>& ids) {
  const TextRules& rules = tables.rules();
  const std::string normalized = rules.normalized(std::string(part));
  in_normalized.clear();
  tables.added_in_normalized().find_all(normalized, in_normalized);
  in_normalized.push_back({normalized.size(), normalized.size(), kNoId});
  std::size_t begin = 0;
  for (const AddedTokenSearch::Match& match : in_normalized) {
    if (begin < match.begin) {
      encode_marked(tables, rules.marked(normalized.substr(begin, match.begin - begin), is_first && begin == 0), ids);
    }
    if (match.id != kNoId) ids.push_back(match.id);
    begin = match.end;
  }
}

void Encoder::Cache::encode_by_rules(const BpeTables& tables, std::string_view text, std::vector<std::int32_t>& ids) {
  in_text.clear();
  tables.added_in_text().find_all(text, in_text);
  in_text.push_back({text.size(), text.size(), kNoId});
  std::size_t begin = 0;
  for (const AddedTokenSearch::Match& match : in_text) {
    if (begin < match.begin) encode_part(tables, text.substr(begin, match.begin - begin), begin == 0, ids);
    if (match.id != kNoId) ids.push_back(match.id);
    begin = match.end;
  }
}

Encoder::Encoder(Tokenizer tokenizer) : tokenizer_(std::move(tokenizer)), cache_(std::make_unique<Cache>()) {}
Encoder::~Encoder() = default;
Encoder::Encoder(Encoder&&) noexcept = default;
Encoder& Encoder::operator=(Encoder&&) noexcept = default;

void Encoder::encode_into(std::string_view text, std::vector<std::int32_t>& ids) {
  std::string repaired;
  if (first_invalid_utf8(text)) {
    repaired = replace_invalid_utf8(text);
    text = repaired;
  }
  const BpeTables& tables = tokenizer_.tables();
  if (tables.added_in_text().empty() && tables.added_in_normalized().empty() && tables.rules().empty()) {
    return cache_->encode_marked(tables, text, ids);
  }
  cache_->encode_by_rules(tables, text, ids);
}

}  // namespace longhaul::tokenizer
