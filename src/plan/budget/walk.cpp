#include "plan/budget/walk.h"

#include <algorithm>

#include "model/flops.h"
#include "plan/search.h"
#include "scaling/family.h"

namespace longhaul::plan {
namespace {

constexpr int kMostStages = 32;

/// Layouts that are tried for each shape: those that win among all on clusters of the catalogue, less schedules in chunks and the sizes of
/// micro-batch beyond four, which move a step by a few percent and not the shape that wins.
Restriction bounded_space(const cost::RunShape& base) {
  Restriction space = search_space(base, {});
  const auto keep = [&](const char* key, const std::vector<std::string>& values) {
    const auto found = space.find(key);
    if (found == space.end()) return;
    std::vector<std::string> left;
    for (const std::string& value : found->second)
      if (std::find(values.begin(), values.end(), value) != values.end()) left.push_back(value);
    if (!left.empty()) found->second = left;
  };
  std::erase_if(space.find("pp")->second, [](const std::string& value) { return value.size() > 2 || std::stoi(value) > kMostStages; });
  keep("virtual", {"1"});
  keep("schedule", {"1f1b"});
  keep("micro_batch", {"1", "2", "4"});
  keep("zero", {"1", "3"});
  keep("shard", {"all"});
  keep("sp", {"1"});
  return space;
}

void lay_out(Walked& out, const cost::RunShape& base, const scaling::Law& law, const cost::Calibration& calibration,
             const WalkOptions& options) {
  cost::RunShape run = base;
  run.model = out.model;
  SearchOptions search_options;
  search_options.keep = 1, search_options.device_memory = options.device_memory;
  const SearchResult found = search(enumerate(run, bounded_space(run)), calibration, search_options);
  if (found.best.empty()) {
    // The layout that comes nearest says why.
    const Considered* nearest = nullptr;
    for (const Considered& c : found.all)
      if (c.outcome == Outcome::too_large && (!nearest || c.memory < nearest->memory)) nearest = &c;
    out.reason = nearest ? nearest->reason : found.all.empty() ? "no layout divides the devices" : found.all.front().reason;
    return;
  }
  const Considered& best = found.all[found.best.front()];
  out.run = best.run, out.step_seconds = best.seconds, out.memory = best.memory;
  out.tokens_per_s = static_cast<double>(best.run.tokens_per_step()) / best.seconds;
  const double peak = base.hardware->accelerator.peak(base.precision == cost::Precision::fp8 ? "fp8" : "bf16") * base.devices;
  out.mfu = model::flops_per_token(out.model, base.sequence_length).value * out.tokens_per_s / peak;
  const double tokens = options.flops ? *options.flops / scaling::kFlopsPerParameterToken / out.parameters
                                      : *options.device_hours * 3600 / base.devices * out.tokens_per_s;
  out.at = {out.parameters, tokens};
  out.loss = law.surface()->loss(out.at);
  out.device_hours = tokens / out.tokens_per_s / 3600 * base.devices;
}

}  // namespace

std::vector<Walked> walk(const std::vector<model::ModelSpec>& shapes, const cost::RunShape& base, const scaling::Law& law,
                         const cost::Calibration& calibration, const WalkOptions& options) {
  std::vector<Walked> out;
  for (const model::ModelSpec& spec : shapes) {
    Walked& walked = out.emplace_back();
    walked.model = spec, walked.parameters = scaling::parameters_of(spec, law.embeddings);
    lay_out(walked, base, law, calibration, options);
    options.progress(out.size(), shapes.size());
  }
  return out;
}

std::optional<std::size_t> best_of(const std::vector<Walked>& walked) {
  std::optional<std::size_t> best;
  for (std::size_t i = 0; i < walked.size(); ++i)
    if (walked[i].run && (!best || walked[i].loss < walked[*best].loss)) best = i;
  return best;
}

}  // namespace longhaul::plan
