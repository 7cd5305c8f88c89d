// longhaul data prepare | inspect: text to packed, verified shards, and a look at what is in them.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "command_line.h"
#include "console.h"
#include "data/dataset.h"
#include "data/dry_run.h"
#include "data/prepare.h"
#include "ingest_arguments.h"
#include "ingest_report.h"
#include "progress_line.h"
#include "tokenizer/pretokenizer.h"
#include "tokenizer/tokenizer.h"
#include "units/format.h"
#include "units/nearest.h"
#include "verbs.h"

namespace longhaul::app {
namespace {

using data::Counts;
using data::Manifest;

nlohmann::json to_json(const Counts& counts) {
  return {{"documents", counts.documents}, {"bytes", counts.bytes}, {"tokens", counts.tokens}};
}

nlohmann::json to_json(const Manifest& manifest, const std::string& directory) {
  nlohmann::json sources = nlohmann::json::array();
  for (const data::SourceRecord& source : manifest.sources)
    sources.push_back({{"name", source.name},
                       {"heldout_source", source.heldout_source},
                       {"token_format", source.token_format.empty() ? nlohmann::json() : nlohmann::json(source.token_format)},
                       {"train", to_json(source.train)},
                       {"heldout", to_json(source.heldout)},
                       {"files", account_json(source.walk)},
                       {"rows", account_json(source.rows)},
                       {"undivided_files", undivided_json(source.undivided)},
                       {"empty_documents", source.empty_documents},
                       {"replaced_sequences", source.replaced_sequences}});
  return {{"directory", directory},
          {"content_hash", manifest.content_hash},
          {"train", to_json(manifest.train)},
          {"heldout", to_json(manifest.heldout)},
          {"bytes_per_token", manifest.bytes_per_token()},
          {"split",
           {{"salt", manifest.split.salt},
            {"heldout_fraction", manifest.split.fraction},
            {"heldout_tail", manifest.split.tail},
            {"eval_only", manifest.split.eval_only}}},
          {"overlap", {{"documents", manifest.overlap_documents}, {"names", manifest.overlap_names}}},
          {"tokenizer",
           {{"vocab_size", manifest.vocab_size},
            {"origin", manifest.tokenizer_origin},
            {"fingerprint", manifest.tokenizer_fingerprint},
            {"begin", manifest.framing.has_begin() ? nlohmann::json(manifest.framing.begin) : nlohmann::json()},
            {"end", manifest.framing.end}}},
          {"shards", {{"train", manifest.train_shards.size()}, {"heldout", manifest.heldout_shards.size()}}},
          {"sources", sources}};
}

/// @param documents  one whose tail is held out is in both counts, and is one
void print_row(std::string_view name, std::int64_t documents, const Counts& train, const Counts& heldout, std::int64_t all_bytes) {
  const std::int64_t bytes = train.bytes + heldout.bytes;
  const auto percent = [](std::int64_t part, std::int64_t whole) {
    return whole == 0 ? 0.0 : 100.0 * static_cast<double>(part) / static_cast<double>(whole);
  };
  fmt::print("{:<12} {:>10} {:>14} {:>6.1f} % {:>14} {:>9} {:>12} {:>12} {:>6.1f} %\n", name, format_count(documents), format_count(bytes),
             percent(bytes, all_bytes), format_count(train.tokens), format_count(heldout.documents), format_count(heldout.bytes),
             format_count(heldout.tokens), percent(heldout.bytes, bytes));
}

/// @param asked   entries asked for, where the vocabulary was trained; 0: not known
void print_summary(const Manifest& manifest, std::int64_t asked = 0) {
  std::vector<AccountRow> accounts;
  for (const data::SourceRecord& source : manifest.sources) accounts.push_back({source.name, &source.walk, &source.rows});
  print_accounts(accounts);
  const std::int64_t all = manifest.train.bytes + manifest.heldout.bytes;
  fmt::print("{:<12} {:>10} {:>14} {:>8} {:>14} {:>9} {:>12} {:>12} {:>8}\n", "source", "documents", "bytes", "share", "train tokens",
             "held out", "bytes", "tokens", "of source");
  std::int64_t documents = 0;
  for (const data::SourceRecord& source : manifest.sources) {
    const bool tails = manifest.split.tail > 0 && !source.heldout_source;
    const std::int64_t of_source = source.train.documents + (tails ? 0 : source.heldout.documents);
    print_row(source.name, of_source, source.train, source.heldout, all);
    documents += of_source;
  }
  print_row("all", documents, manifest.train, manifest.heldout, all);
  fmt::print("vocabulary   {} entries{} ({}), {:.3f} bytes/token\n", format_count(manifest.vocab_size),
             asked > 0 ? " of " + format_count(asked) + " asked for" : "", manifest.tokenizer_origin, manifest.bytes_per_token());
  fmt::print("split        {}\n", manifest.describe_split());
  for (const data::SourceRecord& source : manifest.sources) {
    if (!source.token_format.empty())
      fmt::print("note         {}: token ids ({}), kept as they were; bytes are those that they stand for\n", source.name,
                 source.token_format);
    print_undivided(source.name, source.undivided);
    if (source.replaced_sequences > 0)
      fmt::print("note         {}: {} invalid UTF-8 sequences replaced by U+FFFD\n", source.name, source.replaced_sequences);
  }
  if (manifest.overlap_documents > 0)
    fmt::print("note         {} document{} to train on {} also held out: {}{}\n", format_count(manifest.overlap_documents),
               manifest.overlap_documents == 1 ? "" : "s", manifest.overlap_documents == 1 ? "is" : "are",
               fmt::join(manifest.overlap_names, ", "), manifest.overlap_documents > std::ssize(manifest.overlap_names) ? ", …" : "");
  if (manifest.heldout.documents == 0)
    fmt::print(
        "note         nothing is held out: no validation on this dataset; hold out the end of each document (--heldout-tail 0.1), or text "
        "of your own (--heldout-source NAME=PATH)\n");
}

/// `names` and those of a list with commas.
std::vector<std::string> with_names(std::vector<std::string> names, const std::string& list) {
  for (std::size_t begin = 0; begin <= list.size();) {
    const std::size_t comma = std::min(list.find(',', begin), list.size());
    if (comma == begin) throw UsageError(fmt::format("--metadata {}: a name is empty; give fields with commas between: url,meta.id", list));
    names.push_back(list.substr(begin, comma - begin));
    begin = comma + 1;
  }
  return names;
}

/// [NAME=]FORMAT arguments by the source's name.
std::map<std::string, ingest::TokenFormat> parse_token_formats(const std::vector<std::string>& arguments) {
  std::map<std::string, ingest::TokenFormat> formats;
  for (const std::string& argument : arguments) {
    const std::size_t equals = argument.find('=');
    const std::string name = argument.substr(equals == std::string::npos ? 0 : equals + 1);
    const auto format = ingest::token_format_from_name(name);
    const std::vector<std::string> names = ingest::token_format_names();
    if (!format)
      throw UsageError(fmt::format("--tokens {}: unknown format '{}'; allowed: {}; nearest: {}", argument, name, fmt::join(names, ", "),
                                   nearest(name, names)));
    formats[equals == std::string::npos ? "" : argument.substr(0, equals)] = *format;
  }
  return formats;
}

/// What would be made, without making it; fails as the preparation would.
int dry_run(const data::PrepareOptions& options, bool json) {
  data::check_vocabulary(options);
  const bool trained = options.tokenizer_file.empty();
  std::optional<tokenizer::Tokenizer> tokenizer;
  if (!trained) tokenizer = tokenizer::Tokenizer::load(options.tokenizer_file, options.pattern);
  std::vector<ingest::Source> sources = options.sources;
  sources.insert(sources.end(), options.heldout_sources.begin(), options.heldout_sources.end());
  const data::DryRun run = data::dry_run(sources, data::ingest_options(options, tokenizer), tokenizer, options.vocab_size, options.threads);
  if (json)
    print_json(dry_run_json(run, trained));
  else
    print_dry_run(run, trained);
  return static_cast<int>(run.would_stop() ? ExitCode::damaged : ExitCode::done);
}

int prepare(int argc, char** argv) {
  CommandLine line(
      "longhaul data prepare",
      "Divides text into training and held-out text, trains (or loads) a vocabulary, and writes verified token shards.\n"
      "Example: longhaul data prepare --source books=corpus/books --source web=crawl.jsonl --vocab-size 8192 --out data\n"
      "         longhaul data prepare --source books=corpus/books --tokenizer gpt2.tiktoken --out data-gpt2\n"
      "         longhaul data prepare --source books=corpus/books --heldout-source test=book.txt --vocab-size 8192 --out data\n"
      "         longhaul data prepare --source test=book.txt --tokenizer data/tokenizer.json --eval-only --out data-test\n"
      "A source is text files (.txt, .text: one document each unless divided) and files of rows (.jsonl, .ndjson, .json, .csv, .tsv,\n"
      ".parquet, .tar), or folders of them. Every other file that is met is counted under a reason. More: docs/data.md.");
  std::vector<std::string> sources, heldout_sources, metadata, tokens;
  double heldout_fraction = -1, heldout_tail = -1;  // not given
  data::PrepareOptions options;
  IngestArguments ingest;
  std::string pattern, begin, end;
  bool json = false, dry = false;
  options.threads = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  line.option(
          "--source", sources,
          "NAME=PATH; repeat for several sources, or for several paths of one. A path is a file, a folder, a pattern (\"corpus/**/*.txt\", "
          "\"part-{000..119}.jsonl\") or @FILE, a list of paths")
      .required();
  line.option("--out", options.directory, "directory to make; an equal, intact one is reused");
  line.option("--vocab-size,--vocab", options.vocab_size, "entries of the byte-level BPE trained on the training documents");
  const Option tokenizer =
      line.option("--tokenizer", options.tokenizer_file,
                  "tokenizer.json, vocab.json and merges.txt, a tiktoken rank file or a SentencePiece .model to load instead");
  line.option("--pattern", pattern, std::string(tokenizer::kPatternValues) + "; needed for rank files other than OpenAI's own")
      .not_empty()
      .needs(tokenizer);
  line.option("--heldout-fraction,--heldout", heldout_fraction,
              "share of documents held out, chosen by hash (default 0.05; 0 beside --heldout-source); of a single document, --heldout-tail")
      .non_negative();
  line.option("--heldout-tail", heldout_tail, "share of every document's text held out, from its end (default 0.1 of a single document)")
      .non_negative();
  line.option("--heldout-source", heldout_sources, "NAME=PATH, held out whole, for your own split; repeat for several");
  line.flag("--eval-only", options.split.eval_only, "hold out everything, for `longhaul eval RUN.toml --data`; needs --tokenizer");
  line.option("--salt", options.split.salt, "of the split's hash: another salt holds out other documents").show_default();
  line.option("--begin", begin, "special token of --tokenizer that begins each document, or none (default: by the tokenizer)")
      .not_empty()
      .needs(tokenizer);
  line.option("--end", end, "special token of --tokenizer that ends each document (default: by the tokenizer)")
      .not_empty()
      .needs(tokenizer);
  line.option("--tokens", tokens,
              fmt::format("[NAME=]FORMAT: the .bin files of all sources, or of one, are token ids of --tokenizer: {}",
                          fmt::join(ingest::token_format_names(), ", ")))
      .one_value_each_time()
      .needs(tokenizer);
  line.flag("--whole-token-files", options.whole_token_files, "a file of token ids in which no end token is found is one document");
  ingest.add_to(line);
  line.option("--metadata", metadata, "fields of rows to keep for each document in documents.jsonl of its split: a,b.c; may be repeated")
      .one_value_each_time();
  line.flag("--train-text", options.write_train_text, "also write train.txt, for the primed compressor of tools/compress_baselines");
  line.option("--threads", options.threads, "threads; never reaches the result").show_default();
  line.flag("--dry-run", dry,
            "write nothing: look at every file's name and a sample of the text, print what would be made and how long it takes");
  line.flag("--json", json, "print one JSON document");
  if (const std::optional<int> code = line.parse(argc, argv)) return *code;

  options.sources = parse_sources(sources, "--source");
  options.heldout_sources = parse_sources(heldout_sources, "--heldout-source");
  if (heldout_fraction >= 0) options.split.heldout_fraction = heldout_fraction;
  if (heldout_tail >= 0) options.split.heldout_tail = heldout_tail;
  if (!begin.empty()) options.begin = begin;
  if (!end.empty()) options.end = end;
  if (!pattern.empty()) options.pattern = tokenizer::pattern_from_name(pattern);
  options.ingest = ingest.options();
  options.ingest.walk.tokens = parse_token_formats(tokens);
  for (const std::string& fields : metadata) options.ingest.metadata = with_names(std::move(options.ingest.metadata), fields);
  if (dry) return dry_run(options, json);
  const train::Console console = make_console();
  ProgressLine progress(console);
  const auto [manifest, reused] =
      data::prepare_dataset(options, [&](const data::PrepareProgress& at) { progress.show(at.phase, at.done, at.total); });
  const std::string directory = options.directory.string();
  console.say(
      fmt::format("{}: {}", directory, reused ? "prepared before from the same text and options; verified and reused" : "prepared"));
  if (json) {
    nlohmann::json out = to_json(manifest, directory);
    out["reused"] = reused;
    out["tokenizer"]["asked_vocab_size"] = options.vocab_size > 0 ? nlohmann::json(options.vocab_size) : nlohmann::json();
    print_json(out);
  } else {
    print_summary(manifest, options.vocab_size);
  }
  return 0;
}

/// The beginning of a document as one printable line.
std::string excerpt(const data::TokenStream& stream, std::int64_t document, const tokenizer::Tokenizer& tokenizer) {
  constexpr std::int64_t kTokens = 40;
  const std::int64_t begin = stream.text_begin(document);
  std::vector<std::int32_t> ids(static_cast<std::size_t>(std::min(kTokens, stream.text_end(document) - begin)));
  stream.read(begin, ids);
  // As a JSON string: control characters escaped, a character that was cut in the middle replaced.
  return nlohmann::json(tokenizer.decode(ids)).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

int inspect(int argc, char** argv) {
  CommandLine line("longhaul data inspect",
                   "Verifies a prepared dataset and shows its sources, counts and first documents.\n"
                   "Example: longhaul data inspect data\n"
                   "         longhaul data inspect data --documents 10 --json");
  std::string directory;
  std::int64_t documents = 3;
  bool json = false;
  line.option("directory", directory, "a dataset made by `longhaul data prepare`").required();
  line.option("--documents", documents, "documents of each split to show").non_negative().show_default();
  line.flag("--json", json, "print one JSON document");
  if (const std::optional<int> code = line.parse(argc, argv)) return *code;

  const data::Dataset dataset = data::Dataset::open(directory);
  const tokenizer::Tokenizer tokenizer = tokenizer::Tokenizer::load(dataset.tokenizer_path());
  dataset.require_vocabulary(tokenizer.vocab_size(), tokenizer.fingerprint());
  nlohmann::json out = to_json(dataset.manifest(), directory);
  out["verified"] = true;
  if (!json) {
    print_summary(dataset.manifest());
    fmt::print("verified     {} shards, every hash, token id and document boundary\n",
               dataset.manifest().train_shards.size() + dataset.manifest().heldout_shards.size());
  }
  for (const auto& [name, stream] : {std::pair{"train", &dataset.train()}, std::pair{"heldout", &dataset.heldout()}}) {
    nlohmann::json& list = out["first_documents"][name] = nlohmann::json::array();
    for (std::int64_t d = 0; d < std::min(documents, stream->documents()); ++d) {
      const data::DocumentEntry entry = stream->document_entry(d);
      const std::string& source = dataset.manifest().sources.at(entry.source).name;
      const std::int64_t tokens = stream->document_begin(d + 1) - stream->document_begin(d);
      const std::string text = excerpt(*stream, d, tokenizer);
      list.push_back({{"source", source}, {"bytes", entry.text_bytes}, {"tokens", tokens}, {"begins", nlohmann::json::parse(text)}});
      if (!json) fmt::print("{:<12} {} ({} bytes, {} tokens) {}…\n", name, source, entry.text_bytes, tokens, text);
    }
  }
  if (json) print_json(out);
  return 0;
}

}  // namespace

int verb_data(int argc, char** argv) {
  const std::string_view name = argc > 1 ? argv[1] : "";
  if (name == "prepare") return prepare(argc - 1, argv + 1);
  if (name == "inspect") return inspect(argc - 1, argv + 1);
  const bool asked = name == "--help" || name == "-h";
  fmt::print(asked ? stdout : stderr,
             "longhaul data prepare | inspect\n\n  prepare   text to a dataset: split, vocabulary, token shards\n"
             "  inspect   verify a dataset and show what it holds\n\nExample: longhaul data prepare --source books=corpus --vocab-size "
             "8192 --out data\n"
             "`longhaul data prepare --help` shows the options.\n");
  return asked ? 0 : static_cast<int>(ExitCode::usage);
}

}  // namespace longhaul::app
