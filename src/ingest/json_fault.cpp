#include "ingest/json_fault.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>

namespace longhaul::ingest {

namespace {

constexpr int kMaxDepth = 64;  // as the parser's (ingest/json_row.cpp)

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// The value of four hexadecimal digits at `at`; nothing when they are not there.
std::optional<unsigned> hex4(std::string_view text, std::size_t at) {
  if (at + 4 > text.size()) return std::nullopt;
  unsigned value = 0;
  for (std::size_t i = at; i < at + 4; ++i) {
    const char c = text[i];
    const int digit = is_digit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
    if (digit < 0) return std::nullopt;
    value = value * 16 + static_cast<unsigned>(digit);
  }
  return value;
}

/// Length of the escape `\uXXXX` at `at` that is well-formed as a character: 6, 12 for a pair, 0 for half of one.
std::size_t character_escape(std::string_view text, std::size_t at, unsigned value) {
  if (value < 0xD800 || value > 0xDFFF) return 6;
  if (value > 0xDBFF || text.substr(at + 6, 2) != "\\u") return 0;
  const auto second = hex4(text, at + 8);
  return second && *second >= 0xDC00 && *second <= 0xDFFF ? 12 : 0;
}

/// Reads a JSON document by RFC 8259 until something is wrong.
class FaultFinder {
 public:
  explicit FaultFinder(std::string_view text) : text_(text) {}

  JsonFault find() {
    space();
    if (value(0)) {
      space();
      if (at_ < text_.size()) trailing();
    }
    if (!fault_) wrong("no JSON", "no JSON document");
    return *fault_;
  }

 private:
  bool wrong(std::string_view reason, std::string what) {
    if (!fault_) fault_ = JsonFault{std::string(reason), std::move(what), std::min(at_, text_.size())};
    return false;
  }
  bool cut_off(std::string_view inside) {
    at_ = text_.size();
    return wrong(kTruncatedRow,
                 fmt::format("the row ends inside {}: it was cut off, or its document goes on in the next line (one document "
                             "a line is read; join them)",
                             inside));
  }
  void space() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\r' || text_[at_] == '\n')) ++at_;
  }
  bool is(char c) const { return at_ < text_.size() && text_[at_] == c; }
  std::string shown() const {
    const auto c = static_cast<unsigned char>(text_[at_]);
    return c >= 0x21 && c < 0x7F ? fmt::format("'{}'", text_[at_]) : fmt::format("byte 0x{:02x}", c);
  }

  void trailing() {
    if (is('{') || is('['))
      wrong("several documents in a row", "a second document begins in the same row; one document a line is read");
    else
      wrong("text behind the document", fmt::format("{} behind the end of the document", shown()));
  }

  bool value(int depth) {
    if (at_ >= text_.size()) return cut_off("a value");
    if (depth > kMaxDepth) return wrong("nested too deep", fmt::format("nested more than {} levels deep", kMaxDepth));
    switch (text_[at_]) {
      case '{':
        return object(depth);
      case '[':
        return list(depth);
      case '"':
        return string();
      case '\'':
        return wrong("single quotes", "a text in single quotes (Python's, not JSON's); JSON takes double quotes");
      default:
        return word_or_number();
    }
  }

  bool object(int depth) {
    ++at_;
    space();
    if (is('}')) return ++at_, true;
    for (;;) {
      space();
      if (at_ >= text_.size()) return cut_off("an object");
      if (is('\'')) return wrong("single quotes", "a name in single quotes (Python's, not JSON's); JSON takes double quotes");
      if (!is('"')) return wrong("no JSON", fmt::format("{} where the name of a field in double quotes should be", shown()));
      if (!string()) return false;
      space();
      if (at_ >= text_.size()) return cut_off("an object");
      if (!is(':')) return wrong("no JSON", fmt::format("{} where ':' should be", shown()));
      ++at_;
      space();
      if (!value(depth + 1)) return false;
      space();
      if (at_ >= text_.size()) return cut_off("an object");
      if (is('}')) return ++at_, true;
      if (!is(',')) return wrong("no JSON", fmt::format("{} where ',' or '}}' should be", shown()));
      ++at_;
    }
  }

  bool list(int depth) {
    ++at_;
    space();
    if (is(']')) return ++at_, true;
    for (;;) {
      space();
      if (!value(depth + 1)) return false;
      space();
      if (at_ >= text_.size()) return cut_off("a list");
      if (is(']')) return ++at_, true;
      if (!is(',')) return wrong("no JSON", fmt::format("{} where ',' or ']' should be", shown()));
      ++at_;
    }
  }

  bool string() {
    for (++at_; at_ < text_.size(); ++at_) {
      const char c = text_[at_];
      if (c == '"') return ++at_, true;
      if (static_cast<unsigned char>(c) < 0x20)
        return wrong("control character",
                     fmt::format("byte 0x{:02x} inside a text; JSON writes it as \\u{:04x}", c, static_cast<unsigned>(c)));
      if (c == '\\' && !escape()) return false;
    }
    return cut_off("a text");
  }

  /// At a backslash; ends on the last byte of the escape.
  bool escape() {
    if (at_ + 1 >= text_.size()) return cut_off("a text");
    const char kind = text_[at_ + 1];
    if (kind == 'u') {
      const auto value = hex4(text_, at_ + 2);
      if (!value) return at_ + 6 > text_.size() ? cut_off("a text") : wrong("wrong escape", "\\u without four hexadecimal digits");
      const std::size_t length = character_escape(text_, at_, *value);
      if (length == 0) return wrong(kLoneSurrogate, fmt::format("\\u{:04x} is half of a surrogate pair, which is no character", *value));
      at_ += length - 1;
      return true;
    }
    if (std::string_view("\"\\/bfnrt").find(kind) == std::string_view::npos)
      return wrong("wrong escape", "an escape that JSON does not have");
    ++at_;
    return true;
  }

  bool word_or_number() {
    const std::size_t begin = at_;
    while (at_ < text_.size() && std::string_view(" \t\r\n,]}:\"").find(text_[at_]) == std::string_view::npos) ++at_;
    const std::string_view word = text_.substr(begin, at_ - begin);
    if (word == "true" || word == "false" || word == "null" || is_number(word)) return true;
    if (at_ == text_.size() && begins_word(word)) return cut_off("a value");
    at_ = begin;
    if (word == "NaN" || word == "Infinity" || word == "-Infinity" || word == "None" || word == "True" || word == "False" || word == "nan")
      return wrong("no JSON value", fmt::format("{} is no JSON value", word));
    return wrong("no JSON", word.empty() ? fmt::format("{} where a value should be", shown())
                                         : fmt::format("{} where a value should be (a text stands in double quotes)", shown()));
  }

  static bool begins_word(std::string_view word) {
    for (const std::string_view whole : {"true", "false", "null"})
      if (whole.starts_with(word)) return true;
    return word == "-" || (!word.empty() && is_digit(word[0]) && is_number(std::string(word) + "0"));
  }

  static bool is_number(std::string_view word) {
    std::size_t at = word.starts_with('-');
    const auto digits = [&] {
      const std::size_t begin = at;
      while (at < word.size() && is_digit(word[at])) ++at;
      return at - begin;
    };
    const std::size_t first = at, whole = digits();
    if (whole == 0 || (whole > 1 && word[first] == '0')) return false;
    if (at < word.size() && word[at] == '.' && (++at, digits() == 0)) return false;
    if (at < word.size() && (word[at] == 'e' || word[at] == 'E')) {
      ++at;
      if (at < word.size() && (word[at] == '+' || word[at] == '-')) ++at;
      if (digits() == 0) return false;
    }
    return at == word.size();
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::optional<JsonFault> fault_;
};

}  // namespace

JsonFault find_json_fault(std::string_view row) { return FaultFinder(row).find(); }

std::string replace_lone_surrogates(std::string_view row) {
  std::string repaired(row);
  for (std::size_t at = row.find('\\'); at != std::string_view::npos && at + 1 < row.size(); at = row.find('\\', at)) {
    const auto value = row[at + 1] == 'u' ? hex4(row, at + 2) : std::nullopt;
    if (!value) {
      at += 2;
      continue;
    }
    const std::size_t length = character_escape(row, at, *value);
    if (length == 0) repaired.replace(at, 6, "\\ufffd");
    at += length == 0 ? 6 : length;
  }
  return repaired;
}

}  // namespace longhaul::ingest
