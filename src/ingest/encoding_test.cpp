#include "ingest/encoding.h"

#include <gtest/gtest.h>

#include <string>

#include "units/utf8.h"

namespace longhaul::ingest {
namespace {

using namespace std::string_literals;

/// `text` (ASCII and the characters below) in an encoding, written out independently of the decoder.
std::string encoded(const std::u32string& text, Encoding encoding) {
  std::string bytes;
  const auto put = [&](char32_t value, int width, bool big) {
    for (int i = 0; i < width; ++i) bytes += static_cast<char>(value >> 8 * (big ? width - 1 - i : i) & 0xFF);
  };
  for (const char32_t c : text) {
    const bool big = encoding == Encoding::utf16be || encoding == Encoding::utf32be;
    if (encoding == Encoding::utf32le || encoding == Encoding::utf32be) {
      put(c, 4, big);
    } else if (c > 0xFFFF) {
      put(0xD800 + ((c - 0x10000) >> 10), 2, big);
      put(0xDC00 + ((c - 0x10000) & 0x3FF), 2, big);
    } else {
      put(c, 2, big);
    }
  }
  return bytes;
}

std::string decoded(const std::string& bytes, Encoding encoding, std::size_t piece = 1) {
  TextDecoder decoder(encoding);
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); i += piece) decoder.decode(std::string_view(bytes).substr(i, piece), text);
  decoder.finish(text);
  return text;
}

constexpr Encoding kWide[] = {Encoding::utf16le, Encoding::utf16be, Encoding::utf32le, Encoding::utf32be};

TEST(Encoding, WideEncodingsAreReadInPiecesOfAnySizeWithAndWithoutTheirMark) {
  const std::u32string text = U"Zeile 1\nüñ 漢 😀 Ende";
  for (const Encoding encoding : kWide)
    for (std::size_t piece = 1; piece < 9; ++piece) {
      EXPECT_EQ(decoded(encoded(text, encoding), encoding, piece), "Zeile 1\nüñ 漢 😀 Ende") << encoding_name(encoding) << piece;
      EXPECT_EQ(decoded(encoded(U"\uFEFF" + text, encoding), encoding, piece), "Zeile 1\nüñ 漢 😀 Ende") << encoding_name(encoding) << piece;
    }
  EXPECT_EQ(decoded("\xEF\xBB\xBFü", Encoding::utf8), "ü");
  EXPECT_EQ(decoded("a\xEF\xBB\xBF", Encoding::utf8), "a\xEF\xBB\xBF") << "inside the text it is a character";
  EXPECT_EQ(decoded("\xEF\xBB\xBF", Encoding::utf8), "");
  EXPECT_EQ(decoded("ab", Encoding::utf8), "ab");
  EXPECT_EQ(decoded("\xFF\xFE", Encoding::utf16le), "");
}

TEST(Encoding, WhatIsIllFormedBecomesAByteThatNoUtf8Holds) {
  EXPECT_EQ(decoded("a\0\0\xD8"s + "b\0"s, Encoding::utf16le),
            "a\xFF"
            "b")
      << "a lone surrogate";
  EXPECT_EQ(decoded("a\0\0\xDC"s, Encoding::utf16le), "a\xFF");
  EXPECT_EQ(decoded("a\0b"s, Encoding::utf16le), "a\xFF") << "half a character at the end";
  EXPECT_EQ(decoded("a\0\x3D\xD8"s, Encoding::utf16le), "a\xFF") << "half a pair at the end";
  EXPECT_EQ(decoded("\0\0\0a\0\x11\0\0"s, Encoding::utf32be), "a\xFF") << "above U+10FFFF";
  EXPECT_EQ(decoded("caf\xE9 \x93x\x94 \x81", Encoding::windows1252), "café “x” \xFF");
}

TEST(Encoding, MarksAndZeroBytesTellEncodingsApart) {
  for (const Encoding encoding : kWide) {
    const std::string text = encoded(U"The quick brown fox. Быстрая лиса.", encoding);
    EXPECT_EQ(wide_encoding(text), encoding) << encoding_name(encoding);
    const ByteOrderMark mark = byte_order_mark(encoded(U"\uFEFFx", encoding));
    EXPECT_EQ(mark.encoding, encoding);
    EXPECT_GT(mark.bytes, 0u);
  }
  EXPECT_EQ(wide_encoding(encoded(U"Быстрая лиса прыгает, и ещё раз прыгает.", Encoding::utf16le)), Encoding::utf16le);
  for (const Encoding encoding : {Encoding::utf16le, Encoding::utf16be})
    EXPECT_EQ(wide_encoding(
                  encoded(U"天地玄黄宇宙洪荒日月盈昃辰宿列张寒来暑往秋收冬藏\n闰余成岁律吕调阳云腾致雨露结为霜金生丽水玉出昆冈", encoding)),
              encoding);
  EXPECT_FALSE(wide_encoding("damaged text \xFF with one \0 zero byte, at an odd place"s.substr(0, 20) + "\x01\0 and more of it"s));
  EXPECT_FALSE(wide_encoding("Plain text, nothing else in it."));
  EXPECT_FALSE(wide_encoding("text with one \0 zero byte in it, somewhere"s));
  EXPECT_FALSE(wide_encoding(std::string(100, '\0')));
  EXPECT_EQ(byte_order_mark("plain").bytes, 0u);
}

TEST(Encoding, Windows1252IsToldFromDamagedUtf8AndFromOther8BitEncodings) {
  EXPECT_TRUE(looks_like_windows1252("Le caf\xE9 \xE0 c\xF4t\xE9 de l'\xE9glise, \x93vu\x94 hier."));
  EXPECT_FALSE(looks_like_windows1252("Le café à côté de l'église, “vu\xE9 hier.")) << "damaged UTF-8";
  EXPECT_FALSE(looks_like_windows1252("\xC2\xFB\xF1\xF2\xF0\xE0\xFF \xEB\xE8\xF1\xE0")) << "Windows-1251";
  EXPECT_FALSE(looks_like_windows1252("plain"));
  EXPECT_FALSE(looks_like_windows1252("one undefined \x81 byte"));
}

TEST(Encoding, BinaryContentIsNamed) {
  EXPECT_EQ(binary_content("%PDF-1.7 …"), "a PDF document");
  EXPECT_EQ(binary_content("\x1F\x8B\x08"), "gzip data");
  EXPECT_EQ(binary_content("PAR1..."), "a Parquet file");
  EXPECT_EQ(binary_content(std::string(257, 'x') + "ustar"), "a tar archive");
  EXPECT_EQ(binary_content("text"), "");
}

TEST(Encoding, NamesAreThoseOfTheOption) {
  for (const std::string& name : encoding_names()) EXPECT_EQ(encoding_name(encoding_from_name(name).value()), name);
  EXPECT_FALSE(encoding_from_name("latin9"));
}

}  // namespace
}  // namespace longhaul::ingest
