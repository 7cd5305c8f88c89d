// ingest/megatron_index.h — the .idx of Megatron-LM's indexed dataset (megatron/core/datasets/indexed_dataset.py): what the .bin beside it
// holds.
//
// Little-endian: "MMIDIDX\0\0"; u64 version 1; u8 type of the ids; u64 S sequences; u64 D; i32 lengths[S] in ids; i64 pointers[S], offsets
// in the .bin; i64 documents[D], the sequence that each document begins with, and S; then S bytes of modes, where the data are multimodal.
// Every number is checked, and the .bin must hold exactly the sequences, one behind the other.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>

#include "files/read.h"

namespace longhaul::ingest {

class MegatronIndex {
 public:
  /// @param bin_bytes  size of the .bin
  /// @throws DataError naming file and offset
  MegatronIndex(const std::filesystem::path& index, std::int64_t bin_bytes);

  int id_bytes() const { return id_bytes_; }
  bool is_signed() const { return is_signed_; }
  /// Ids in all sequences.
  std::int64_t tokens() const { return tokens_; }
  /// Ids of the next document; false behind the last.
  bool next_document(std::int64_t& tokens);

 private:
  template <class T>
  T number(std::int64_t offset) const;
  void read_header();
  void check_sequences(std::int64_t bin_bytes);
  void check_documents();
  std::int64_t length(std::int64_t sequence) const { return number<std::int32_t>(kLengths + 4 * sequence); }
  std::int64_t document(std::int64_t d) const { return number<std::int64_t>(kLengths + 12 * sequences_ + 8 * d); }

  static constexpr std::int64_t kLengths = 34;  // the header's size
  std::filesystem::path path_;
  files::MappedFile file_;
  int id_bytes_ = 0;
  bool is_signed_ = false;
  std::int64_t sequences_ = 0, boundaries_ = 0, tokens_ = 0;
  std::int64_t next_ = 0;  // document
};

}  // namespace longhaul::ingest
