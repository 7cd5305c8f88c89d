// longhaul export hf: a run's newest checkpoint as a folder that transformers loads unchanged.
#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "checkpoint/safetensors.h"
#include "command_line.h"
#include "console.h"
#include "data/dataset.h"
#include "files/disk.h"
#include "model/hf_config.h"
#include "run_arguments.h"
#include "tokenizer/tokenizer.h"
#include "train/trained_model.h"
#include "verbs.h"

namespace longhaul::app {
namespace {

/// What generation needs to know: the tokens that begin and end a text.
nlohmann::json generation_config(const tokenizer::Framing& framing) {
  nlohmann::json out = {{"eos_token_id", framing.end}};
  if (framing.has_begin()) out["bos_token_id"] = framing.begin;
  return out;
}

nlohmann::json tokenizer_config(const tokenizer::Tokenizer& tokenizer, const tokenizer::Framing& framing, std::int64_t sequence_length) {
  nlohmann::json out = {{"tokenizer_class", "PreTrainedTokenizerFast"},
                        {"eos_token", tokenizer.token_bytes(framing.end)},
                        {"model_max_length", sequence_length},
                        {"clean_up_tokenization_spaces", false}};
  if (framing.has_begin()) out["bos_token"] = tokenizer.token_bytes(framing.begin);
  return out;
}

void write_folder(const train::Engine& engine, const tokenizer::Tokenizer& tokenizer, const tokenizer::Framing& framing,
                  const std::filesystem::path& folder) {
  const files::Disk disk;
  const config::RunConfig& config = engine.config();
  std::vector<checkpoint::TensorView> tensors;
  for (const checkpoint::TensorEntry& entry : engine.registry_of(checkpoint::kWeights, engine.weights()))
    tensors.push_back({entry.name, ElementType::f32, entry.shape, std::as_bytes(entry.data)});
  checkpoint::write_safetensors(disk, folder / "model.safetensors", std::move(tensors), {{"format", "pt"}});
  const std::optional<std::int64_t> begin = framing.has_begin() ? std::optional<std::int64_t>(framing.begin) : std::nullopt;
  const nlohmann::json model = model::hf_config(config.model, config.batch.sequence_length, begin, framing.end);
  files::write_file_atomically(disk, folder / "config.json", model.dump(2) + "\n");
  files::write_file_atomically(disk, folder / "tokenizer.json", tokenizer.to_json());
  files::write_file_atomically(disk, folder / "generation_config.json", generation_config(framing).dump(2) + "\n");
  files::write_file_atomically(disk, folder / "tokenizer_config.json",
                               tokenizer_config(tokenizer, framing, config.batch.sequence_length).dump(2) + "\n");
  disk.sync_directory(folder);
}

/// Written under a temporary name and renamed: the folder appears whole or not at all.
void export_hf(const train::Engine& engine, const tokenizer::Tokenizer& tokenizer, const tokenizer::Framing& framing,
               const std::filesystem::path& out) {
  if (std::filesystem::exists(out))
    throw UsageError(fmt::format("{} exists: export writes a new folder and replaces nothing", out.string()));
  const std::filesystem::path folder = out.parent_path() / (out.filename().string() + ".tmp-" + files::random_uuid());
  std::filesystem::create_directories(folder);
  try {
    write_folder(engine, tokenizer, framing, folder);
    files::Disk().rename(folder, out);
  } catch (...) {
    std::error_code ignored;  // the first error is the one to tell
    std::filesystem::remove_all(folder, ignored);
    throw;
  }
  files::Disk().sync_directory(out.parent_path());
}

}  // namespace

int verb_export(int argc, char** argv) {
  CommandLine line("longhaul export",
                   "export hf: config.json, model.safetensors and tokenizer.json that transformers' from_pretrained() loads unchanged.\n"
                   "Example: longhaul export hf examples/demo.toml --out demo-hf");
  CommandLine hf = line.verb("hf", "Hugging Face transformers");
  RunArguments arguments;
  arguments.add_to(hf);
  std::string out;
  bool fresh = false;
  hf.option("--out", out, "folder to create").required();
  hf.flag("--fresh", fresh, "the initial weights, without a checkpoint");
  if (const std::optional<int> code = line.parse(argc, argv)) return *code;

  const config::RunConfig config = arguments.resolve_for_one_rank().config;
  const data::Dataset dataset = data::Dataset::open(config.data.directory, data::Verify::structure);
  const tokenizer::Tokenizer tokenizer = tokenizer::Tokenizer::load(dataset.tokenizer_path());
  dataset.require_vocabulary(config.model.vocab, tokenizer.fingerprint());
  train::Engine engine(config, train::Engine::Use::evaluation);
  std::int64_t step = 0;
  if (fresh)
    engine.initialise();
  else
    step = train::load_trained(engine, dataset, complain).commit.step;
  export_hf(engine, tokenizer, dataset.manifest().framing, std::filesystem::absolute(out).lexically_normal());
  if (arguments.json)
    print_json(nlohmann::json{{"directory", out}, {"step", step}});
  else
    fmt::print("step {} in {}\n", step, out);
  return 0;
}

}  // namespace longhaul::app
