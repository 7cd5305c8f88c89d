// apps/longhaul/ingest_arguments.h — the arguments of verbs that read text files: which files, in what encoding, how they are divided, and
// what happens at faults.
#pragma once

#include <string>
#include <vector>

#include "command_line.h"
#include "ingest/documents.h"

namespace longhaul::app {

struct IngestArguments {
  /// Declares the arguments on a verb. Keep the object alive while parsing.
  void add_to(CommandLine& line);
  /// @throws UsageError for values that are not allowed
  ingest::IngestOptions options() const;

 private:
  std::vector<std::string> include_, exclude_, encodings_;
  std::string text_field_ = "text", separator_, invalid_utf8_ = "stop", bad_rows_ = "stop", repeated_keys_ = "stop";
  bool split_paragraphs_ = false;
};

/// `NAME=PATH` arguments; those of one name are one source.
/// @param option  that they were given with, for errors
std::vector<ingest::Source> parse_sources(const std::vector<std::string>& arguments, const std::string& option);

}  // namespace longhaul::app
