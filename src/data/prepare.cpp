#include "data/prepare.h"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <optional>
#include <set>

#include "data/bpe_train.h"
#include "data/dataset.h"
#include "data/dataset_writer.h"
#include "data/encode_documents.h"
#include "data/tokenizer.h"
#include "files/read.h"
#include "units/error.h"

namespace longhaul::data {

namespace fs = std::filesystem;

namespace {

using Progress = std::function<void(const PrepareProgress&)>;

/// Part of the recipe: raised whenever the same options would give other bytes.
constexpr int kRecipeVersion = 1;

void check_options(const PrepareOptions& options) {
  if (options.sources.empty()) throw UsageError("no source given; name at least one: --source NAME=PATH");
  std::set<std::string> names;
  for (const Source& source : options.sources) {
    if (source.name.empty()) throw UsageError(fmt::format("a source without a name: {}; write --source NAME=PATH", source.given()));
    if (!names.insert(source.name).second) throw UsageError(fmt::format("two sources are named {}; names must differ", source.name));
  }
  if ((options.vocab_size > 0) == !options.tokenizer_file.empty())
    throw UsageError("give either --vocab-size (a vocabulary is trained) or --tokenizer FILE (one is loaded), and not both");
  if (!(options.heldout_fraction >= 0 && options.heldout_fraction < 1))
    throw UsageError(fmt::format("held-out fraction {}: allowed is 0 up to, not including, 1 (usual: 0.05)", options.heldout_fraction));
  if (options.directory.empty()) throw UsageError("no directory given for the dataset: --out DIR");
  if (options.threads < 1 || options.shard_tokens < 1)
    throw UsageError(fmt::format("threads = {} and shard_tokens = {} must be at least 1", options.threads, options.shard_tokens));
}

/// What the result depends on; the paths of sources are not among it, so a moved corpus is recognised.
std::string recipe_hash(const PrepareOptions& options, const std::string& tokenizer, const std::vector<InputFile>& files,
                        const std::vector<std::string>& digests) {
  std::string fields;
  const auto add = [&](const std::string& field) { fields += fmt::format("{}:{};", field.size(), field); };
  add(fmt::format("recipe {}", kRecipeVersion));
  add(tokenizer);
  add(options.salt);
  add(fmt::format("{:a}", options.heldout_fraction));
  add(options.ingest.text_field);
  add(std::string(invalid_utf8_name(options.ingest.invalid_utf8)));
  add(fmt::format("{} {}", options.shard_tokens, options.write_train_text));
  for (const Source& source : options.sources) add(source.name);
  for (std::size_t i = 0; i < files.size(); ++i) {
    add(std::to_string(files[i].source));
    add(files[i].name);
    add(digests[i]);
  }
  return files::sha256_hex(fields);
}

std::string tokenizer_recipe(const PrepareOptions& options, const std::optional<Tokenizer>& loaded) {
  return loaded ? "loaded " + loaded->fingerprint() : fmt::format("trained {}", options.vocab_size);
}

/// The finished dataset of an earlier call, if there is one and it is what would be made now.
std::optional<Manifest> find_finished(const PrepareOptions& options, const std::string& tokenizer, const std::vector<InputFile>& files,
                                      const Progress& progress) {
  if (!fs::exists(options.directory) || (fs::is_directory(options.directory) && fs::is_empty(options.directory))) return std::nullopt;
  if (!fs::exists(options.directory / "dataset.json"))
    throw UsageError(
        fmt::format("{}: exists and is no dataset (it has no dataset.json); choose another --out", options.directory.string()));
  const Manifest manifest = Manifest::read(options.directory);
  std::vector<std::string> digests;
  std::int64_t done = 0, total = 0;
  for (const InputFile& file : files) total += file.bytes;
  for (const InputFile& file : files) {
    digests.push_back(files::digest_file(file.path).sha256);
    if (progress) progress({"verifying", done += file.bytes, total});
  }
  if (manifest.recipe_hash != recipe_hash(options, tokenizer, files, digests))
    throw UsageError(
        fmt::format("{}: holds a dataset made from other text or with other options (salt \"{}\", held-out fraction {}, {} vocabulary of "
                    "{}); remove it to make it anew, or choose another --out",
                    options.directory.string(), manifest.salt, manifest.heldout_fraction, manifest.tokenizer_origin, manifest.vocab_size));
  return Dataset::open(options.directory).manifest();
}

DataError empty_corpus(const PrepareOptions& options) {
  std::string paths;
  for (const Source& source : options.sources) paths += (paths.empty() ? "" : ", ") + source.given();
  return DataError(fmt::format("the corpus is empty: no document with text in {}", paths));
}

DataError all_held_out(const PrepareOptions& options, std::int64_t documents) {
  return DataError(
      fmt::format("all {} documents are held out, none is left for training; lower --heldout-fraction {}, change --salt, or give "
                  "more documents (a .txt file is one, a .jsonl line is one)",
                  documents, options.heldout_fraction));
}

/// The first pass: training documents only, so that nothing of the held-out text reaches the vocabulary.
Tokenizer train_vocabulary(const PrepareOptions& options, const std::vector<InputFile>& files, std::int64_t total,
                           const Progress& progress) {
  DocumentReader reader(files, options.ingest);
  std::exception_ptr error;  // the trainer's threads call; a file's fault is thrown on ours
  std::int64_t documents = 0;
  const DocumentStream stream = [&](std::string& text) {
    try {
      Document document;
      while (reader.next(document)) {
        ++documents;
        if (is_heldout(document.text, options.salt, options.heldout_fraction)) continue;
        text = document.text;
        return true;
      }
    } catch (...) {
      error = std::current_exception();
    }
    return false;
  };
  BpeTrainOptions training;
  training.vocab_size = static_cast<std::int32_t>(std::min<std::int64_t>(options.vocab_size, INT32_MAX));
  training.threads = options.threads;
  if (progress)
    training.on_progress = [&](const TrainProgress& at) {
      if (at.entries == 0)
        progress({"reading", static_cast<std::int64_t>(at.bytes_read), total});
      else
        progress({"training the vocabulary", at.entries, at.entries_goal});
    };
  try {
    Tokenizer tokenizer = train_bpe(stream, training);
    if (error) std::rethrow_exception(error);
    return tokenizer;
  } catch (const DataError&) {
    if (error) std::rethrow_exception(error);
    if (documents > 0) throw all_held_out(options, documents);
    throw empty_corpus(options);
  }
}

/// The second pass: encodes everything, writes the shards, fills counts and file hashes of the manifest.
class EncodePass {
 public:
  EncodePass(const PrepareOptions& options, const Tokenizer& tokenizer, const fs::path& directory, Manifest& manifest)
      : options_(options),
        tokenizer_(tokenizer),
        manifest_(manifest),
        train_(directory, "train", tokenizer, options.shard_tokens, options.write_train_text),
        heldout_(directory, "heldout", tokenizer, options.shard_tokens, true) {}

  /// @return SHA-256 of each file
  std::vector<std::string> run(const std::vector<InputFile>& files, std::int64_t total, const Progress& progress) {
    DocumentReader reader(files, options_.ingest);
    encode_documents(
        reader, tokenizer_, options_.threads, [&](const EncodedDocument& document) { write(document); },
        [&](std::int64_t bytes) {
          if (progress) progress({"encoding", bytes, total});
        });
    train_.finish(manifest_.train_shards, manifest_.files);
    heldout_.finish(manifest_.heldout_shards, manifest_.files);
    return record_files(files, reader.summaries());
  }

 private:
  void write(const EncodedDocument& document) {
    const bool heldout = is_heldout(document.text, options_.salt, options_.heldout_fraction);
    (heldout ? heldout_ : train_).add(document.text, document.ids, static_cast<std::uint32_t>(document.source));
    const Counts counts{1, static_cast<std::int64_t>(document.text.size()), static_cast<std::int64_t>(document.ids.size()) + 1};
    SourceRecord& source = manifest_.sources[document.source];
    (heldout ? source.heldout : source.train) += counts;
    (heldout ? manifest_.heldout : manifest_.train) += counts;
  }

  std::vector<std::string> record_files(const std::vector<InputFile>& files, const std::vector<FileSummary>& summaries) {
    std::vector<std::string> digests, lines(manifest_.sources.size());
    for (std::size_t i = 0; i < files.size(); ++i) {
      SourceRecord& source = manifest_.sources[files[i].source];
      if (++source.file_count <= SourceRecord::kListedFiles)
        source.files.push_back({files[i].name, summaries[i].bytes, summaries[i].sha256});
      lines[files[i].source] += fmt::format("{}  {}\n", summaries[i].sha256, files[i].name);
      if (const auto empty = summaries[i].skipped.find("empty"); empty != summaries[i].skipped.end())
        source.empty_documents += empty->second.count;
      source.replaced_sequences += summaries[i].replaced_sequences;
      digests.push_back(summaries[i].sha256);
    }
    for (std::size_t s = 0; s < lines.size(); ++s) manifest_.sources[s].files_hash = files::sha256_hex(lines[s]);
    return digests;
  }

  const PrepareOptions& options_;
  const Tokenizer& tokenizer_;
  Manifest& manifest_;
  SplitWriter train_, heldout_;
};

Manifest describe(const PrepareOptions& options, const Tokenizer& tokenizer) {
  Manifest manifest;
  manifest.longhaul_version = LONGHAUL_VERSION;
  manifest.salt = options.salt;
  manifest.heldout_fraction = options.heldout_fraction;
  manifest.text_field = options.ingest.text_field;
  manifest.invalid_utf8 = invalid_utf8_name(options.ingest.invalid_utf8);
  manifest.vocab_size = tokenizer.vocab_size();
  manifest.endoftext = tokenizer.endoftext();
  manifest.tokenizer_file = "tokenizer.json";
  manifest.tokenizer_fingerprint = tokenizer.fingerprint();
  manifest.tokenizer_origin = options.tokenizer_file.empty() ? "trained" : "loaded";
  for (const Source& source : options.sources) {
    manifest.sources.emplace_back().name = source.name;
    manifest.sources.back().path = source.given();
  }
  return manifest;
}

}  // namespace

PrepareResult prepare_dataset(const PrepareOptions& options, const std::function<void(const PrepareProgress&)>& progress) {
  check_options(options);
  const std::vector<InputFile> files = walk_sources(options.sources, options.ingest.walk).files;
  std::int64_t total = 0;
  for (const InputFile& file : files) total += file.bytes;
  std::optional<Tokenizer> tokenizer;
  if (!options.tokenizer_file.empty()) tokenizer = Tokenizer::load(options.tokenizer_file, options.pattern);
  const std::string vocabulary = tokenizer_recipe(options, tokenizer);
  if (auto finished = find_finished(options, vocabulary, files, progress)) return {std::move(*finished), true};

  PartialDirectory directory(options.directory);
  if (!tokenizer) tokenizer = train_vocabulary(options, files, total, progress);
  Manifest manifest = describe(options, *tokenizer);
  const std::vector<std::string> digests = EncodePass(options, *tokenizer, directory.path(), manifest).run(files, total, progress);
  if (manifest.train.documents == 0)
    throw manifest.heldout.documents == 0 ? empty_corpus(options) : all_held_out(options, manifest.heldout.documents);
  manifest.files.push_back(write_file(directory.path(), manifest.tokenizer_file, tokenizer->to_json()));
  manifest.recipe_hash = recipe_hash(options, vocabulary, files, digests);
  manifest.content_hash = manifest.hash_of_contents();
  write_file(directory.path(), "dataset.json", manifest.to_json());
  directory.commit();
  return {std::move(manifest), false};
}

}  // namespace longhaul::data
