// tokenizer/tokenizer.h — text to token ids and back, exactly as tiktoken and Hugging Face's tokenizers do it.
//
// A Tokenizer is immutable: tokens with ids, the merges that build them, a pattern that cuts text into pieces, what happens to text before
// that, special and added tokens. It comes from a tokenizer.json (which is also our own saved form: it loads unchanged in `tokenizers` and
// `transformers`), a tiktoken rank file, a vocab.json with its merges.txt, a SentencePiece .model, or from training
// (tokenizer/bpe_train.h). Encoding is Sennrich et al. (2016, arXiv:1508.07909) on bytes, or on characters with byte fallback
// (SentencePiece's kind): in each piece the merge of lowest rank, the leftmost on ties, until none is left.
//
// Equal fingerprints mean that an id has the same meaning in data and run; datasets, checkpoints and run files record it.
//
// Threads: a Tokenizer may be read by many; each thread owns an Encoder, which remembers the ids of pieces it has seen.
// Special tokens are never recognised in text: "<|endoftext|>" inside a document is ordinary text and cannot forge a boundary.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/framing.h"
#include "tokenizer/tokenizer_parts.h"

namespace longhaul::tokenizer {

class BpeTables;

class Tokenizer {
 public:
  /// @throws DataError   a byte without token, an id twice, a merge of tokens that are not there: names `parts.origin`
  explicit Tokenizer(TokenizerParts parts);

  /// Loads by content: tokenizer.json, vocab.json or merges.txt (with the other one beside it), .model, else a tiktoken rank file.
  /// @param pattern      needed only for rank files other than OpenAI's own (which are known by their SHA-256)
  /// @throws DataError   missing, damaged or unsupported file: names file, line and what is allowed
  static Tokenizer load(const std::filesystem::path& file, const std::optional<Pattern>& pattern = std::nullopt);

  /// The same from memory; `name` stands for the file in messages. A file of a pair has no other beside it here.
  static Tokenizer parse(std::string_view contents, const std::string& name, const std::optional<Pattern>& pattern = std::nullopt);

  /// Writes tokenizer.json (temporary name, then rename). Loading it gives equal ids and an equal fingerprint.
  void save(const std::filesystem::path& file) const;

  /// The contents of tokenizer.json.
  std::string to_json() const;

  /// Ids of `text`. Bytes that are not UTF-8 count as U+FFFD (units/utf8.h). For much text use an Encoder.
  std::vector<std::int32_t> encode_ordinary(std::string_view text) const;

  /// Text of the tokens, special tokens by their own; a space that encoding had put in front is taken away.
  /// @param goes_on      the ids go on with a text before them, and nothing is taken away
  /// @throws DataError   an id that does not exist
  std::string decode(std::span<const std::int32_t> ids, bool goes_on = false) const;

  /// Bytes of one token (the text of a special one), empty for an unused id; 0 <= id < vocab_size().
  std::string_view token_bytes(std::int32_t id) const;

  /// Largest id + 1: rows of an embedding that holds them all.
  std::int32_t vocab_size() const;

  /// How documents are framed with this tokenizer, by the names of its special tokens: <|endoftext|> for both ends (GPT-2), or a begin and
  /// an end (Llama 3: <|begin_of_text|>, <|end_of_text|>). @throws DataError if no special token is known to end a text
  Framing framing() const;
  /// The same with tokens chosen by their text; begin may be "none". Absent: the default.
  /// @throws UsageError for a text that is no special token, naming those that there are
  Framing framing(const std::optional<std::string>& begin, const std::optional<std::string>& end) const;

  /// SHA-256 (hex) of pattern, rules of text, tokens, special and added tokens: equal fingerprints give equal meaning to every id. The list
  /// of merges is left out on purpose: GPT-2 from vocab.bpe, from a rank file and from tokenizer.json is the same vocabulary.
  const std::string& fingerprint() const;

  const BpeTables& tables() const { return *tables_; }

 private:
  std::string special_tokens() const;

  std::shared_ptr<const BpeTables> tables_;  // shared: copies of a Tokenizer are cheap
};

/// Encodes for one thread. Remembers the ids of recent pieces in about 3 MB, however much text passes.
class Encoder {
 public:
  explicit Encoder(Tokenizer tokenizer);
  ~Encoder();
  Encoder(Encoder&&) noexcept;
  Encoder& operator=(Encoder&&) noexcept;

  /// Appends the ids of `text` (one whole document) to `ids`; adds no <|endoftext|>.
  void encode_into(std::string_view text, std::vector<std::int32_t>& ids);

  const Tokenizer& tokenizer() const { return tokenizer_; }

 private:
  struct Cache;
  Tokenizer tokenizer_;
  std::unique_ptr<Cache> cache_;
};

}  // namespace longhaul::tokenizer
