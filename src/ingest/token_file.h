// ingest/token_file.h — documents from a file of token ids: cut at the end token, and where Megatron's index says; their ids are kept as
// they are, and their text is what the ids stand for.
//
// The tokens that frame a document are taken away, so `end t₁ … tₙ` (llm.c) and `t₁ … tₙ end` (nanoGPT) are the same document. Where the
// vocabulary has a begin token of its own, every document must begin with it. Bytes of text need not be UTF-8: a file may end in the
// middle of a document, and a token in the middle of a character. Ids that the vocabulary lacks, sizes that contradict a header and files
// that show to be of another format are errors that name file and offset.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ingest/formats/disk_file.h"
#include "ingest/megatron_index.h"
#include "ingest/tokens.h"

namespace longhaul::ingest {

struct TokenDocument {
  std::vector<std::int32_t> ids;  ///< without those that frame it; may be empty
  std::string text;               ///< what the ids stand for
};

class TokenFile {
 public:
  /// The longest document.
  static constexpr std::int64_t kMaxTokens = std::int64_t{1} << 28;

  /// Reads what says how the ids are stored, in Megatron's data all of the index. The vocabulary must outlive the object.
  /// @throws DataError
  TokenFile(std::unique_ptr<DiskFile> file, TokenFormat format, const TokenVocabulary& vocabulary);

  /// False at the end. @throws DataError
  bool next(TokenDocument& document);
  /// Of the file, in which the documents so far are.
  std::int64_t bytes_read() const { return first_byte_ + position_ * id_bytes_; }

 private:
  void read_header();
  void read_llm_c_header();
  void check_id_bytes() const;
  void check_head(std::string_view head) const;
  bool next_segment();
  bool cut(TokenDocument& document);
  void take_frame(TokenDocument& document, std::int64_t first) const;
  void refill();
  template <class Id>
  void convert();
  void read_bytes(std::size_t size);
  std::int32_t checked(std::int64_t id, std::int64_t token) const;
  [[noreturn]] void fail(std::int64_t token, const std::string& what) const;

  std::unique_ptr<DiskFile> file_;
  TokenFormat format_;
  const TokenVocabulary& vocabulary_;
  std::optional<MegatronIndex> index_;
  std::int64_t first_byte_ = 0, tokens_ = 0;  // of the ids
  int id_bytes_ = 0;
  bool is_signed_ = false;

  std::string bytes_;                // of the block
  std::vector<std::int32_t> block_;  // ids that were read
  std::size_t used_ = 0;             // of the block
  std::int64_t position_ = 0;        // ids used of the file
  std::int64_t left_ = 0;            // ids of the present segment: a document of the index, or the whole file
  bool in_segment_ = false, any_segment_ = false;
  bool first_cut_ = false;  // of the segment: nothing of it was cut so far
};

}  // namespace longhaul::ingest
