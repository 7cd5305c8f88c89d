#include "interop/emission.h"

#include <fmt/format.h>

#include <algorithm>

#include "plan/search.h"
#include "units/error.h"
#include "units/nearest.h"
#include "units/one_line.h"

namespace longhaul::interop {

const std::vector<std::string>& emit_systems() {
  static const std::vector<std::string> kSystems{"torchtitan", "megatron"};
  return kSystems;
}

std::string framework_of_system(std::string_view system) { return system == "megatron" ? "megatron-lm" : std::string(system); }

plan::Restriction space_of_system(std::string_view system, const model::ModelSpec& spec) {
  plan::Restriction out;
  // As the refusals of torchtitan.cpp and megatron.cpp have it.
  if (system == "torchtitan" && spec.tied_embeddings) out["pp"] = {"1"};
  if (system == "megatron" && spec.experts.count > 0) out["sp"] = {"1"};
  return out;
}

void require_multiple(std::int64_t sequence_length, std::int64_t unit, std::string_view system, const std::string& why) {
  const std::int64_t below = sequence_length / unit * unit;
  require(sequence_length % unit == 0, system,
          fmt::format("sequence_length = {}: {}, so it must be a multiple of {}; nearest: {}", sequence_length, why, unit,
                      below > 0 ? fmt::format("{} or {}", below, below + unit) : std::to_string(unit)));
}

void require(bool condition, std::string_view system, const std::string& sentence) {
  if (!condition) throw UsageError(std::string(system) + ": " + sentence);
}

std::string headline(const EmitJob& job) {
  return fmt::format("{} on {} x {}, {}, sequences of {} tokens, {} of them a step", one_line(job.config.model.name), job.shape.devices,
                     one_line(job.shape.accelerator), to_text(job.shape), job.shape.sequence_length, job.shape.global_batch);
}

std::vector<std::string> never_expressed(const EmitJob& job) {
  std::vector<std::string> out{
      "data: the dataset and the tokenizer are yours to name; longhaul's shards are read by longhaul alone",
      "numerics: the order of sums is the system's own, so losses agree in expectation, not bit for bit; guards, cadences of saving and "
      "evaluation, and virtual ranks are left to the system's defaults"};
  for (const std::string& note : job.model_notes) out.push_back("model: " + note);
  if (const std::string nodes = other_nodes(job.shape); !nodes.empty()) out.push_back(nodes);
  if (job.config.optimizer.ema_beta > 0)
    out.push_back(fmt::format("optimizer.ema_beta = {}: no average of the weights is kept", job.config.optimizer.ema_beta));
  return out;
}

Emission emit(std::string_view system, const EmitJob& job) {
  const auto& systems = emit_systems();
  if (std::find(systems.begin(), systems.end(), system) == systems.end())
    throw UsageError(fmt::format("--for '{}': allowed are {}; nearest: {}", system, fmt::join(systems, ", "), nearest(system, systems)));
  const model::ModelSpec& spec = job.shape.model;
  require(spec.head_dim > 0, system,
          fmt::format("heads = {} does not divide width = {}: no system runs such a model", spec.heads, spec.width));
  Emission out = system == "megatron" ? emit_megatron(job) : emit_torchtitan(job);
  out.system = system;
  out.processes = processes_of(job.shape);
  return out;
}

}  // namespace longhaul::interop
