// tokenizer/pretokenizer_scan.h — the scanners behind tokenizer/pretokenizer.h, as templates so that the encoder's loop contains them.
//
// Text is a range of bytes [p, end) of valid UTF-8. Every function returns the first byte behind what it scans. The ASCII
// table and the vector of 16 letters handle nearly all English text; other scripts go through the Unicode tables.
#pragma once

#include <immintrin.h>

#include <array>
#include <bit>

#include "tokenizer/pattern.h"
#include "tokenizer/unicode_tables.h"

namespace longhaul::tokenizer::scan {

inline constexpr std::array<CharClass, 128> kAsciiClass = [] {
  std::array<CharClass, 128> classes{};
  for (char32_t c = 0; c < 128; ++c) classes[c] = class_of(c);
  return classes;
}();

struct Char {
  CharClass char_class;
  const char* next;  // behind it
};

struct CodePoint {
  char32_t value;
  const char* next;  // behind it
};

inline CodePoint code_point_at_wide(const char* p) {
  const auto byte = [p](int i) { return static_cast<unsigned char>(p[i]); };
  const char32_t lead = byte(0);
  if (lead < 0xE0) return {(lead & 0x1F) << 6 | (byte(1) & 0x3Fu), p + 2};
  if (lead < 0xF0) return {(lead & 0x0F) << 12 | (byte(1) & 0x3Fu) << 6 | (byte(2) & 0x3Fu), p + 3};
  const char32_t high = (lead & 0x07) << 18 | (byte(1) & 0x3Fu) << 12;
  return {high | (byte(2) & 0x3Fu) << 6 | (byte(3) & 0x3Fu), p + 4};
}

inline Char char_at_wide(const char* p) {
  const CodePoint c = code_point_at_wide(p);
  return {class_of(c.value), c.next};
}

inline bool is_ascii(const char* p) { return static_cast<signed char>(*p) >= 0; }

inline Char char_at(const char* p) {
  if (is_ascii(p)) [[likely]]
    return {kAsciiClass[static_cast<unsigned char>(*p)], p + 1};
  return char_at_wide(p);
}

// How many of the 16 bytes at p, counted from the first, are A-Z or a-z.
inline unsigned ascii_letters(const char* p) {
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  const __m128i folded = _mm_or_si128(bytes, _mm_set1_epi8(0x20));
  // Shifted so that 'a' is the smallest signed byte: letters are the 26 smallest, and no byte >= 0x80 comes among them.
  const __m128i shifted = _mm_add_epi8(folded, _mm_set1_epi8(static_cast<char>(-128 - 'a')));
  const __m128i letters = _mm_cmplt_epi8(shifted, _mm_set1_epi8(-128 + 26));
  return static_cast<unsigned>(std::countr_one(static_cast<unsigned>(_mm_movemask_epi8(letters))));
}

// The run of characters of one class that begins at p; may be empty.
template <CharClass kClass>
inline const char* skip(const char* p, const char* end) {
  if constexpr (kClass == CharClass::letter) {
    while (end - p >= 16) {
      const unsigned count = ascii_letters(p);
      p += count;
      if (count < 16) break;
    }
  }
  while (p < end) {
    const Char c = char_at(p);
    if (c.char_class != kClass) break;
    p = c.next;
  }
  return p;
}

// Length of 's 't 'm 'd 'll 've 're behind an apostrophe at p, 0 if none. Ignoring case, Unicode folds U+017F (ſ) to s.
template <bool kFold>
inline int contraction(const char* p, const char* end) {
  const auto letter = [&](int i) {
    if (end - p <= i) return '\0';
    return kFold && p[i] >= 'A' && p[i] <= 'Z' ? static_cast<char>(p[i] + 32) : p[i];
  };
  switch (letter(1)) {
    case 's':
    case 'd':
    case 'm':
    case 't':
      return 2;
    case 'l':
      return letter(2) == 'l' ? 3 : 0;
    case 'v':
    case 'r':
      return letter(2) == 'e' ? 3 : 0;
    case '\xC5':
      return kFold && letter(2) == '\xBF' ? 3 : 0;
    default:
      return 0;
  }
}

inline bool is_newline(char c) { return c == '\r' || c == '\n'; }

// \s++$ | \s*[\r\n] (kNewlines) | \s+(?!\S) | \s : all of it at the end of the text, else up to the last line end (kNewlines),
// else all but the last character, which belongs to what follows, unless it is the only one.
template <bool kNewlines>
inline const char* white_space(const char* p, const char* end) {
  const char* last = p;
  const char* behind_newline = nullptr;
  const char* run = p;
  while (run < end) {
    const Char c = char_at(run);
    if (c.char_class != CharClass::space) break;
    last = run;
    if (is_newline(*run)) behind_newline = c.next;
    run = c.next;
  }
  if (run == end) return end;
  if (kNewlines && behind_newline != nullptr) return behind_newline;
  return last == p ? run : last;
}

// '(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s
inline const char* gpt2_piece(const char* p, const char* end) {
  const bool space = *p == ' ' && end - p > 1;
  const Char c = char_at(p + space);
  switch (c.char_class) {
    case CharClass::letter:
      return skip<CharClass::letter>(c.next, end);
    case CharClass::number:
      return skip<CharClass::number>(c.next, end);
    case CharClass::space:
      return white_space<false>(p, end);
    case CharClass::other:
      break;
  }
  if (*p == '\'') {
    if (const int length = contraction<false>(p, end)) return p + length;
  }
  return skip<CharClass::other>(c.next, end);
}

inline const char* punctuation_and_newlines(const char* p, const char* end) {
  p = skip<CharClass::other>(p, end);
  while (p < end && is_newline(*p)) ++p;
  return p;
}

inline const char* up_to_numbers(int count, const char* p, const char* end) {
  for (int i = 0; i < count && p < end; ++i) {
    const Char c = char_at(p);
    if (c.char_class != CharClass::number) break;
    p = c.next;
  }
  return p;
}

// '(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s
// kNumbers: how many numbers a piece of them may have (3; Qwen 2: 1; nanochat: 2).
template <int kNumbers>
inline const char* cl100k_piece(const char* p, const char* end) {
  const Char first = char_at(p);
  if (first.char_class == CharClass::letter) return skip<CharClass::letter>(first.next, end);
  if (first.char_class == CharClass::number) return up_to_numbers(kNumbers - 1, first.next, end);
  if (*p == '\'') {
    if (const int length = contraction<true>(p, end)) return p + length;
  }
  if (first.next < end && !is_newline(*p)) {
    const Char second = char_at(first.next);
    if (second.char_class == CharClass::letter) return skip<CharClass::letter>(second.next, end);
    if (*p == ' ' && second.char_class == CharClass::other) return punctuation_and_newlines(second.next, end);
  }
  if (first.char_class == CharClass::other) return punctuation_and_newlines(first.next, end);
  return white_space<true>(p, end);
}

}  // namespace longhaul::tokenizer::scan
