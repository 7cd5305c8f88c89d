#include "tokenizer_compare.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "console.h"
#include "tokenizer/bpe_tables.h"
#include "tokenizer/comparison.h"
#include "tokenizer/pretokenizer.h"
#include "units/format.h"

namespace longhaul::app {
namespace {

using CompareJson = nlohmann::ordered_json;

CompareJson tokenizer_json(const std::string& file, const tokenizer::Tokenizer& tokenizer) {
  return {{"file", file},
          {"vocab_size", tokenizer.vocab_size()},
          {"pattern", tokenizer::pattern_name(tokenizer.tables().pattern())},
          {"fingerprint", tokenizer.fingerprint()}};
}

CompareJson text_json(const tokenizer::TextComparison& text) {
  CompareJson counts = CompareJson::array();
  for (std::size_t i = 0; i < 2; ++i) {
    counts.push_back(
        {{"tokens", text.tokens[i]}, {"bytes_per_token", text.bytes_per_token(i)}, {"tokens_per_word", text.tokens_per_word(i)}});
  }
  return {{"name", text.name},   {"documents", text.documents},
          {"bytes", text.bytes}, {"words", text.words},
          {"counts", counts},    {"documents_with_equal_ids", text.documents_with_equal_ids}};
}

void print_text(const tokenizer::TextComparison& text, std::size_t width) {
  const double ratio = text.tokens[0] == 0 ? 0 : 100.0 * (static_cast<double>(text.tokens[1]) / static_cast<double>(text.tokens[0]) - 1);
  fmt::print("{:<{}} {:>14} {:>14} {:>14} {:>7.1f} % {:>8.3f} {:>8.3f} {:>8.3f} {:>8.3f}\n", text.name, width, format_count(text.bytes),
             format_count(text.tokens[0]), format_count(text.tokens[1]), ratio, text.bytes_per_token(0), text.bytes_per_token(1),
             text.tokens_per_word(0), text.tokens_per_word(1));
}

void print_ids(const tokenizer::IdComparison& ids) {
  fmt::print("ids          {} mean the same in both, {} differ, {} are in A only, {} in B only; {} tokens are in both, under whatever id\n",
             format_count(ids.same), format_count(ids.different), format_count(ids.only_in_a), format_count(ids.only_in_b),
             format_count(ids.tokens_in_both));
}

}  // namespace

tokenizer::Tokenizer load_vocabulary(const std::string& file, const std::string& pattern) {
  if (pattern.empty()) return tokenizer::Tokenizer::load(file);
  return tokenizer::Tokenizer::load(file, tokenizer::pattern_from_name(pattern));
}

CommandLine TokenizerCompare::add_to(CommandLine& line) {
  CommandLine verb =
      line.verb("compare",
                "Compares two vocabularies: ids that mean the same, and on text bytes per token and tokens per word (fertility).\n"
                "Example: longhaul tokenizer compare tokenizer.json cl100k_base.tiktoken --text corpus/books --text crawl.jsonl");
  verb.option("A", a_, "tokenizer.json, vocab.json or merges.txt, a .tiktoken rank file, a SentencePiece .model").required();
  verb.option("B", b_, "the other one").required();
  verb.option("--text", texts_, "files and folders as data prepare takes them; repeat for several, each has a line of its own")
      .one_value_each_time()
      .required();
  verb.option("--pattern-a", pattern_a_, "how A cuts text, where it is a rank file other than OpenAI's own");
  verb.option("--pattern-b", pattern_b_, "how B does");
  ingest_.add_to(verb);
  verb.flag("--json", json_, "one JSON document on stdout");
  return verb;
}

int TokenizerCompare::run() const {
  const tokenizer::Tokenizer a = load_vocabulary(a_, pattern_a_), b = load_vocabulary(b_, pattern_b_);
  std::vector<ingest::Source> sources;
  std::vector<tokenizer::TextComparison> texts;
  for (const std::string& text : texts_) {
    sources.push_back({text, text});
    texts.emplace_back().name = text;
  }
  const ingest::IngestOptions ingest = ingest_.options();
  ingest::DocumentReader reader(ingest::walk_sources(sources, ingest.walk).files, ingest);
  tokenizer::TokenizerComparison comparison(a, b);
  for (ingest::Document document; reader.next(document);) comparison.add(document.text, texts[document.source]);
  tokenizer::TextComparison all;
  all.name = "all";
  for (const tokenizer::TextComparison& text : texts) all += text;
  const tokenizer::IdComparison ids = tokenizer::compare_ids(a, b);
  if (json_) {
    CompareJson listed = CompareJson::array();
    for (const tokenizer::TextComparison& text : texts) listed.push_back(text_json(text));
    print_json(CompareJson{{"tokenizers", CompareJson::array({tokenizer_json(a_, a), tokenizer_json(b_, b)})},
                           {"ids",
                            {{"same", ids.same},
                             {"different", ids.different},
                             {"only_in_a", ids.only_in_a},
                             {"only_in_b", ids.only_in_b},
                             {"tokens_in_both", ids.tokens_in_both}}},
                           {"texts", listed},
                           {"all", text_json(all)}});
    return 0;
  }
  fmt::print("A            {} ({} ids, pattern {})\nB            {} ({} ids, pattern {})\n", a_, format_count(a.vocab_size()),
             tokenizer::pattern_name(a.tables().pattern()), b_, format_count(b.vocab_size()),
             tokenizer::pattern_name(b.tables().pattern()));
  print_ids(ids);
  if (a.fingerprint() == b.fingerprint()) fmt::print("             A and B have the same fingerprint: every id means the same\n");
  std::size_t width = 12;
  for (const tokenizer::TextComparison& text : texts) width = std::max(width, text.name.size());
  fmt::print("{:<{}} {:>14} {:>14} {:>14} {:>9} {:>17} {:>17}\n", "", width, "", "tokens", "tokens", "", "bytes/token", "tokens/word");
  fmt::print("{:<{}} {:>14} {:>14} {:>14} {:>9} {:>8} {:>8} {:>8} {:>8}\n", "text", width, "bytes", "A", "B", "B to A", "A", "B", "A", "B");
  for (const tokenizer::TextComparison& text : texts) print_text(text, width);
  if (texts.size() > 1) print_text(all, width);
  fmt::print("documents    {} of {} have the same ids with both\n", format_count(all.documents_with_equal_ids),
             format_count(all.documents));
  return 0;
}

}  // namespace longhaul::app
