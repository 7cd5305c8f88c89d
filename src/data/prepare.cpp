#include "data/prepare.h"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <optional>
#include <set>

#include "data/corpus.h"
#include "data/dataset.h"
#include "data/dataset_writer.h"
#include "data/document_records.h"
#include "data/encode_documents.h"
#include "data/preparation_record.h"
#include "data/token_source.h"
#include "files/read.h"
#include "ingest/rejected_rows.h"
#include "tokenizer/bpe_tables.h"
#include "tokenizer/bpe_train.h"
#include "tokenizer/tokenizer.h"
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
  std::vector<ingest::Source> sources = options.sources;
  sources.insert(sources.end(), options.heldout_sources.begin(), options.heldout_sources.end());
  for (const ingest::Source& source : sources) {
    if (source.name.empty()) throw UsageError(fmt::format("a source without a name: {}; write --source NAME=PATH", source.given()));
    if (!names.insert(source.name).second) throw UsageError(fmt::format("two sources are named {}; names must differ", source.name));
  }
  check_vocabulary(options);
  if (options.directory.empty()) throw UsageError("no directory given for the dataset: --out DIR");
  if (options.threads < 1 || options.shard_tokens < 1)
    throw UsageError(fmt::format("threads = {} and shard_tokens = {} must be at least 1", options.threads, options.shard_tokens));
}

/// What decides which text files give, besides the files themselves.
void add_ingest(const ingest::IngestOptions& ingest, const std::function<void(const std::string&)>& add) {
  add(std::string(ingest::invalid_utf8_name(ingest.invalid_utf8)));
  add(fmt::format("{} {}", ingest::bad_rows_name(ingest.bad_rows), ingest.last_of_repeated_keys));
  add(fmt::format("{}{}", ingest.split.paragraphs, ingest.split.separator));
  for (const std::string& field : ingest.metadata) add("metadata " + field);
  for (const auto& [source, encoding] : ingest.walk.encodings) add(fmt::format("{}={}", source, ingest::encoding_name(encoding)));
  for (const auto& [source, format] : ingest.walk.tokens) add(fmt::format("tokens {}={}", source, ingest::token_format_name(format)));
}

/// What the result depends on; the paths of sources are not among it, so a moved corpus is recognised.
std::string recipe_hash(const PrepareOptions& options, const std::string& tokenizer, const Corpus& corpus,
                        const std::vector<std::string>& digests) {
  std::string fields;
  const auto add = [&](const std::string& field) { fields += fmt::format("{}:{};", field.size(), field); };
  add(fmt::format("recipe {}", kRecipeVersion));
  add(tokenizer);
  add(corpus.split().salt);
  add(fmt::format("{:a}", corpus.split().fraction));
  if (corpus.split().tail > 0) add(fmt::format("tail {:a}", corpus.split().tail));
  if (corpus.split().eval_only) add("evaluation only");
  add(options.ingest.text_field);
  add_ingest(options.ingest, add);
  add(fmt::format("{} {}", options.shard_tokens, options.write_train_text));
  if (options.whole_token_files) add("whole token files");
  for (std::size_t s = 0; s < corpus.sources().size(); ++s)
    add(corpus.of_heldout_source(s) ? "held out: " + corpus.sources()[s].name : corpus.sources()[s].name);
  for (std::size_t i = 0; i < corpus.files().size(); ++i) {
    add(std::to_string(corpus.files()[i].source));
    add(corpus.files()[i].name);
    add(digests[i]);
  }
  return files::sha256_hex(fields);
}

/// What stands for the files' hashes while they are not known: a file with another text has another size or time.
std::vector<std::string> stamps_of(const Corpus& corpus) {
  std::vector<std::string> stamps;
  for (const ingest::InputFile& file : corpus.files()) {
    std::error_code error;
    const auto time = fs::last_write_time(file.path, error).time_since_epoch();
    stamps.push_back(fmt::format("{} bytes, {}", file.bytes, time.count()));
  }
  return stamps;
}

/// The vocabulary, and how documents are framed where that is not by the one token that its kind has for it.
/// @throws UsageError for a token that the tokenizer lacks
std::string tokenizer_recipe(const PrepareOptions& options, const std::optional<tokenizer::Tokenizer>& loaded) {
  if (!loaded) return fmt::format("trained {}", options.vocab_size);
  const tokenizer::Framing framing = loaded->framing(options.begin, options.end);
  const bool usual = framing.shared() && framing.end == loaded->tables().framing().end;
  return "loaded " + loaded->fingerprint() + (usual ? "" : fmt::format(" framed {} {}", framing.begin, framing.end));
}

/// The finished dataset of an earlier call, if there is one and it is what would be made now.
std::optional<Manifest> find_finished(const PrepareOptions& options, const std::string& tokenizer, const Corpus& corpus,
                                      const Progress& progress) {
  if (!fs::exists(options.directory) || (fs::is_directory(options.directory) && fs::is_empty(options.directory))) return std::nullopt;
  if (!fs::exists(options.directory / "dataset.json"))
    throw UsageError(
        fmt::format("{}: exists and is no dataset (it has no dataset.json); choose another --out", options.directory.string()));
  const Manifest manifest = Manifest::read(options.directory);
  std::vector<std::string> digests;
  std::int64_t done = 0;
  for (const ingest::InputFile& file : corpus.files()) {
    digests.push_back(files::digest_file(file.path).sha256);
    if (progress) progress({"verifying", done += file.bytes, corpus.bytes()});
  }
  if (manifest.recipe_hash != recipe_hash(options, tokenizer, corpus, digests))
    throw UsageError(
        fmt::format("{}: holds a dataset made from other text or with other options ({}; {} vocabulary of {}); remove it to make "
                    "it anew, or choose another --out",
                    options.directory.string(), manifest.describe_split(), manifest.tokenizer_origin, manifest.vocab_size));
  Manifest verified = Dataset::open(options.directory).manifest();
  PreparationRecord::remove_from(options.directory);  // a preparation that was killed after its last step left it
  return verified;
}

DataError empty_corpus(const Corpus& corpus) {
  std::string paths;
  for (std::size_t s = 0; s < corpus.sources().size(); ++s)
    if (!corpus.of_heldout_source(s)) paths += (paths.empty() ? "" : ", ") + corpus.sources()[s].given();
  return DataError(fmt::format("the corpus is empty: no document with text in {}", paths));
}

/// Only by hash can that happen: any other rule leaves text to training, or asks for none.
DataError all_held_out(const Corpus& corpus, std::int64_t documents) {
  return DataError(fmt::format(
      "the hash holds out all {} documents (fraction {}), none is left for training; hold out the end of each instead (--heldout-tail {}), "
      "give the held-out text yourself (--heldout-source NAME=PATH), or prepare text for evaluation alone (--eval-only)",
      documents, corpus.split().fraction, corpus.split().fraction));
}

/// The first pass: training text only, so that nothing of the held-out text reaches the vocabulary.
tokenizer::Tokenizer train_vocabulary(const PrepareOptions& options, const Corpus& corpus, const Progress& progress) {
  ingest::DocumentReader reader(corpus.train_files(), corpus.ingest());
  std::exception_ptr error;  // the trainer's threads call; a file's fault is thrown on ours
  std::int64_t documents = 0;
  const tokenizer::DocumentStream stream = [&](std::string& text) {
    try {
      ingest::Document document;
      while (reader.next(document)) {
        ++documents;
        text = corpus.split().divide(document.text, false).train;
        if (!text.empty()) return true;
      }
    } catch (...) {
      error = std::current_exception();
    }
    return false;
  };
  tokenizer::BpeTrainOptions training;
  training.vocab_size = static_cast<std::int32_t>(std::min<std::int64_t>(options.vocab_size, INT32_MAX));
  training.threads = options.threads;
  if (progress)
    training.on_progress = [&](const tokenizer::TrainProgress& at) {
      if (at.entries == 0)
        progress({"reading", static_cast<std::int64_t>(at.bytes_read), corpus.bytes()});
      else
        progress({"training the vocabulary", at.entries, at.entries_goal});
    };
  try {
    tokenizer::Tokenizer tokenizer = tokenizer::train_bpe(stream, training);
    if (error) std::rethrow_exception(error);
    return tokenizer;
  } catch (const DataError&) {
    if (error) std::rethrow_exception(error);
    if (documents > 0) throw all_held_out(corpus, documents);
    throw empty_corpus(corpus);
  }
}

/// The second pass: encodes everything, writes the shards, fills counts and file hashes of the manifest.
class EncodePass {
 public:
  EncodePass(const PrepareOptions& options, const Corpus& corpus, const tokenizer::Tokenizer& tokenizer, const fs::path& directory,
             PreparationRecord& record, Manifest& manifest)
      : threads_(options.threads),
        corpus_(corpus),
        tokenizer_(tokenizer),
        manifest_(manifest),
        train_(directory, "train", tokenizer, manifest.framing, options.shard_tokens, options.write_train_text, record.shards("train"),
               [&record](const ShardRecord& shard) { record.add_shard("train", shard); }),
        heldout_(directory, "heldout", tokenizer, manifest.framing, options.shard_tokens, true, record.shards("heldout"),
                 [&record](const ShardRecord& shard) { record.add_shard("heldout", shard); }),
        directory_(directory) {}

  /// @return SHA-256 of each file
  std::vector<std::string> run(const Progress& progress) {
    ingest::RejectedRows rejected(directory_, corpus_.sources(), corpus_.files());
    if (!corpus_.ingest().metadata.empty()) documents_.emplace(directory_, corpus_.sources(), corpus_.files());
    DividedReader reader(corpus_, [&](const ingest::RejectedRow& row) { rejected.add(row); });
    encode_documents([&](EncodedDocument& part) { return next(reader, part); }, tokenizer_, threads_,
                     [&](const EncodedDocument& part) { write(part); },
                     [&] {
                       if (progress) progress({"encoding", reader.bytes_read(), corpus_.bytes()});
                     });
    train_.finish(manifest_.train_shards, manifest_.files);
    heldout_.finish(manifest_.heldout_shards, manifest_.files);
    if (documents_)
      for (const FileRecord& file : documents_->finish()) manifest_.files.push_back(file);
    if (const auto digest = rejected.finish())
      manifest_.files.push_back({ingest::RejectedRows::kFileName, static_cast<std::int64_t>(digest->bytes), digest->sha256});
    manifest_.overlap_documents = reader.overlap().documents();
    manifest_.overlap_names = reader.overlap().names();
    return record_files(reader.summaries());
  }

 private:
  SplitWriter& writer_of(const EncodedDocument& part) { return part.heldout ? heldout_ : train_; }

  /// The next text that is in no finished shard.
  bool next(DividedReader& reader, EncodedDocument& part) {
    while (reader.next(part)) {
      const auto tokens = writer_of(part).pass_over(part.text, static_cast<std::uint32_t>(part.source));
      if (!tokens) return true;
      count(part, *tokens);
    }
    return false;
  }

  void write(const EncodedDocument& part) {
    writer_of(part).add(part.text, part.ids, static_cast<std::uint32_t>(part.source));
    count(part, manifest_.framing.stored(std::ssize(part.ids)));
  }

  void count(const EncodedDocument& part, std::int64_t tokens) {
    if (documents_) documents_->add(part);
    const Counts counts{1, std::ssize(part.text), tokens};
    SourceRecord& source = manifest_.sources[part.source];
    (part.heldout ? source.heldout : source.train) += counts;
    (part.heldout ? manifest_.heldout : manifest_.train) += counts;
  }

  std::vector<std::string> record_files(const std::vector<ingest::FileSummary>& summaries) {
    const std::vector<ingest::InputFile>& files = corpus_.files();
    std::vector<std::string> digests, lines(manifest_.sources.size());
    for (std::size_t i = 0; i < files.size(); ++i) {
      SourceRecord& source = manifest_.sources[files[i].source];
      if (++source.file_count <= SourceRecord::kListedFiles)
        source.files.push_back({files[i].name, summaries[i].bytes, summaries[i].sha256});
      lines[files[i].source] += fmt::format("{}  {}\n", summaries[i].sha256, files[i].name);
      if (const auto empty = summaries[i].skipped.find("empty"); empty != summaries[i].skipped.end())
        source.empty_documents += empty->second.count;
      source.replaced_sequences += summaries[i].replaced_sequences;
      source.rows.add(summaries[i]);
      if (!summaries[i].separator.empty() && source.undivided.size() < SourceRecord::kUndivided)
        source.undivided.push_back({files[i].name, summaries[i].separator, summaries[i].separator_count});
      digests.push_back(summaries[i].sha256);
    }
    for (std::size_t s = 0; s < lines.size(); ++s) manifest_.sources[s].files_hash = files::sha256_hex(lines[s]);
    return digests;
  }

  int threads_;
  const Corpus& corpus_;
  const tokenizer::Tokenizer& tokenizer_;
  Manifest& manifest_;
  SplitWriter train_, heldout_;
  fs::path directory_;
  std::optional<DocumentRecords> documents_;
};

Manifest describe(const PrepareOptions& options, const Corpus& corpus, const tokenizer::Tokenizer& tokenizer) {
  Manifest manifest;
  manifest.longhaul_version = LONGHAUL_VERSION;
  manifest.split = corpus.split();
  manifest.text_field = options.ingest.text_field;
  manifest.invalid_utf8 = ingest::invalid_utf8_name(options.ingest.invalid_utf8);
  manifest.bad_rows = ingest::bad_rows_name(options.ingest.bad_rows);
  manifest.vocab_size = tokenizer.vocab_size();
  manifest.framing = tokenizer.framing(options.begin, options.end);
  manifest.tokenizer_file = "tokenizer.json";
  manifest.tokenizer_fingerprint = tokenizer.fingerprint();
  manifest.tokenizer_origin = options.tokenizer_file.empty() ? "trained" : "loaded";
  for (std::size_t s = 0; s < corpus.sources().size(); ++s) {
    SourceRecord& source = manifest.sources.emplace_back();
    source.name = corpus.sources()[s].name;
    source.path = corpus.sources()[s].given();
    source.heldout_source = corpus.of_heldout_source(s);
    source.walk = ingest::account_of(corpus.walk(s));
    if (const auto tokens = corpus.ingest().walk.tokens_of(source.name)) source.token_format = ingest::token_format_name(*tokens);
  }
  return manifest;
}

/// Each side that the split asks for has text. (Where nothing is held out there is no validation, which is no error.)
void require_text(const Manifest& manifest, const Corpus& corpus) {
  std::int64_t held_out = 0;  // of the sources to train on
  for (const SourceRecord& source : manifest.sources)
    if (!source.heldout_source) held_out += source.heldout.documents;
  if (manifest.train.documents == 0 && !(corpus.split().eval_only && held_out > 0))
    throw held_out == 0 ? empty_corpus(corpus) : all_held_out(corpus, held_out);
}

}  // namespace

void check_vocabulary(const PrepareOptions& options) {
  if ((options.vocab_size > 0) == !options.tokenizer_file.empty())
    throw UsageError("give either --vocab-size (a vocabulary is trained) or --tokenizer FILE (one is loaded), and not both");
  if (options.split.eval_only && options.vocab_size > 0)
    throw UsageError(
        "--eval-only leaves no text to train a vocabulary on; give the one of the runs that are to be evaluated: --tokenizer "
        "DATA/tokenizer.json, DATA being their dataset");
  if (options.vocab_size > 0 && !options.ingest.walk.tokens.empty())
    throw UsageError("--tokens: token ids have a vocabulary already; give it with --tokenizer FILE in place of --vocab-size");
  if (options.tokenizer_file.empty() && (options.begin || options.end))
    throw UsageError("--begin and --end name special tokens of a --tokenizer; a vocabulary trained here has <|endoftext|> alone");
}

ingest::IngestOptions ingest_options(const PrepareOptions& options, const std::optional<tokenizer::Tokenizer>& loaded) {
  ingest::IngestOptions ingest = options.ingest;
  if (loaded && !ingest.walk.tokens.empty())
    ingest.vocabulary =
        token_vocabulary(*loaded, loaded->framing(options.begin, options.end), options.tokenizer_file, options.whole_token_files);
  return ingest;
}

PrepareResult prepare_dataset(const PrepareOptions& options, const std::function<void(const PrepareProgress&)>& progress) {
  check_options(options);
  std::optional<tokenizer::Tokenizer> tokenizer;
  if (!options.tokenizer_file.empty()) tokenizer = tokenizer::Tokenizer::load(options.tokenizer_file, options.pattern);
  const Corpus corpus(options.sources, options.heldout_sources, options.split, ingest_options(options, tokenizer));
  const std::string vocabulary = tokenizer_recipe(options, tokenizer);
  if (auto finished = find_finished(options, vocabulary, corpus, progress)) return {std::move(*finished), true};

  PartialDirectory directory(options.directory);
  PreparationRecord record(directory.path(), recipe_hash(options, vocabulary, corpus, stamps_of(corpus)));
  if (!tokenizer) tokenizer = record.vocabulary();
  if (!tokenizer) tokenizer = train_vocabulary(options, corpus, progress);
  Manifest manifest = describe(options, corpus, *tokenizer);
  if (!record.vocabulary_file()) record.add_vocabulary(write_file(directory.path(), manifest.tokenizer_file, tokenizer->to_json()));
  const std::vector<std::string> digests = EncodePass(options, corpus, *tokenizer, directory.path(), record, manifest).run(progress);
  require_text(manifest, corpus);
  manifest.files.push_back(*record.vocabulary_file());
  manifest.recipe_hash = recipe_hash(options, vocabulary, corpus, digests);
  manifest.content_hash = manifest.hash_of_contents();
  write_file(directory.path(), "dataset.json", manifest.to_json());
  directory.commit();
  PreparationRecord::remove_from(options.directory);
  return {std::move(manifest), false};
}

}  // namespace longhaul::data
