#include "config/resolve.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "config/check.h"
#include "config/derive.h"
#include "config/model_file.h"
#include "config/options.h"
#include "config/toml_reader.h"
#include "files/examples.h"
#include "files/read.h"
#include "model/flops.h"
#include "units/error.h"

namespace longhaul::config {

namespace fs = std::filesystem;

namespace {

std::string prefix(const Entry& entry) { return entry.origin == "--set" ? "--set " : entry.origin + ": "; }

std::string absolute(const fs::path& folder, const std::string& path) {
  if (path.empty()) return path;
  const fs::path normal = fs::absolute(folder / path).lexically_normal();
  return normal.has_filename() ? normal.string() : normal.parent_path().string();  // "run/" is "run"
}

bool gives(const std::vector<Entry>& entries, std::string_view table, std::string_view key) {
  return std::any_of(entries.begin(), entries.end(), [&](const Entry& e) { return e.table == table && e.key == key; });
}

void drop(std::vector<Entry>& entries, std::string_view table, std::string_view key) {
  std::erase_if(entries, [&](const Entry& e) { return e.table == table && e.key == key; });
}

/// One resolution: values are applied weakest first, then computed, then checked.
class Resolver {
 public:
  Resolver(std::string label, std::string folder) : folder_(std::move(folder)) { resolved_.label = std::move(label); }

  ResolvedConfig resolve(std::vector<Entry> file, const Overrides& sets, bool budget_by_rule);

 private:
  void apply_defaults();
  void apply(const Entry& entry);
  void apply_model(const std::vector<Entry>& file, const std::vector<Entry>& sets);
  std::vector<Entry> hf_entries(const std::string& path);
  void load_model(const std::string& name, const std::string& folder, const std::string& named_at);

  bool given(const std::string& option) const { return resolved_.origins.at(option) != "default"; }
  void computed(const std::string& option, const std::string& why = "") {
    resolved_.origins[option] = "computed: " + (why.empty() ? std::string(find_option(option)->computed) : why);
  }
  void compute_model();
  void compute_batch();
  void compute_budget(bool by_rule);
  void compute_schedule();
  void compute_parallel();

  std::string folder_;
  ResolvedConfig resolved_;
  RunConfig& config_ = resolved_.config;
};

ResolvedConfig Resolver::resolve(std::vector<Entry> file, const Overrides& sets, bool budget_by_rule) {
  std::vector<Entry> overrides;
  for (const std::string& text : sets) overrides.push_back(read_override(text));
  // A budget on the command line replaces the file's, in whichever unit that was.
  if (gives(overrides, "run", "steps")) drop(file, "run", "tokens");
  if (gives(overrides, "run", "tokens")) drop(file, "run", "steps");

  apply_defaults();
  apply_model(file, overrides);
  for (const Entry& entry : file) apply(entry);
  for (const Entry& entry : overrides) apply(entry);
  if (!given("model.layers") || !given("model.width") || !given("model.heads") || !given("model.vocab")) {
    throw UsageError(resolved_.label + ": [model] needs layers, width, heads and vocab, or model.name = one of examples/models");
  }
  if (config_.model.name.empty()) {
    config_.model.name = fs::path(resolved_.label).stem().string();
    computed("model.name");
  }
  compute_model();
  compute_batch();
  check_inputs(resolved_);
  if (config_.batch.virtual_ranks == 0) {
    config_.batch.virtual_ranks = default_virtual_ranks(config_.micro_batches());
    computed("batch.virtual_ranks");
  }
  compute_budget(budget_by_rule);
  compute_schedule();
  compute_parallel();
  check_whole(resolved_);
  return std::move(resolved_);
}

void Resolver::apply_defaults() {
  for (const Option& option : options()) {
    resolved_.origins[option.name()] = "default";
    if (option.fallback.empty()) continue;
    Value value = std::string(option.fallback);
    if (option.kind == Kind::boolean) value = option.fallback == "true";
    if (option.kind == Kind::integer) value = std::int64_t{std::stoll(std::string(option.fallback))};
    if (option.kind == Kind::real) value = std::stod(std::string(option.fallback));
    if (option.kind == Kind::path) value = absolute(folder_, std::string(option.fallback));
    if (const auto problem = set(option, config_, value)) throw std::logic_error("default of " + option.name() + " " + *problem);
  }
}

void Resolver::apply(const Entry& entry) {
  const std::string name = entry.table + "." + entry.key;
  const Option* option = find_option(entry.table, entry.key);
  if (!option) {
    throw UsageError(prefix(entry) + "unknown option " + name + "; nearest: " + nearest_option(entry.table, entry.key).name());
  }
  Value value = entry.value;
  if (auto* path = std::get_if<std::string>(&value); path && option->kind == Kind::path) {
    *path = absolute(entry.origin == "--set" ? "." : folder_, *path);
  }
  if (const auto problem = set(*option, config_, value)) {
    throw UsageError(prefix(entry) + name + " = " + display(entry.value) + " " + *problem);
  }
  resolved_.origins[name] = entry.origin;
}

/// Loads the file that model.name stands for, unless every axis is given: then there is nothing left to look up (a resolved run file).
void Resolver::apply_model(const std::vector<Entry>& file, const std::vector<Entry>& sets) {
  const Entry* name = nullptr;
  for (const auto* entries : {&file, &sets}) {
    for (const Entry& entry : *entries) {
      if (entry.table == "model" && entry.key == "name") name = &entry;
    }
  }
  if (!name) return;
  const auto* text = std::get_if<std::string>(&name->value);
  if (!text || text->empty()) throw UsageError(prefix(*name) + "model.name = " + display(name->value) + " is not the name of a model");
  const auto all = options();
  const bool complete = std::all_of(all.begin(), all.end(), [&](const Option& option) {
    return option.table != "model" || gives(file, "model", option.key) || gives(sets, "model", option.key);
  });
  if (!complete) load_model(*text, name->origin == "--set" ? "." : folder_, prefix(*name));
}

void Resolver::load_model(const std::string& name, const std::string& folder, const std::string& named_at) {
  std::string path;
  try {
    path = files::find_example("models", "model", name, folder).string();
  } catch (const UsageError& error) {
    throw UsageError(named_at + "model.name: " + error.what());
  }
  for (const Entry& entry : is_hf_file(path) ? hf_entries(path) : read_toml(files::read_file(path), path)) {
    if (entry.table != "model" || entry.key == "name") {
      throw UsageError(prefix(entry) + entry.table + "." + entry.key + " stands in a model's file, which holds axes of [model] alone");
    }
    apply(entry);
  }
}

/// A Hugging Face config.json as the axes it means; what a spec cannot say becomes a warning.
std::vector<Entry> Resolver::hf_entries(const std::string& path) {
  const model::HfModel hf = read_hf_file(path);
  for (const std::string& note : hf.notes) resolved_.warnings.push_back(fmt::format("{}: {}", path, note));
  resolved_.model_notes = hf.notes;
  resolved_.llama3_rope = hf.llama3_rope;
  std::vector<Entry> entries = read_toml(model_toml(hf.spec, ""), path);
  for (Entry& entry : entries) entry.origin = path;
  return entries;
}

void Resolver::compute_model() {
  const std::string name = config_.model.name;
  // A model that was found by path is called by its file's name from here on.
  const bool path = name.find('/') != std::string::npos || name.ends_with(".toml") || is_hf_file(name);
  config_.model.name = path ? model_name_of(name) : name;
  const model::ModelSpec before = config_.model;
  config_.model = model::with_usual_values(before);
  if (before.kv_heads != config_.model.kv_heads) computed("model.kv_heads");
  if (before.head_dim != config_.model.head_dim) computed("model.head_dim");
  if (before.ffn_width != config_.model.ffn_width) computed("model.ffn_width");
}

void Resolver::compute_batch() {
  if (given("batch.sequence_length")) return;
  config_.batch.sequence_length = default_sequence_length(config_.model.position_rows);
  computed("batch.sequence_length");
}

void Resolver::compute_budget(bool by_rule) {
  const bool steps = given("run.steps"), tokens = config_.run.tokens > 0;
  if (steps && tokens)
    throw UsageError(place(resolved_, "run.tokens") + "run.steps and run.tokens are both given; the length of a run is one of them");
  if (steps) return;
  if (!tokens) {
    if (!by_rule) throw UsageError(resolved_.label + ": neither run.steps nor run.tokens is given; the length of a run is one of them");
    constexpr std::int64_t kTokensPerParameter = 20;  // accounting D5
    const std::int64_t parameters = model::count_params(config_.model).total.value;
    const std::int64_t most = static_cast<std::int64_t>(find_option("run.tokens")->most);
    config_.run.tokens = parameters > most / kTokensPerParameter ? most : parameters * kTokensPerParameter;
    computed("run.tokens", "20 tokens per parameter (Hoffmann et al. 2022)");
  }
  config_.run.steps = steps_for(config_.run.tokens, config_.tokens_per_step());
  computed("run.steps");
}

void Resolver::compute_schedule() {
  ScheduleTable& schedule = config_.schedule;
  if (!given("schedule.warmup_steps") || schedule.warmup_steps < 0) {
    schedule.warmup_steps = default_warmup_steps(config_.run.steps);
    computed("schedule.warmup_steps");
  }
  if (!given("schedule.min_learning_rate")) {
    const bool has_floor = schedule.kind == LearningRateSchedule::cosine || schedule.kind == LearningRateSchedule::linear;
    schedule.min_learning_rate = has_floor ? config_.optimizer.learning_rate / 10 : 0;
    computed("schedule.min_learning_rate");
  }
  if (!given("precision.order")) {
    config_.precision.order = config_.precision.dtype == ElementType::bf16 ? Order::dp2 : Order::fma;
    computed("precision.order");
  }
}

void Resolver::compute_parallel() {
  if (given("parallel.schedule")) return;
  config_.parallel.schedule = default_pipeline_schedule(config_.parallel.chunks);
  computed("parallel.schedule");
}

}  // namespace

ResolvedConfig resolve_text(std::string_view toml, const std::string& label, const std::string& folder, const Overrides& sets) {
  return Resolver(label, folder).resolve(read_toml(toml, label), sets, false);
}

ResolvedConfig resolve_file(const std::string& path, const Overrides& sets) {
  std::error_code error;
  if (!fs::is_regular_file(path, error)) throw UsageError(path + ": no such run file");
  const fs::path folder = fs::path(path).parent_path();
  return resolve_text(files::read_file(path), path, folder.empty() ? "." : folder.string(), sets);
}

ResolvedConfig resolve_model(const std::string& name, const Overrides& sets) {
  return Resolver("--model " + name, ".").resolve({{"model", "name", Value(name), "--model " + name}}, sets, true);
}

}  // namespace longhaul::config
