// longhaul tokenizer: train a vocabulary, encode text, decode ids, convert between vocabulary files, compare them.
#include <fmt/format.h>
#include <time.h>

#include <charconv>
#include <chrono>
#include <cstdio>
#include <iostream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <thread>

#include "command_line.h"
#include "console.h"
#include "files/read.h"
#include "ingest_arguments.h"
#include "tokenizer/bpe_train.h"
#include "tokenizer/pretokenizer.h"
#include "tokenizer/tokenizer.h"
#include "tokenizer_compare.h"
#include "verbs.h"

namespace longhaul::app {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::uint64_t kMaxInputBytes = std::uint64_t{2} << 30;  // of one file that is encoded as one document

// A line on stderr about once a second, beginning two seconds after the start: short work stays silent.
class TimedProgress {
 public:
  template <typename Describe>
  void tell(Describe describe) {
    const auto now = std::chrono::steady_clock::now();
    if (now < next_) return;
    next_ = now + std::chrono::seconds(1);
    fmt::print(stderr, "{}\n", describe());
  }

 private:
  std::chrono::steady_clock::time_point next_ = std::chrono::steady_clock::now() + std::chrono::seconds(2);
};

struct TrainArguments {
  std::vector<std::string> inputs;
  std::int32_t vocab_size = 32000;
  std::string pattern = "gpt2", out;
  IngestArguments ingest;
  int threads = 0;
  bool json = false;

  CommandLine add_to(CommandLine& line) {
    CommandLine verb = line.verb("train",
                                 "Learns a byte-level BPE vocabulary and writes it as a Hugging Face tokenizer.json.\n"
                                 "Example: longhaul tokenizer train corpus/ --vocab-size 32000 --out tokenizer.json");
    verb.option("INPUT", inputs, "text files (a document each), files of rows (a document a line), folders of them, patterns, @LIST")
        .required();
    verb.option("--vocab-size", vocab_size, "entries, with the 256 bytes and <|endoftext|>").show_default();
    verb.option("--pattern", pattern, std::string("how text is cut into pieces: ") + tokenizer::kPatternValues).show_default();
    verb.option("--out", out, "file to write").required();
    ingest.add_to(verb);
    verb.option("--threads", threads, "0 = all processors; the result is the same at any number").show_default();
    verb.flag("--json", json, "the summary as JSON on stdout");
    return verb;
  }
};

int train(const TrainArguments& arguments) {
  std::vector<ingest::Source> sources;
  for (const std::string& input : arguments.inputs) sources.push_back({input, input});
  const ingest::IngestOptions ingest = arguments.ingest.options();
  const ingest::Walk walk = ingest::walk_sources(sources, ingest.walk);
  for (std::size_t i = 0; i < sources.size(); ++i)
    if (const std::string skipped = walk.sources[i].skipped_text(); !skipped.empty())
      complain(fmt::format("{}: {} of {} files left out: {}", sources[i].name, walk.sources[i].skipped_files(), walk.sources[i].seen(),
                           skipped));
  ingest::DocumentReader reader(walk.files, ingest);
  const auto next_document = [&reader](std::string& text) {
    ingest::Document document;
    if (!reader.next(document)) return false;
    text = document.text;
    return true;
  };
  TimedProgress progress;
  tokenizer::BpeTrainOptions options;
  options.vocab_size = arguments.vocab_size;
  options.pattern = tokenizer::pattern_from_name(arguments.pattern);
  options.threads = arguments.threads > 0 ? arguments.threads : static_cast<int>(std::thread::hardware_concurrency());
  options.on_progress = [&progress](const tokenizer::TrainProgress& now) {
    progress.tell([&] {
      const double megabytes = static_cast<double>(now.bytes_read) / 1e6;
      return now.entries == 0 ? fmt::format("counting pieces: {:.1f} MB read", megabytes)
                              : fmt::format("merging: {} of {} entries", now.entries, now.entries_goal);
    });
  };
  const auto start = std::chrono::steady_clock::now();
  const tokenizer::Tokenizer tokenizer = tokenizer::train_bpe(next_document, options);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  tokenizer.save(arguments.out);
  if (tokenizer.vocab_size() < options.vocab_size) {
    fmt::print(stderr, "only {} entries: no pair is left to merge; more text gives more\n", tokenizer.vocab_size());
  }
  if (arguments.json) {
    const Json summary = {{"file", arguments.out},
                          {"vocab_size", tokenizer.vocab_size()},
                          {"asked_vocab_size", options.vocab_size},
                          {"fingerprint", tokenizer.fingerprint()},
                          {"bytes", reader.bytes_read()},
                          {"seconds", seconds}};
    print_json(summary);
  } else {
    fmt::print("{}: {} entries of {} asked for, from {:.2f} MB in {:.2f} s\nfingerprint {}\n", arguments.out, tokenizer.vocab_size(),
               options.vocab_size, static_cast<double>(reader.bytes_read()) / 1e6, seconds, tokenizer.fingerprint());
  }
  return 0;
}

void add_vocabulary_options(CommandLine& verb, std::string& tokenizer, std::string& pattern) {
  verb.option("--tokenizer", tokenizer,
              "tokenizer.json, vocab.json or merges.txt (with the other beside it), a .tiktoken rank file, a SentencePiece .model")
      .required();
  verb.option("--pattern", pattern, std::string(tokenizer::kPatternValues) + "; needed for rank files other than OpenAI's own");
}

struct CodingArguments {
  std::string tokenizer, pattern;
  std::vector<std::string> inputs{"-"};

  void add_to(CommandLine& verb, const char* what) {
    add_vocabulary_options(verb, tokenizer, pattern);
    verb.option("FILE", inputs, what).show_default();
  }

  tokenizer::Tokenizer load() const { return load_vocabulary(tokenizer, pattern); }
};

std::string read_input(const std::string& input) {
  if (input != "-") return files::read_file(input, kMaxInputBytes);
  return {std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>()};
}

struct ConvertArguments {
  std::string tokenizer, pattern, out;

  CommandLine add_to(CommandLine& line) {
    CommandLine verb = line.verb("convert",
                                 "Writes a vocabulary as a Hugging Face tokenizer.json with the same ids.\n"
                                 "Example: longhaul tokenizer convert --tokenizer cl100k_base.tiktoken --out tokenizer.json");
    add_vocabulary_options(verb, tokenizer, pattern);
    verb.option("--out", out, "file to write").required();
    return verb;
  }
};

int convert(const ConvertArguments& arguments) {
  const tokenizer::Tokenizer tokenizer = load_vocabulary(arguments.tokenizer, arguments.pattern);
  tokenizer.save(arguments.out);
  fmt::print("{}: {} entries\nfingerprint {}\n", arguments.out, tokenizer.vocab_size(), tokenizer.fingerprint());
  return 0;
}

struct EncodeArguments : CodingArguments {
  bool json = false, lines = false, count = false, bench = false;

  CommandLine add_to(CommandLine& line) {
    CommandLine verb = line.verb("encode",
                                 "Prints the ids of each file (a document), one line a file; no <|endoftext|> is added.\n"
                                 "Example: echo -n 'Hello world' | longhaul tokenizer encode --tokenizer tokenizer.json\n"
                                 "         longhaul tokenizer encode --tokenizer cl100k_base.tiktoken --count book.txt");
    CodingArguments::add_to(verb, "text to encode, - for standard input");
    verb.flag("--lines", lines, "each line of the input is a JSON string and a document of its own");
    const Option as_json = verb.flag("--json", json, "documents and totals as JSON");
    const Option as_count = verb.flag("--count", count, "numbers of bytes and tokens instead of ids").excludes(as_json);
    verb.flag("--bench", bench, "speed of one thread in CPU time as JSON: with an empty memory of pieces, then with a full one")
        .excludes(as_json)
        .excludes(as_count);
    return verb;
  }
};

struct NamedText {
  std::string name, text;
};

// A document for each file, or with --lines for each JSON string.
std::vector<NamedText> documents_of(const EncodeArguments& arguments) {
  std::vector<NamedText> documents;
  for (const std::string& input : arguments.inputs) {
    std::string contents = read_input(input);
    if (!arguments.lines) {
      documents.push_back({input, std::move(contents)});
      continue;
    }
    std::size_t number = 0;
    for (std::size_t begin = 0; begin < contents.size(); ++number) {
      const std::size_t end = std::min(contents.find('\n', begin), contents.size());
      const std::string name = fmt::format("{}:{}", input, number + 1);
      const Json value = Json::parse(contents.begin() + static_cast<std::ptrdiff_t>(begin),
                                     contents.begin() + static_cast<std::ptrdiff_t>(end), nullptr, false);
      if (!value.is_string()) throw DataError(name + ": not a JSON string; allowed with --lines: one string a line, as \"a\\nb\"");
      documents.push_back({name, value.get<std::string>()});
      begin = end + 1;
    }
  }
  return documents;
}

double thread_seconds() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

void print_speed(const tokenizer::Tokenizer& tokenizer, const std::vector<NamedText>& documents) {
  tokenizer::Encoder encoder(tokenizer);
  std::vector<std::int32_t> ids;
  std::int64_t bytes = 0, tokens = 0;
  const auto pass = [&] {
    bytes = tokens = 0;
    const double start = thread_seconds();
    for (const NamedText& document : documents) {
      ids.clear();
      encoder.encode_into(document.text, ids);
      bytes += static_cast<std::int64_t>(document.text.size());
      tokens += static_cast<std::int64_t>(ids.size());
    }
    return thread_seconds() - start;
  };
  const double first = pass(), again = pass();
  const auto rate = [&](double seconds) { return static_cast<double>(bytes) / seconds; };
  const Json result = {
      {"bytes", bytes}, {"tokens", tokens}, {"first_pass_bytes_per_s", rate(first)}, {"second_pass_bytes_per_s", rate(again)}};
  print_json(result);
}

int encode(const EncodeArguments& arguments) {
  const tokenizer::Tokenizer tokenizer = arguments.load();
  const std::vector<NamedText> documents = documents_of(arguments);
  if (arguments.bench) {
    print_speed(tokenizer, documents);
    return 0;
  }
  tokenizer::Encoder encoder(tokenizer);
  TimedProgress progress;
  Json listed = Json::array();
  std::int64_t bytes = 0, tokens = 0;
  std::vector<std::int32_t> ids;
  for (const NamedText& document : documents) {
    ids.clear();
    encoder.encode_into(document.text, ids);
    bytes += static_cast<std::int64_t>(document.text.size());
    tokens += static_cast<std::int64_t>(ids.size());
    if (arguments.json) {
      listed.push_back({{"name", document.name}, {"bytes", document.text.size()}, {"tokens", ids.size()}, {"ids", ids}});
    } else if (arguments.count) {
      if (!arguments.lines) fmt::print("{}: {} bytes, {} tokens\n", document.name, document.text.size(), ids.size());
    } else {
      fmt::print("{}\n", fmt::join(ids, " "));
    }
    progress.tell([&] { return fmt::format("encoding: {:.1f} MB", static_cast<double>(bytes) / 1e6); });
  }
  if (arguments.count) fmt::print("total: {} bytes, {} tokens\n", bytes, tokens);
  if (arguments.json) {
    const Json about = {{"vocab_size", tokenizer.vocab_size()}, {"fingerprint", tokenizer.fingerprint()}};
    print_json(Json{{"tokenizer", about}, {"documents", listed}, {"bytes", bytes}, {"tokens", tokens}}, -1);
  }
  return 0;
}

// Whole numbers with white space or commas between them.
std::vector<std::int32_t> parse_ids(const std::string& name, std::string_view text) {
  constexpr std::string_view kBetween = " \t\r\n,";
  std::vector<std::int32_t> ids;
  for (std::size_t begin = text.find_first_not_of(kBetween); begin < text.size(); begin = text.find_first_not_of(kBetween, begin)) {
    const std::size_t end = std::min(text.find_first_of(kBetween, begin), text.size());
    std::int32_t id = 0;
    const auto [stop, error] = std::from_chars(text.data() + begin, text.data() + end, id);
    if (error != std::errc() || stop != text.data() + end) {
      throw DataError(fmt::format("{}: '{}' at byte {} is no token id; allowed: whole numbers with spaces between", name,
                                  text.substr(begin, std::min<std::size_t>(end - begin, 40)), begin));
    }
    ids.push_back(id);
    begin = end;
  }
  return ids;
}

int decode(const CodingArguments& arguments) {
  const tokenizer::Tokenizer tokenizer = arguments.load();
  for (const std::string& input : arguments.inputs) std::cout << tokenizer.decode(parse_ids(input, read_input(input)));
  return 0;
}

}  // namespace

int verb_tokenizer(int argc, char** argv) {
  CommandLine line("longhaul tokenizer", "Vocabularies: text to token ids and back, exactly as tiktoken and Hugging Face do it.");
  TrainArguments train_arguments;
  EncodeArguments encode_arguments;
  CodingArguments decode_arguments;
  const CommandLine train_verb = train_arguments.add_to(line);
  const CommandLine encode_verb = encode_arguments.add_to(line);
  ConvertArguments convert_arguments;
  const CommandLine convert_verb = convert_arguments.add_to(line);
  CommandLine decode_verb = line.verb("decode",
                                      "Prints the text of token ids.\n"
                                      "Example: echo 306 302 261 305 | longhaul tokenizer decode --tokenizer vocab.json");
  decode_arguments.add_to(decode_verb, "ids with spaces between, - for standard input");
  TokenizerCompare compare;
  const CommandLine compare_verb = compare.add_to(line);
  if (const std::optional<int> code = line.parse(argc, argv)) return *code;
  if (train_verb.parsed()) return train(train_arguments);
  if (compare_verb.parsed()) return compare.run();
  if (convert_verb.parsed()) return convert(convert_arguments);
  return encode_verb.parsed() ? encode(encode_arguments) : decode(decode_arguments);
}

}  // namespace longhaul::app
