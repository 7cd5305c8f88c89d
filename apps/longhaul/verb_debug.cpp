// longhaul debug: one step, or the batches of many, as safetensors for comparison with another implementation.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>

#include "checkpoint/safetensors.h"
#include "command_line.h"
#include "console.h"
#include "data/dataset.h"
#include "data/loader.h"
#include "files/disk.h"
#include "run_arguments.h"
#include "train/engine.h"
#include "train/inference.h"
#include "train/schedule.h"
#include "train/state.h"
#include "train/trained_model.h"
#include "train/training.h"
#include "verbs.h"

namespace longhaul::app {
namespace {

using checkpoint::TensorView;

template <typename T>
TensorView view(const std::string& name, ElementType dtype, const std::vector<std::int64_t>& shape, const std::vector<T>& values) {
  return {name, dtype, shape, std::as_bytes(std::span(values))};
}

/// Written anew where a file of that name exists: these are outputs to look at, not state.
void write(const std::filesystem::path& path, std::vector<TensorView> tensors) {
  std::filesystem::remove(path);
  checkpoint::write_safetensors(files::Disk(), path, std::move(tensors));
}

void write_registry(const std::filesystem::path& path, const std::vector<checkpoint::TensorEntry>& entries) {
  std::vector<TensorView> tensors;
  for (const checkpoint::TensorEntry& entry : entries)
    tensors.push_back({entry.name, ElementType::f32, entry.shape, std::as_bytes(entry.data)});
  write(path, std::move(tensors));
}

void write_batches(const std::filesystem::path& path, const data::Batch& all, const std::vector<std::int64_t>& shape) {
  write(path, {view("tokens", ElementType::i32, shape, all.tokens), view("targets", ElementType::i32, shape, all.targets),
               view("loss_mask", ElementType::u8, shape, all.loss_mask), view("positions", ElementType::i32, shape, all.positions),
               view("documents", ElementType::i32, shape, all.documents)});
}

/// `sequences` from global sample `first` on, as training reads them. `documents` says who may see whom, so where documents are not
/// isolated each sequence is one: the mask that another implementation builds from it is the one that was used.
data::Batch batch_at(const config::RunConfig& config, const data::Dataset& dataset, std::int64_t first, std::int64_t sequences) {
  dataset.require_training_text();
  data::Batch batch = data::make_batch(dataset.train(), train::loader_options(config), first, sequences);
  if (!config.data.isolate_documents) std::fill(batch.documents.begin(), batch.documents.end(), 0);
  return batch;
}

void write_logits(const std::filesystem::path& path, train::Engine& engine, const data::Batch& batch) {
  train::Inference inference(engine);
  std::vector<float> all;
  for (std::int64_t s = 0; s < batch.sequences; ++s) {
    const std::vector<float> rows = inference.logits(batch.slice(s, 1), 0);
    all.insert(all.end(), rows.begin(), rows.end());
  }
  write(path, {view("logits", ElementType::f32, {batch.sequences, batch.sequence_length, engine.config().model.vocab}, all)});
}

int debug_step(const config::RunConfig& config, const std::filesystem::path& out, bool fresh, bool logits, bool json) {
  const data::Dataset dataset = data::Dataset::open(config.data.directory);
  dataset.require_vocabulary(config.model.vocab);
  train::Engine engine(config);
  engine.initialise();
  train::TrainState state;
  if (!fresh) state = train::load_trained_state(engine, dataset, complain).value_or(state);
  std::filesystem::create_directories(out);
  const data::Batch batch = batch_at(config, dataset, state.sample, config.batch.global_batch);
  write_batches(out / "batch.safetensors", batch, {batch.sequences, batch.sequence_length});
  write_registry(out / "weights.safetensors", engine.registry_of(checkpoint::kWeights, engine.weights()));
  if (logits) write_logits(out / "logits.safetensors", engine, batch);

  train::Executor& step = engine.step();
  step.gradients(batch);
  const double norm = step.gradient_norm();
  const train::LossSum loss = step.loss();
  write_registry(out / "gradients.safetensors", engine.registry_of("gradients", const_cast<float*>(step.reduced_gradient())));
  const config::OptimizerTable& o = config.optimizer;
  const double learning_rate = train::learning_rate(train::schedule_of(config), state.step);
  const double scale = o.clip_norm > 0 && norm > o.clip_norm ? o.clip_norm / norm : 1.0;
  step.update({learning_rate, o.beta1, o.beta2, o.epsilon, o.weight_decay, scale, o.ema_beta, state.applied + 1});
  write_registry(out / "updated.safetensors", engine.registry_of(checkpoint::kWeights, engine.weights()));

  const nlohmann::json document = {{"step", state.step},
                                   {"loss", loss.mean()},
                                   {"targets", loss.targets},
                                   {"grad_norm_before_clip", norm},
                                   {"grad_norm_after_clip", norm * scale},
                                   {"learning_rate", learning_rate}};
  files::write_file_atomically(files::Disk(), out / "step.json", document.dump(2) + "\n");
  if (json)
    print_json(document);
  else
    fmt::print("step {}: loss {:.6f}, gradient norm {:.6f}; tensors in {}\n", state.step, loss.mean(), norm, out.string());
  return 0;
}

int debug_batches(const config::RunConfig& config, const std::filesystem::path& out, std::int64_t steps, bool json) {
  const data::Dataset dataset = data::Dataset::open(config.data.directory);
  const data::Batch all = batch_at(config, dataset, 0, steps * config.batch.global_batch);
  write_batches(out, all, {steps, config.batch.global_batch, config.batch.sequence_length});
  if (json) {
    const nlohmann::json document = {{"file", out.string()},
                                     {"steps", steps},
                                     {"global_batch", config.batch.global_batch},
                                     {"sequence_length", config.batch.sequence_length}};
    print_json(document);
  } else {
    fmt::print("{} batches in {}\n", steps, out.string());
  }
  return 0;
}

}  // namespace

int verb_debug(int argc, char** argv) {
  CommandLine line("longhaul debug",
                   "Tensors of one step, or the batches of many, as safetensors under Hugging Face names (fp32).\n"
                   "Example: longhaul debug step examples/demo.toml --out step0 --logits\n"
                   "         longhaul debug batches examples/demo.toml --steps 100 --out batches.safetensors");
  RunArguments step_arguments, batch_arguments;
  std::string step_out, batches_out;
  bool fresh = false, logits = false;
  std::int64_t steps = 1;
  CommandLine step = line.verb(
      "step", "the step after the newest checkpoint (or the first): weights, gradients before the clip, updated weights, batch, step.json");
  step_arguments.add_to(step);
  step.option("--out", step_out, "folder for the files (created)").required();
  step.flag("--fresh", fresh, "from the initial weights even if there is a checkpoint");
  step.flag("--logits", logits, "also logits.safetensors [sequences, sequence_length, vocab], before the update");
  CommandLine all = line.verb("batches", "tokens, targets, loss_mask, positions, documents of the first steps");
  batch_arguments.add_to(all);
  all.option("--steps", steps, "steps (default 1)").positive();
  all.option("--out", batches_out, "file to write").required();
  if (const std::optional<int> code = line.parse(argc, argv)) return *code;
  if (step.parsed()) return debug_step(step_arguments.resolve_for_one_rank().config, step_out, fresh, logits, step_arguments.json);
  return debug_batches(batch_arguments.resolve_for_one_rank().config, batches_out, steps, batch_arguments.json);
}

}  // namespace longhaul::app
