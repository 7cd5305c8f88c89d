// ingest/text_pieces.h — a text file as documents: the whole of it, the parts between separators, or its paragraphs.
//
// No more than one document and one piece of input are held in memory. A separator is no text; where it has a line of its own, the end of
// that line goes with it. Paragraphs are divided by lines of nothing but spaces, which belong to none.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace longhaul::ingest {

/// The longest text of one document: its bytes must fit the document index's 32 bits with room.
constexpr std::int64_t kMaxDocumentTextBytes = std::int64_t{1} << 30;

struct TextSplit {
  std::string separator;    ///< divides a text file; empty: none
  bool paragraphs = false;  ///< blank lines divide it
  bool whole() const { return separator.empty() && !paragraphs; }
};

/// Where a document begins in the text of its file (after decompression and conversion to UTF-8).
struct TextPlace {
  std::int64_t line = 1;
  std::int64_t byte = 0;
};

class TextPieces {
 public:
  /// @param more  appends the next piece of the file's text, or returns false at its end
  /// @param file  its name, for errors
  TextPieces(std::function<bool(std::string&)> more, TextSplit split, std::string file)
      : more_(std::move(more)), split_(std::move(split)), file_(std::move(file)) {}

  /// The next document, valid until the next call; it may be empty. False at the end of the file.
  /// @throws DataError for a document over kMaxDocumentTextBytes
  bool next(std::string_view& piece);
  /// Where the document of the last next() begins.
  const TextPlace& place() const { return place_; }

 private:
  struct Cut {
    std::size_t end = 0, next = 0;  // of the document, and where the one behind it begins
  };
  bool find_cut(Cut& cut);
  bool find_separator(Cut& cut);
  bool find_blank_line(Cut& cut);
  void fill();
  void advance(std::size_t next);

  std::function<bool(std::string&)> more_;
  TextSplit split_;
  std::string file_;
  std::string buffer_;
  std::size_t begin_ = 0, searched_ = 0;  // of the document, and up to where no cut was found
  TextPlace place_, next_place_;
  bool ended_ = false, last_given_ = false;
};

/// Counts of marks that usually divide documents, to tell of a file that was not divided.
struct KnownSeparators {
  /// Adds what `text` holds.
  void count(std::string_view text);
  /// The most frequent mark, if it is there at least three times; else an empty string.
  std::string most_frequent(std::int64_t& times) const;

 private:
  std::vector<std::int64_t> marks_;
  std::int64_t rows_ = 0;  // lines of at least ten '=' and nothing else
  std::string row_;        // the first of them
};

}  // namespace longhaul::ingest
