#include "data/token_source.h"

#include <algorithm>
#include <cmath>

#include "tokenizer/bpe_tables.h"

namespace longhaul::data {

std::shared_ptr<const ingest::TokenVocabulary> token_vocabulary(const tokenizer::Tokenizer& tokenizer, const tokenizer::Framing& framing,
                                                                const std::filesystem::path& file, bool whole_files) {
  auto vocabulary = std::make_shared<ingest::TokenVocabulary>();
  vocabulary->name = file.string();
  for (std::int32_t id = 0; id < tokenizer.vocab_size(); ++id) vocabulary->bytes.push_back(tokenizer.token_bytes(id));
  vocabulary->end = framing.end;
  if (framing.has_begin() && !framing.shared()) vocabulary->begin = framing.begin;
  vocabulary->added_space = tokenizer.tables().rules().adds_a_space();
  vocabulary->whole_files = whole_files;
  return vocabulary;
}

TokenPlace tail_begin_of_ids(std::span<const std::int32_t> ids, std::size_t text_bytes, double share,
                             const ingest::TokenVocabulary& vocabulary) {
  const auto tail = static_cast<std::size_t>(std::llround(share * static_cast<double>(text_bytes)));
  const std::size_t target = text_bytes - std::min(tail, text_bytes);
  std::size_t all = 0;
  for (const std::int32_t id : ids) all += vocabulary.bytes[static_cast<std::size_t>(id)].size();
  const std::size_t dropped = all - text_bytes;  // a space that encoding had put in front
  TokenPlace place;
  while (tail > 0 && place.token < ids.size() && (place.token == 0 || place.byte < std::max<std::size_t>(target, 1))) {
    place.byte += vocabulary.bytes[static_cast<std::size_t>(ids[place.token])].size() - (place.token == 0 ? dropped : 0);
    ++place.token;
  }
  return tail > 0 ? place : TokenPlace{ids.size(), text_bytes};
}

}  // namespace longhaul::data
