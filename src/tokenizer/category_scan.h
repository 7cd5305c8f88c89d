// tokenizer/category_scan.h — the scanners of o200k_base's form (also Tekken's) and of DeepSeek's, whose expressions tell upper from lower
// case, marks, and punctuation. They give the pieces of the published expressions (tokenizer/pretokenizer.cpp), whose backtracking is
// worked out in the comments; category_scan_test.cpp compares them with PCRE2.
//
// Text is as in tokenizer/pretokenizer_scan.h.
#pragma once

#include <immintrin.h>

#include <array>
#include <bit>

#include "tokenizer/pretokenizer_scan.h"
#include "tokenizer/unicode_categories.h"

namespace longhaul::tokenizer::scan {

inline constexpr std::array<Category, 128> kAsciiCategory = [] {
  std::array<Category, 128> categories{};
  for (char32_t c = 0; c < 128; ++c) categories[c] = category_of(c);
  return categories;
}();

struct Categorized {
  Category category;
  const char* next;  // behind it
};

inline Categorized category_at(const char* p) {
  if (is_ascii(p)) [[likely]]
    return {kAsciiCategory[static_cast<unsigned char>(*p)], p + 1};
  const CodePoint c = code_point_at_wide(p);
  return {category_of(c.value), c.next};
}

// How many of the 16 bytes at p, counted from the first, are a-z.
inline unsigned ascii_lower_letters(const char* p) {
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  const __m128i shifted = _mm_add_epi8(bytes, _mm_set1_epi8(static_cast<char>(-128 - 'a')));  // as in ascii_letters()
  const __m128i letters = _mm_cmplt_epi8(shifted, _mm_set1_epi8(-128 + 26));
  return static_cast<unsigned>(std::countr_one(static_cast<unsigned>(_mm_movemask_epi8(letters))));
}

inline bool is_lower_part(Category c) { return c == Category::lower || c == Category::caseless || c == Category::mark; }
inline bool is_word_part(Category c) { return c == Category::upper || is_lower_part(c); }

// [\p{Ll}\p{Lm}\p{Lo}\p{M}]*
inline const char* skip_lower_part(const char* p, const char* end) {
  while (end - p >= 16) {
    const unsigned count = ascii_lower_letters(p);
    p += count;
    if (count < 16) break;
  }
  while (p < end) {
    const Categorized c = category_at(p);
    if (!is_lower_part(c.category)) break;
    p = c.next;
  }
  return p;
}

// U*W+|U+W* with U = [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}], W = [\p{Ll}\p{Lm}\p{Lo}\p{M}]; nullptr where neither matches.
//
// U* takes all it can. If a lower letter follows, W+ goes on with it. If not, U* gives back characters until W+ can have one: the last that
// has no case, so the word ends behind that. If there is none, the second alternative takes all of U*.
inline const char* cased_word(const char* p, const char* end) {
  const char* behind_caseless = nullptr;
  const char* q = p;
  while (q < end) {
    const Categorized c = category_at(q);
    if (c.category == Category::lower) return skip_lower_part(c.next, end);
    if (!is_word_part(c.category)) break;
    q = c.next;
    if (c.category != Category::upper) behind_caseless = q;
  }
  if (behind_caseless != nullptr) return behind_caseless;
  return q > p ? q : nullptr;
}

// \s*[\r\n]+|\s+(?!\S)|\s+ as white_space() has it, but for line ends at the end of the text, which the published expression takes first.
// @param at    category_at(), or what sees the end of a part of the text
// @param stop  what `at` shows at the end of the part, which is an end of the text here; nothing behind white space is white space
template <typename At>
inline const char* published_white_space(At at, const char* p, const char* end, Category stop = Category::space) {
  const char* last = p;
  const char* behind_newline = nullptr;
  bool to_the_end = true;
  const char* run = p;
  while (run < end) {
    const Categorized c = at(run);
    if (c.category != Category::space) {
      to_the_end = c.category == stop;
      break;
    }
    last = run;
    if (is_newline(*run)) behind_newline = c.next;
    run = c.next;
  }
  if (behind_newline != nullptr) return behind_newline;
  return to_the_end || last == p ? run : last;
}

// X?U*W+(?i:'s|…)?|X?U+W*(?i:'s|…)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+ with X = [^\r\n\p{L}\p{N}].
// A mark is in X, U and W; whether X has it or not, the word ends at the same place, or is the mark alone.
// Tekken: no contractions, and single numbers.
template <bool kContractions, int kNumbers>
inline const char* o200k_piece(const char* p, const char* end) {
  const Categorized first = category_at(p);
  if (first.category == Category::number) return up_to_numbers(kNumbers - 1, first.next, end);
  const char* word = nullptr;
  if (is_word_part(first.category))
    word = cased_word(p, end);
  else if (!is_newline(*p))
    word = cased_word(first.next, end);
  if (word != nullptr) {
    if (kContractions && word < end && *word == '\'') return word + contraction<true>(word, end);
    return word;
  }
  const auto is_other = [](Category c) { return c == Category::symbol || c == Category::other || c == Category::mark; };
  const char* q = *p == ' ' ? first.next : p;
  const char* const begin = q;
  for (; q < end; q = category_at(q).next)
    if (!is_other(category_at(q).category)) break;
  if (q == begin) return published_white_space(category_at, p, end);
  while (q < end && (is_newline(*q) || *q == '/')) ++q;
  return q;
}

// DeepSeek cuts three times: out come runs of up to three numbers, then runs of [一-龥\u3040-ゟ゠-ヿ], and what is left between them is cut
// by the third expression, which sees nothing beyond. A scanner of the third therefore sees all other characters as numbers, of which it
// has none itself.
inline bool is_chinese_or_kana(char32_t c) { return (c >= 0x4E00 && c <= 0x9FA5) || (c >= 0x3040 && c <= 0x30FF); }

/// @tparam kChineseOrKana  in such a run; else between them
template <bool kChineseOrKana>
inline Categorized category_in_part(const char* p) {
  if (is_ascii(p)) return {kChineseOrKana ? Category::number : kAsciiCategory[static_cast<unsigned char>(*p)], p + 1};
  const CodePoint c = code_point_at_wide(p);
  return {is_chinese_or_kana(c.value) == kChineseOrKana ? category_of(c.value) : Category::number, c.next};
}

// [!-/:-~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+ ; p where nothing matches.
template <bool kChineseOrKana>
inline const char* deepseek_match(const char* p, const char* end) {
  const auto at = category_in_part<kChineseOrKana>;
  const auto is_at = [&](const char* q, Category category) { return q < end && at(q).category == category; };
  const auto letters = [&](const char* q) {
    if constexpr (!kChineseOrKana) {
      while (end - q >= 16) {
        const unsigned count = ascii_letters(q);
        q += count;
        if (count < 16) break;
      }
    }
    while (q < end) {
      const Categorized c = at(q);
      if (!is_word_part(c.category)) break;
      q = c.next;
    }
    return q;
  };
  const Categorized first = at(p);
  if (first.category == Category::symbol && is_ascii(p)) {
    const char* q = first.next;
    while (q < end && is_ascii(q) && is_word_part(at(q).category)) ++q;  // of ASCII only letters are
    if (q > first.next) return q;
  }
  if (is_word_part(first.category)) return letters(first.next);
  if (first.category != Category::symbol && !is_newline(*p)) {
    const char* const stop = letters(first.next);
    if (stop > first.next) return stop;
  }
  const char* q = *p == ' ' ? first.next : p;
  if (is_at(q, Category::symbol)) {
    while (is_at(q, Category::symbol)) q = at(q).next;
    while (is_at(q, Category::space) && is_newline(*q)) ++q;  // a part of Chinese or kana has none
    return q;
  }
  return first.category == Category::space ? published_white_space(at, p, end, Category::number) : p;
}

template <bool kChineseOrKana>
inline const char* deepseek_part(const char* p, const char* end) {
  const char* stop = deepseek_match<kChineseOrKana>(p, end);
  if (stop > p) return stop;
  const auto at = category_in_part<kChineseOrKana>;
  // What lies between two matches is a piece.
  for (stop = at(p).next; stop < end && at(stop).category != Category::number; stop = at(stop).next)
    if (deepseek_match<kChineseOrKana>(stop, end) > stop) break;
  return stop;
}

inline const char* deepseek_piece(const char* p, const char* end) {
  if (is_ascii(p)) {
    if (kAsciiCategory[static_cast<unsigned char>(*p)] == Category::number) return up_to_numbers(2, p + 1, end);
    return deepseek_part<false>(p, end);
  }
  const CodePoint c = code_point_at_wide(p);
  if (category_of(c.value) == Category::number) return up_to_numbers(2, c.next, end);
  return is_chinese_or_kana(c.value) ? deepseek_part<true>(p, end) : deepseek_part<false>(p, end);
}

/// The kinds that have a scanner.
constexpr bool is_scanned(PatternKind kind) { return kind != PatternKind::whole && kind != PatternKind::other; }

/// Calls visit with the scanner of `kind`, a function (p, end) → end of the piece that begins at p; is_scanned(kind).
template <typename Visit>
void with_scanner(PatternKind kind, Visit visit) {
  switch (kind) {
    case PatternKind::gpt2:
      return visit([](const char* p, const char* end) { return gpt2_piece(p, end); });
    case PatternKind::cl100k_base:
      return visit([](const char* p, const char* end) { return cl100k_piece<3>(p, end); });
    case PatternKind::nanochat:
      return visit([](const char* p, const char* end) { return cl100k_piece<2>(p, end); });
    case PatternKind::qwen2:
      return visit([](const char* p, const char* end) { return cl100k_piece<1>(p, end); });
    case PatternKind::o200k_base:
      return visit([](const char* p, const char* end) { return o200k_piece<true, 3>(p, end); });
    case PatternKind::tekken:
      return visit([](const char* p, const char* end) { return o200k_piece<false, 1>(p, end); });
    case PatternKind::deepseek_v3:
      return visit([](const char* p, const char* end) { return deepseek_piece(p, end); });
    case PatternKind::whole:
    case PatternKind::other:
      return;
  }
}

}  // namespace longhaul::tokenizer::scan
