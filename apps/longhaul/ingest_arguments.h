// apps/longhaul/ingest_arguments.h — the arguments of verbs that read text files: --text-field, --invalid-utf8.
#pragma once

#include <string>

#include "command_line.h"
#include "data/ingest.h"

namespace longhaul::app {

struct IngestArguments {
  /// Declares the arguments on a verb. Keep the object alive while parsing.
  void add_to(CommandLine& line) {
    line.option("--text-field", text_field, "field of a .jsonl line that holds the text").show_default();
    line.option("--invalid-utf8", invalid_utf8, "error, or replace by U+FFFD").one_of({"error", "replace"}).show_default();
  }
  data::IngestOptions options() const {
    return {text_field, invalid_utf8 == "replace" ? data::InvalidUtf8::replace : data::InvalidUtf8::error};
  }

  std::string text_field = "text", invalid_utf8 = "error";
};

}  // namespace longhaul::app
