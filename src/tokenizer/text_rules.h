// tokenizer/text_rules.h — what happens to a text before it is cut: normalisation and marks at its beginning.
//
// The steps of tokenizer.json's `normalizer` that published byte-pair vocabularies use: NFC (Qwen), Prepend and Replace of a string
// (Llama 2, Gemma: a space is written ▁, U+2581). Then what its pre-tokenisers do to the text: ByteLevel's add_prefix_space and
// Metaspace. All are part of a vocabulary's meaning and of its fingerprint.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace longhaul::tokenizer {

inline constexpr std::string_view kMetaspace = "\xE2\x96\x81";  // ▁, U+2581, SentencePiece's mark for a space

struct NormalizerStep {
  enum class Kind : std::uint8_t { nfc, prepend, replace };
  Kind kind = Kind::nfc;
  std::string from;  ///< of replace: not empty
  std::string to;    ///< of prepend and replace
  bool operator==(const NormalizerStep&) const = default;
};

/// Metaspace: each space becomes ▁, and a text that does not begin with ▁ gets one: never, the first part of a document, or every part
/// (parts lie between added tokens).
enum class Metaspace : std::uint8_t { none, never, first, always };

struct TextRules {
  std::vector<NormalizerStep> normalizer;
  bool prefix_space = false;  ///< ByteLevel's add_prefix_space: a part that does not begin with a space gets one
  Metaspace metaspace = Metaspace::none;
  bool operator==(const TextRules&) const = default;

  /// Text passes unchanged.
  bool empty() const { return normalizer.empty() && !prefix_space && metaspace == Metaspace::none; }

  /// The steps of the normalizer, in order. @param text valid UTF-8
  std::string normalized(std::string text) const;

  /// What the pre-tokenisers do. @param is_first the part begins the document
  std::string marked(std::string text, bool is_first) const;

  /// The text begins with a space that the original does not have, which decoding takes away again.
  bool adds_a_space() const;

  /// One word for each rule, for the fingerprint and for messages; empty when there is none.
  std::string description() const;
};

/// Normal form C as `tokenizers` 0.23 has it, that of Unicode 9.0; valid UTF-8 in and out. (Later versions add characters that combine, and
/// change nothing else.)
std::string nfc(std::string text);

}  // namespace longhaul::tokenizer
