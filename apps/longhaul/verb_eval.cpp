// longhaul eval: how well a run's newest checkpoint predicts a text: its held-out text, another dataset's, or any files.
#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "command_line.h"
#include "console.h"
#include "data/evaluation_text.h"
#include "ingest_arguments.h"
#include "progress_line.h"
#include "run_arguments.h"
#include "train/evaluate.h"
#include "train/trained_model.h"
#include "units/format.h"
#include "verbs.h"

namespace longhaul::app {
namespace {

struct EvalArguments {
  RunArguments run;
  std::vector<std::string> texts;
  std::string data;
  IngestArguments ingest;
  train::EvaluationOptions how;

  /// Whether the text is that of the run's own dataset.
  bool own() const { return texts.empty() && data.empty(); }
  std::vector<std::string> paths(const config::RunConfig& config) const {
    if (!texts.empty()) return texts;
    return {data.empty() ? config.data.directory : data};
  }
  std::int64_t stride(const config::RunConfig& config) const { return how.stride > 0 ? how.stride : config.batch.sequence_length; }
};

std::optional<int> parse(EvalArguments& arguments, int argc, char** argv) {
  CommandLine line(
      "longhaul eval",
      "How well a run's newest verified checkpoint (its average where the run keeps one) predicts a text: nats/token, bits/byte,\n"
      "perplexity per token and per word. The text is the run's held-out text unless --text or --data names another.\n"
      "Example: longhaul eval examples/demo.toml\n"
      "         longhaul eval examples/demo.toml --text book.txt --text corpus/books --per-document --stride 64");
  arguments.run.add_to(line);
  const Option text =
      line.option("--text", arguments.texts,
                  "files and folders as data prepare takes them: text files (a document each), files of rows (.jsonl); repeat for several")
          .one_value_each_time();
  line.option("--data", arguments.data, "the held-out text of another dataset, prepared with the run's tokenizer").excludes(text);
  arguments.ingest.add_to(line);
  line.option("--stride", arguments.how.stride,
              "tokens from one window to the next, 1 … batch.sequence_length (default): each target has at least sequence_length − stride "
              "tokens of context, where there are as many, and counts once; work grows by sequence_length ÷ stride")
      .positive();
  const Option documents = line.flag("--per-document", arguments.how.per_document, "also the figures of each document");
  line.option("--max-tokens", arguments.how.max_tokens, "tokens to read at most, from the start (default: all; bits/byte needs all)")
      .non_negative()
      .excludes(documents);
  return line.parse(argc, argv);
}

/// "<|begin_of_text|> … <|end_of_text|>".
std::string frame(const data::Dataset& dataset) {
  const tokenizer::Tokenizer tokenizer = tokenizer::Tokenizer::load(dataset.tokenizer_path());
  const tokenizer::Framing& framing = dataset.manifest().framing;
  return fmt::format("{} … {}", framing.has_begin() ? tokenizer.token_bytes(framing.begin) : "no begin",
                     tokenizer.token_bytes(framing.end));
}

/// The other dataset's ids must mean what the run's mean, and its documents begin and end as the run's.
data::Dataset open_other(const std::string& directory, const data::Dataset& of_run) {
  data::Dataset other = data::Dataset::open(directory);
  if (other.manifest().tokenizer_fingerprint != of_run.manifest().tokenizer_fingerprint)
    throw DataError(fmt::format(
        "{}: encoded with another tokenizer than the run ({} {}, the run's {} {}); `longhaul data prepare --tokenizer {}` makes one "
        "of its text, --text evaluates the files themselves",
        directory, other.tokenizer_path().string(), other.manifest().tokenizer_fingerprint, of_run.tokenizer_path().string(),
        of_run.manifest().tokenizer_fingerprint, of_run.tokenizer_path().string()));
  if (other.manifest().framing != of_run.manifest().framing)
    throw DataError(fmt::format(
        "{}: its documents are framed otherwise ({}) than those that the run was trained on ({}, {}); `longhaul data prepare` has --begin "
        "and --end, --text evaluates the files themselves",
        directory, frame(other), frame(of_run), of_run.directory().string()));
  return other;
}

data::EvaluationText read_text(const EvalArguments& arguments, const data::Dataset& of_run, int threads, ProgressLine& progress) {
  if (arguments.own()) return data::heldout_text(of_run);
  if (!arguments.data.empty()) return data::heldout_text(open_other(arguments.data, of_run));
  const tokenizer::Tokenizer tokenizer = tokenizer::Tokenizer::load(of_run.tokenizer_path());
  of_run.require_vocabulary(tokenizer.vocab_size(), tokenizer.fingerprint());
  return data::text_of_files({arguments.texts.begin(), arguments.texts.end()}, arguments.ingest.options(), tokenizer,
                             of_run.manifest().framing, threads,
                             [&](std::int64_t done, std::int64_t total) { progress.show("encoding", done, total); });
}

/// Where a figure cannot be had, null.
nlohmann::json or_null(std::optional<double> value) { return value && std::isfinite(*value) ? nlohmann::json(*value) : nlohmann::json(); }

/// Of a text that has targets; without one there is no mean.
std::optional<double> loss_of(const train::Evaluation& e) { return e.targets > 0 ? std::optional(e.loss) : std::nullopt; }
std::optional<double> perplexity_of(const train::Evaluation& e) { return e.targets > 0 ? std::optional(e.perplexity()) : std::nullopt; }

constexpr const char* kNone = "—";
std::string fixed(std::optional<double> value, int digits) { return value ? fmt::format("{:.{}f}", *value, digits) : kNone; }
/// "16.7", "3.21e+09".
std::string perplexity_text(std::optional<double> value) {
  if (!value) return kNone;
  return *value < 1e6 ? fmt::format("{:.2f}", *value) : fmt::format("{:.3g}", *value);
}

/// The figures of document `d`: the same as those of the whole text.
train::Evaluation of_document(const train::Evaluation& whole, const data::TokenStream& stream, std::int64_t d) {
  const train::DocumentLoss& document = whole.documents[static_cast<std::size_t>(d)];
  return train::Evaluation::of(document.nats, document.targets, stream.document_entry(d).text_bytes, whole.covers_text);
}

nlohmann::json documents_json(const train::Evaluation& whole, const data::EvaluationText& text) {
  nlohmann::json list = nlohmann::json::array();
  for (std::int64_t d = 0; d < std::ssize(whole.documents); ++d) {
    const train::Evaluation document = of_document(whole, text.tokens, d);
    const auto at = static_cast<std::size_t>(d);
    list.push_back({{"name", text.names[at]},
                    {"bytes", text.tokens.document_entry(d).text_bytes},
                    {"words", text.words[at]},
                    {"targets", document.targets},
                    {"nats", document.nats},
                    {"loss", or_null(loss_of(document))},
                    {"bits_per_byte", or_null(document.bits_per_byte)},
                    {"perplexity", or_null(perplexity_of(document))},
                    {"word_perplexity", or_null(document.word_perplexity(text.words[at]))}});
  }
  return list;
}

void print_documents(const train::Evaluation& whole, const data::EvaluationText& text) {
  fmt::print("{:>8} {:>12} {:>10} {:>11} {:>10} {:>11}  {}\n", "document", "bytes", "tokens", "nats/token", "bits/byte", "perplexity",
             "name");
  for (std::int64_t d = 0; d < std::ssize(whole.documents); ++d) {
    const train::Evaluation document = of_document(whole, text.tokens, d);
    fmt::print("{:>8} {:>12} {:>10} {:>11} {:>10} {:>11}  {}\n", d, format_count(text.tokens.document_entry(d).text_bytes),
               format_count(document.targets), fixed(loss_of(document), 4), fixed(document.bits_per_byte, 3),
               perplexity_text(perplexity_of(document)), text.names[static_cast<std::size_t>(d)]);
  }
}

nlohmann::json to_json(const EvalArguments& arguments, const config::RunConfig& config, const checkpoint::Commit& commit,
                       const data::EvaluationText& text, const train::Evaluation& result) {
  nlohmann::json out = {{"step", commit.step},
                        {"checkpoint", commit.name()},
                        {"weights", config.optimizer.ema_beta > 0 ? "average" : "weights"},
                        {"text", arguments.texts.empty() ? "heldout" : "files"},
                        {"paths", arguments.paths(config)},
                        {"documents", text.tokens.documents()},
                        {"bytes", text.tokens.text_bytes()},
                        {"words", text.total_words()},
                        {"notes", text.notes},
                        {"complete", result.complete},
                        {"sequence_length", config.batch.sequence_length},
                        {"stride", arguments.stride(config)},
                        {"end_of_text_loss", config.data.end_of_text_loss},
                        {"nats", result.nats},
                        {"targets", result.targets},
                        {"loss", or_null(loss_of(result))},
                        {"bits_per_byte", or_null(result.bits_per_byte)},
                        {"perplexity", or_null(perplexity_of(result))},
                        {"word_perplexity", or_null(result.word_perplexity(text.total_words()))}};
  if (arguments.how.per_document) out["per_document"] = documents_json(result, text);
  return out;
}

void print(const EvalArguments& arguments, const config::RunConfig& config, const data::EvaluationText& text,
           const train::Evaluation& result) {
  if (arguments.how.per_document) print_documents(result, text);
  fmt::print("{} {}: {} document{}, {} bytes, {} words{}\n", arguments.texts.empty() ? "held-out text of" : "text of",
             fmt::join(arguments.paths(config), ", "), format_count(text.tokens.documents()), text.tokens.documents() == 1 ? "" : "s",
             format_count(text.tokens.text_bytes()), format_count(text.total_words()),
             result.complete ? "" : "; only its beginning was read");
  fmt::print("windows of {} tokens, stride {}\n", config.batch.sequence_length, arguments.stride(config));
  fmt::print("{} nats/token over {} targets\n", fixed(loss_of(result), 4), result.targets);
  if (result.bits_per_byte) fmt::print("longhaul {:.3f} bits/byte{}\n", *result.bits_per_byte, train::end_of_text_note(config));
  if (!result.covers_text)
    fmt::print("no bits/byte: documents have no begin token, so {} not predicted\n",
               config.data.isolate_documents ? "their first tokens are" : "the first one's first token is");
  fmt::print("perplexity {} per token", perplexity_text(perplexity_of(result)));
  if (const auto word = result.word_perplexity(text.total_words())) fmt::print(", {} per word", perplexity_text(*word));
  fmt::print("\n");
}

}  // namespace

int verb_eval(int argc, char** argv) {
  EvalArguments arguments;
  if (const std::optional<int> code = parse(arguments, argc, argv)) return *code;

  const config::RunConfig config = arguments.run.resolve_for_one_rank().config;
  const train::Console console = make_console();
  ProgressLine progress(console);
  console.begin("verifying the data");
  const data::Dataset dataset = data::Dataset::open(config.data.directory, arguments.own() ? data::Verify::full : data::Verify::structure);
  dataset.require_vocabulary(config.model.vocab);
  const data::EvaluationText text = read_text(arguments, dataset, train::thread_count(config), progress);

  train::Engine engine(config, train::Engine::Use::evaluation);
  console.begin("loading the newest checkpoint");
  const checkpoint::Loaded loaded = train::load_trained(engine, dataset, complain);
  console.begin("evaluating");
  const train::Evaluation result = train::evaluate(engine, text.tokens, arguments.how,
                                                   [&](std::int64_t done, std::int64_t all) { progress.show("evaluating", done, all); });
  console.say(fmt::format("{} of {}", loaded.commit.name(), config.run.directory));
  for (const std::string& note : text.notes) console.say("note: " + note);
  if (arguments.run.json)
    print_json(to_json(arguments, config, loaded.commit, text, result));
  else
    print(arguments, config, text, result);
  return 0;
}

}  // namespace longhaul::app
