#include "ingest/text_pieces.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace longhaul::ingest {
namespace {

using Pieces = std::vector<std::string>;

/// The documents of `text`, which arrives in pieces of `size` bytes; each as "line:text".
Pieces pieces_of(const std::string& text, const TextSplit& split, std::size_t size) {
  std::size_t at = 0;
  const auto more = [&](std::string& into) {
    if (at >= text.size()) return false;
    into += text.substr(at, size);
    at += size;
    return true;
  };
  TextPieces pieces(more, split, "f.txt");
  Pieces found;
  std::string_view piece;
  while (pieces.next(piece)) {
    EXPECT_EQ(text.substr(static_cast<std::size_t>(pieces.place().byte), piece.size()), piece);
    found.push_back(std::to_string(pieces.place().line) + ":" + std::string(piece));
  }
  return found;
}

/// The same at every size of the pieces that arrive.
void expect_pieces(const std::string& text, const TextSplit& split, const Pieces& expected) {
  for (std::size_t size = 1; size <= text.size() + 1; ++size) EXPECT_EQ(pieces_of(text, split, size), expected) << size;
}

TEST(TextPieces, AFileIsOneDocumentUnlessItIsDivided) {
  expect_pieces("one\n\n<|endoftext|>\ntwo", {}, {"1:one\n\n<|endoftext|>\ntwo"});
  expect_pieces("", {}, {"1:"});
}

TEST(TextPieces, ASeparatorIsNoTextAndALineOfItsOwnGoesWithIt) {
  const TextSplit split{"<|endoftext|>", false};
  expect_pieces("one\n<|endoftext|>\ntwo\n<|endoftext|>\n", split, {"1:one\n", "3:two\n"});
  expect_pieces("one<|endoftext|>two\n", split, {"1:one", "1:two\n"});
  expect_pieces("one<|endoftext|>\ntwo", split, {"1:one", "1:\ntwo"});
  expect_pieces("one\r\n<|endoftext|>\r\ntwo", split, {"1:one\r\n", "3:two"});
  expect_pieces("<|endoftext|>\none", split, {"1:", "2:one"});
  expect_pieces("a<|endoftext|><|endoftext|>b", split, {"1:a", "1:", "1:b"});
  expect_pieces("no mark <|endof", split, {"1:no mark <|endof"});
  expect_pieces("", split, {"1:"});
}

TEST(TextPieces, ParagraphsAreDividedByBlankLines) {
  const TextSplit split{"", true};
  expect_pieces("one\nstill one\n\ntwo\n \t\r\n\n  three\n", split, {"1:one\nstill one", "4:two", "7:  three"});
  expect_pieces("\n\none\n\n\n", split, {"3:one"});
  expect_pieces("one", split, {"1:one"});
  expect_pieces("", split, {});
}

TEST(TextPieces, MarksThatUsuallyDivideAreCounted) {
  const auto most = [](const std::string& text) {
    KnownSeparators separators;
    separators.count(text);
    std::int64_t times = 0;
    const std::string mark = separators.most_frequent(times);
    return mark.empty() ? "" : std::to_string(times) + " " + mark;
  };
  EXPECT_EQ(most("a<|endoftext|>b<|endoftext|>c<|endoftext|>d</s>"), "3 <|endoftext|>");
  EXPECT_EQ(most("a</s>b</s>c"), "");
  EXPECT_EQ(most("a\n============\nb\n============\nc\n============"), "3 ============");
  EXPECT_EQ(most("a ============ b ============ c ============"), "") << "inside lines";
}

}  // namespace
}  // namespace longhaul::ingest
