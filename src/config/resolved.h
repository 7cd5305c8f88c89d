// config/resolved.h — a checked RunConfig that knows where each value came from; made by config/resolve.h.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "config/run_config.h"
#include "model/hf_reader.h"

namespace longhaul::config {

struct ResolvedConfig {
  RunConfig config;
  std::string label;  ///< the run file as it was named
  /// "table.key" → where its value came from: "examples/demo.toml:14", "--set", "gpt2-124m.toml:3", "default" or "computed: why".
  std::map<std::string, std::string> origins;
  /// Combinations that are possible but rarely meant, a sentence each; verbs print them on stderr.
  std::vector<std::string> warnings;
  /// Of a model that is a Hugging Face config.json: what it says that the spec cannot. `warnings` has these too, with the file.
  std::vector<std::string> model_notes;
  std::optional<model::Llama3Rope> llama3_rope;
};

/// Where a value came from, as the start of a message: "run.toml:14: ", "--set ", or the run file's name alone.
std::string place(const ResolvedConfig& resolved, const std::string& option);

}  // namespace longhaul::config
