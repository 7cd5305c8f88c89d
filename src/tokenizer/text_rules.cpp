#include "tokenizer/text_rules.h"

#include <fmt/format.h>
#include <utf8proc.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <new>

#include "units/utf8.h"

namespace longhaul::tokenizer {
namespace {

std::string replaced(const std::string& text, std::string_view from, std::string_view to) {
  std::size_t found = text.find(from);
  if (found == std::string::npos) return text;
  std::string result;
  result.reserve(text.size() + text.size() / 4);
  std::size_t done = 0;
  for (; found != std::string::npos; found = text.find(from, done)) {
    result.append(text, done, found - done).append(to);
    done = found + from.size();
  }
  return result.append(text, done);
}

constexpr char32_t kFirstThatComposes = 0x300;  // below it no character combines, and each is its own normal form

struct CodePoints {
  char32_t first, last;
};

// Characters that combine and are younger than Unicode 9.0, whose normal forms `tokenizers` 0.23 has: to it, and so here, they combine with
// nothing.
#include "tokenizer/young_marks.inc"

bool is_younger_than_nfc(char32_t c) {
  const auto* const range = std::ranges::upper_bound(kYoungerThanNfc, c, {}, &CodePoints::first);
  return range != std::begin(kYoungerThanNfc) && c <= range[-1].last;
}

// A character that stays as it is whatever stands before it: its combining class is 0, it has no canonical decomposition and no
// composition ends with it. Text can be cut in front of it, and normalised part by part.
bool is_stable(char32_t c) {
  constexpr std::uint16_t kNone = UINT16_MAX;
  constexpr std::uint16_t kSecondOfPair = 0x8000;  // utf8proc marks characters that end a composition so
  if (c < kFirstThatComposes) return true;
  if (c >= 0x1100 && c < 0x1200) return false;  // Hangul letters compose by rule
  const utf8proc_property_t* const property = utf8proc_get_property(static_cast<utf8proc_int32_t>(c));
  const bool decomposes = property->decomp_seqindex != kNone && property->decomp_type == 0;
  const bool ends_composition = property->comb_index != kNone && property->comb_index >= kSecondOfPair;
  return (property->combining_class == 0 && !decomposes && !ends_composition) || is_younger_than_nfc(c);
}

void append_nfc(std::string& result, std::string_view part) {
  utf8proc_uint8_t* composed = nullptr;
  const utf8proc_ssize_t length =
      utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(part.data()), static_cast<utf8proc_ssize_t>(part.size()), &composed,
                   static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
  const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(composed, &std::free);
  if (length < 0) throw std::bad_alloc();  // valid UTF-8 leaves no other fault
  result.append(reinterpret_cast<const char*>(composed), static_cast<std::size_t>(length));
}

}  // namespace

std::string nfc(std::string text) {
  std::string result;
  std::size_t copied = 0;  // everything before it is in `result`, when anything is
  std::size_t starter = 0;
  bool any = false;
  for (std::size_t offset = 0; offset < text.size();) {
    const std::size_t at = offset;
    const char32_t c = next_code_point(text, offset);
    if (is_stable(c)) {
      starter = is_younger_than_nfc(c) ? offset : at;
      continue;
    }
    std::size_t end = offset;  // of the part that begins with the character before, up to the next stable one
    while (end < text.size()) {
      std::size_t next = end;
      if (is_stable(next_code_point(text, next))) break;
      end = next;
    }
    starter = std::max(starter, copied);
    result.append(text, copied, starter - copied);
    append_nfc(result, std::string_view(text).substr(starter, end - starter));
    copied = starter = offset = end;
    any = true;
  }
  if (!any) return text;
  return result.append(text, copied);
}

std::string TextRules::normalized(std::string text) const {
  for (const NormalizerStep& step : normalizer) {
    switch (step.kind) {
      case NormalizerStep::Kind::nfc:
        text = nfc(std::move(text));
        break;
      case NormalizerStep::Kind::prepend:
        if (!text.empty()) text.insert(0, step.to);
        break;
      case NormalizerStep::Kind::replace:
        text = replaced(text, step.from, step.to);
        break;
    }
  }
  return text;
}

std::string TextRules::marked(std::string text, bool is_first) const {
  if (metaspace != Metaspace::none) {
    text = replaced(text, " ", kMetaspace);
    const bool wanted = metaspace == Metaspace::always || (metaspace == Metaspace::first && is_first);
    if (wanted && !text.starts_with(kMetaspace)) text.insert(0, kMetaspace);
  }
  if (prefix_space && !text.starts_with(' ')) text.insert(0, 1, ' ');
  return text;
}

bool TextRules::adds_a_space() const {
  for (const NormalizerStep& step : normalizer) {
    if (step.kind == NormalizerStep::Kind::prepend && (step.to == kMetaspace || step.to == " ")) return true;
  }
  return metaspace == Metaspace::first || metaspace == Metaspace::always;
}

std::string TextRules::description() const {
  std::string words;
  for (const NormalizerStep& step : normalizer) {
    switch (step.kind) {
      case NormalizerStep::Kind::nfc:
        words += "nfc;";
        break;
      case NormalizerStep::Kind::prepend:
        words += fmt::format("prepend {}:{};", step.to.size(), step.to);
        break;
      case NormalizerStep::Kind::replace:
        words += fmt::format("replace {}:{} {}:{};", step.from.size(), step.from, step.to.size(), step.to);
        break;
    }
  }
  if (prefix_space) words += "prefix space;";
  if (metaspace != Metaspace::none) words += fmt::format("metaspace {};", static_cast<int>(metaspace));
  return words;
}

}  // namespace longhaul::tokenizer
