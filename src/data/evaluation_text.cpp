#include "data/evaluation_text.h"

#include <fmt/format.h>

#include <numeric>
#include <optional>
#include <span>

#include "data/encode_documents.h"
#include "files/read.h"
#include "ingest/account.h"
#include "tokenizer/words.h"
#include "units/error.h"
#include "units/utf8.h"

namespace longhaul::data {

namespace fs = std::filesystem;

std::int64_t EvaluationText::total_words() const { return std::accumulate(words.begin(), words.end(), std::int64_t{0}); }

EvaluationText heldout_text(const Dataset& dataset) {
  const TokenStream& stream = dataset.heldout();
  if (stream.documents() == 0)
    throw DataError(
        fmt::format("{}: nothing is held out; evaluate files with --text, or prepare it anew with --heldout-tail, --heldout-source or, for "
                    "evaluation alone, --eval-only",
                    dataset.directory().string()));
  const fs::path file = dataset.directory() / "heldout.txt";
  std::optional<files::MappedFile> mapping;
  try {
    mapping.emplace(file);
  } catch (const files::FileError& error) {
    throw DataError(fmt::format("{}; prepare the dataset again", error.what()));
  }
  const std::span<const std::byte> bytes = mapping->bytes();
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (std::ssize(text) != stream.text_bytes())
    throw DataError(fmt::format("{}: {} bytes, the held-out documents have {}; prepare the dataset again", file.string(), text.size(),
                                stream.text_bytes()));
  EvaluationText result{stream, {}, {}, {}};
  std::size_t begin = 0;
  for (std::int64_t d = 0; d < stream.documents(); ++d) {
    const DocumentEntry entry = stream.document_entry(d);
    const std::string_view document = text.substr(begin, entry.text_bytes);
    if (first_invalid_utf8(document))
      throw DataError(fmt::format("{}: document {} (byte offset {}) is not UTF-8; prepare the dataset again", file.string(), d, begin));
    result.names.push_back(dataset.manifest().sources.at(entry.source).name);
    result.words.push_back(tokenizer::count_words(document));
    begin += entry.text_bytes;
  }
  return result;
}

namespace {

/// "files of corpus: 2 of 8 left out: 2 unknown extension (f.md, g.pdf)".
std::vector<std::string> left_out(const std::vector<ingest::Source>& sources, const ingest::Walk& walk,
                                  const std::vector<ingest::FileSummary>& summaries) {
  std::vector<std::string> notes;
  const auto add = [&](const std::string& what, const ingest::Account& account) {
    if (account.skipped_count() > 0)
      notes.push_back(fmt::format("{}: {} of {} left out: {}", what, account.skipped_count(), account.seen, account.skipped_text()));
  };
  for (std::size_t s = 0; s < sources.size(); ++s) add("files of " + sources[s].given(), ingest::account_of(walk.sources[s]));
  ingest::Account rows;
  std::int64_t replaced = 0;
  for (const ingest::FileSummary& file : summaries) {
    rows.add(file);
    replaced += file.replaced_sequences;
  }
  add("rows", rows);
  if (replaced > 0) notes.push_back(fmt::format("{} invalid sequences of bytes replaced by U+FFFD", replaced));
  return notes;
}

}  // namespace

EvaluationText text_of_files(const std::vector<fs::path>& paths, const ingest::IngestOptions& ingest, const tokenizer::Tokenizer& tokenizer,
                             const tokenizer::Framing& framing, int threads,
                             const std::function<void(std::int64_t, std::int64_t)>& progress) {
  std::vector<ingest::Source> sources;
  for (const fs::path& path : paths) sources.push_back({"--text", path});
  const ingest::Walk walk = ingest::walk_sources(sources, ingest.walk);
  const std::vector<ingest::InputFile>& files = walk.files;

  ingest::DocumentReader reader(files, ingest);
  ShardBuilder shard(static_cast<std::uint32_t>(tokenizer.vocab_size()), framing, tokenizer.fingerprint());
  std::vector<std::string> names;
  std::vector<std::int64_t> words;
  encode_documents(
      [&](EncodedDocument& next) {
        ingest::Document document;
        if (!reader.next(document)) return false;
        next = {std::string(document.text), document.source, document.file, document.line, {}, false, {}};
        return true;
      },
      tokenizer, threads,
      [&](const EncodedDocument& document) {
        shard.add(document.ids, static_cast<std::uint32_t>(document.text.size()), static_cast<std::uint32_t>(document.source));
        names.push_back(ingest::document_name(files[document.file], document.line));
        words.push_back(tokenizer::count_words(document.text));
      },
      [&] {
        if (progress) progress(reader.bytes_read(), walk.bytes());
      });
  if (names.empty()) {
    std::string given;
    for (const fs::path& path : paths) given += (given.empty() ? "" : ", ") + path.string();
    throw DataError(fmt::format("{}: no document with text; nothing to evaluate", given));
  }
  ShardHeader header;
  return {TokenStream({Shard::own(shard.finish(header))}), std::move(names), std::move(words), left_out(sources, walk, reader.summaries())};
}

}  // namespace longhaul::data
