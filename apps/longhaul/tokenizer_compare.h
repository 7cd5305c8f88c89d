// apps/longhaul/tokenizer_compare.h — `longhaul tokenizer compare`: two vocabularies on the same text.
#pragma once

#include <string>
#include <vector>

#include "command_line.h"
#include "ingest_arguments.h"
#include "tokenizer/tokenizer.h"

namespace longhaul::app {

/// Loads a vocabulary as the verbs of `longhaul tokenizer` do. @param pattern a name of tokenizer/pretokenizer.h, or empty
tokenizer::Tokenizer load_vocabulary(const std::string& file, const std::string& pattern);

class TokenizerCompare {
 public:
  CommandLine add_to(CommandLine& line);
  int run() const;

 private:
  std::string a_, b_, pattern_a_, pattern_b_;
  std::vector<std::string> texts_;
  IngestArguments ingest_;
  bool json_ = false;
};

}  // namespace longhaul::app
