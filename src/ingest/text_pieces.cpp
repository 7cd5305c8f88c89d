#include "ingest/text_pieces.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "units/error.h"

namespace longhaul::ingest {

namespace {

constexpr std::array<std::string_view, 9> kMarks = {
    "<|endoftext|>", "<|end_of_text|>", "<|begin_of_text|>", "<|startoftext|>", "<|eot_id|>", "<|im_end|>", "</s>", "<eos>", "[SEP]"};
constexpr std::size_t kRowLength = 10;

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r'; }

std::int64_t occurrences(std::string_view text, std::string_view mark) {
  std::int64_t count = 0;
  for (std::size_t at = text.find(mark); at != std::string_view::npos; at = text.find(mark, at + mark.size())) ++count;
  return count;
}

}  // namespace

void TextPieces::fill() {
  next_place_.byte += static_cast<std::int64_t>(begin_);
  buffer_.erase(0, begin_);
  searched_ -= begin_;
  begin_ = 0;
  if (static_cast<std::int64_t>(buffer_.size()) > kMaxDocumentTextBytes)
    throw DataError(
        fmt::format("{}:{}: the document that begins here is longer than {} GiB, the most a document may have; divide it "
                    "with --separator or --split-paragraphs",
                    file_, next_place_.line, kMaxDocumentTextBytes >> 30));
  ended_ = !more_(buffer_);
}

bool TextPieces::find_separator(Cut& cut) {
  const std::string_view text = buffer_;
  const std::size_t at = text.find(split_.separator, searched_);
  if (at == std::string_view::npos) {
    searched_ = std::max(searched_, text.size() - std::min(text.size(), split_.separator.size() - 1));
    return false;
  }
  const std::size_t behind = at + split_.separator.size();
  if (!ended_ && behind + 2 > text.size()) {  // the end of its line may still come
    searched_ = at;
    return false;
  }
  const bool own_line = at == begin_ || text[at - 1] == '\n';
  const std::string_view rest = text.substr(behind);
  cut = {at, behind + (!own_line ? 0u : rest.starts_with("\r\n") ? 2u : rest.starts_with('\n') ? 1u : 0u)};
  return true;
}

bool TextPieces::find_blank_line(Cut& cut) {
  const std::string_view text = buffer_;
  for (std::size_t newline = text.find('\n', searched_); newline != std::string_view::npos; newline = text.find('\n', newline + 1)) {
    std::size_t end = newline + 1;  // behind the blank lines that follow
    for (std::size_t at = end; at < text.size() && (is_space(text[at]) || text[at] == '\n'); ++at)
      if (text[at] == '\n') end = at + 1;
    std::size_t ahead = end;
    while (ahead < text.size() && is_space(text[ahead])) ++ahead;
    if (ahead == text.size() && !ended_) {  // more blank lines may come
      searched_ = newline;
      return false;
    }
    if (end > newline + 1 || ahead == text.size()) {
      cut = {newline, ahead == text.size() ? ahead : end};
      return true;
    }
  }
  searched_ = text.size();
  return false;
}

bool TextPieces::find_cut(Cut& cut) {
  if (split_.paragraphs) return find_blank_line(cut);
  if (!split_.separator.empty()) return find_separator(cut);
  searched_ = buffer_.size();
  return false;
}

bool TextPieces::next(std::string_view& piece) {
  for (;;) {
    Cut cut;
    const bool found = find_cut(cut);
    if (!found && !ended_) {
      fill();
      continue;
    }
    if (!found) cut = {buffer_.size(), buffer_.size()};
    // What follows the last separator is a document only if there is something.
    if (!found && (last_given_ || (begin_ == buffer_.size() && next_place_.byte + static_cast<std::int64_t>(begin_) > 0))) return false;
    last_given_ = !found;
    if (split_.paragraphs && begin_ == cut.end) {  // blank lines at the start of the file
      advance(cut.next);
      continue;
    }
    piece = std::string_view(buffer_).substr(begin_, cut.end - begin_);
    place_ = {next_place_.line, next_place_.byte + static_cast<std::int64_t>(begin_)};
    advance(cut.next);
    return true;
  }
}

void TextPieces::advance(std::size_t next) {
  const auto begin = buffer_.begin();
  next_place_.line += std::count(begin + static_cast<std::ptrdiff_t>(begin_), begin + static_cast<std::ptrdiff_t>(next), '\n');
  begin_ = searched_ = next;
}

void KnownSeparators::count(std::string_view text) {
  marks_.resize(kMarks.size());
  for (std::size_t i = 0; i < kMarks.size(); ++i) marks_[i] += occurrences(text, kMarks[i]);
  const std::string row(kRowLength, '=');
  for (std::size_t at = text.find(row); at != std::string_view::npos; at = text.find(row, at)) {
    const std::size_t end = std::min(text.find_first_not_of('=', at), text.size());
    if ((at == 0 || text[at - 1] == '\n') && (end == text.size() || text[end] == '\n' || text[end] == '\r') && ++rows_ == 1)
      row_ = text.substr(at, end - at);
    at = end;
  }
}

std::string KnownSeparators::most_frequent(std::int64_t& times) const {
  const auto most = std::max_element(marks_.begin(), marks_.end());
  times = std::max(most == marks_.end() ? 0 : *most, rows_);
  if (times < 3) return {};
  return times == rows_ ? row_ : std::string(kMarks[static_cast<std::size_t>(most - marks_.begin())]);
}

}  // namespace longhaul::ingest
