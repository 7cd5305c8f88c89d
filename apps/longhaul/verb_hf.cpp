// longhaul hf: what a Hugging Face config.json describes, counted, and as a model file.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "command_line.h"
#include "config/derive.h"
#include "config/model_file.h"
#include "console.h"
#include "files/disk.h"
#include "model/flops.h"
#include "units/error.h"
#include "units/format.h"
#include "verbs.h"

namespace longhaul::app {
namespace {

nlohmann::json to_json(const model::HfModel& hf, std::int64_t sequence_length) {
  const model::ParamCounts counts = model::count_params(hf.spec);
  nlohmann::json conventions;
  for (const model::Convention convention : model::all_conventions())
    conventions[std::string(name(convention))] = flops_per_token(hf.spec, sequence_length, convention).value;
  return {{"kind", hf.kind},
          {"transformers", model::kTransformersVersion},
          {"parameters",
           {{"total", counts.total.value},
            {"active", counts.active.value},
            {"embedding", counts.embedding.value},
            {"matmul", counts.matmul.value}}},
          {"sequence_length", sequence_length},
          {"flops", {{"per_token", flops_per_token(hf.spec, sequence_length).value}, {"per_token_by_convention", conventions}}},
          {"model", config::model_json(hf.spec)},
          {"assumed", hf.assumed},
          {"notes", hf.notes}};
}

void print_list(const std::string& title, const std::vector<std::string>& lines) {
  if (lines.empty()) return;
  fmt::print("\n{}\n", title);
  for (const std::string& line : lines) fmt::print("  {}\n", line);
}

void print(const model::HfModel& hf, const std::string& file, std::int64_t sequence_length) {
  const model::ParamCounts counts = model::count_params(hf.spec);
  const auto row = [](const char* what, std::int64_t count) { fmt::print("  {:<20}{:>20}\n", what, format_count(count)); };
  fmt::print("{}: {}, {} layers of width {}\n\nparameters (counted)\n", file, hf.kind, hf.spec.layers, hf.spec.width);
  row("total", counts.total.value);
  if (counts.active.value != counts.total.value) row("active for a token", counts.active.value);
  const std::int64_t without = counts.total.value - counts.embedding.value;
  row("without embedding", without);
  // Model cards leave out an untied head too.
  if (!hf.spec.tied_embeddings) row("and without head", without - hf.spec.vocab * hf.spec.width);
  row("that multiply", counts.matmul.value);
  fmt::print("\nwork of training on one token, sequences of {} tokens\n  {} ({})\n", sequence_length,
             format(flops_per_token(hf.spec, sequence_length)), formula(model::Convention::standard));
  print_list(fmt::format("assumed: absent keys, with the defaults of transformers {}", model::kTransformersVersion), hf.assumed);
  print_list("what the counts leave out", hf.notes);
}

}  // namespace

int verb_hf(int argc, char** argv) {
  CommandLine line("longhaul hf",
                   "What a Hugging Face config.json describes: parameters, work per token (FLOP), what was assumed, and with --out the\n"
                   "same as a model file for --model. Every verb's --model takes the config.json itself too.\n"
                   "Example: longhaul hf Llama-3.1-8B/config.json --out llama.toml");
  std::string file, out;
  std::int64_t sequence_length = 0;
  bool json = false;
  line.option("CONFIG.json", file, fmt::format("of {}", fmt::join(model::hf_kinds(), ", "))).required();
  line.option("--sequence-length", sequence_length, "tokens of a sequence, for the work of attention (default: the model's, at most 4096)")
      .between(1, model::kLargestSize);
  line.option("--out", out, "write the model as a TOML file like those of examples/models").not_empty();
  line.flag("--json", json, "one JSON document on stdout");
  if (const std::optional<int> code = line.parse(argc, argv)) return *code;

  const model::HfModel hf = config::read_hf_file(file);
  if (sequence_length == 0) sequence_length = config::default_sequence_length(hf.spec.position_rows);
  if (hf.spec.position == model::PositionKind::learned && sequence_length > hf.spec.position_rows)
    throw UsageError(fmt::format("--sequence-length {}: the model has {} learned positions", sequence_length, hf.spec.position_rows));
  // Counting comes first: a model too large to count leaves no file behind.
  const nlohmann::json document = to_json(hf, sequence_length);
  if (!out.empty()) {
    const std::string origin = fmt::format("{}, from a Hugging Face config.json ({})", config::model_name_of(file), hf.kind);
    files::write_named_file(out, config::model_toml(hf.spec, origin));
    fmt::print(stderr, "{}: the model, for --model {}\n", out, out);
  }
  if (json)
    print_json(document);
  else
    print(hf, file, sequence_length);
  return 0;
}

}  // namespace longhaul::app
