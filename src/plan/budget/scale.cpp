#include "plan/budget/scale.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "model/param_table.h"
#include "plan/forecast.h"
#include "scaling/text.h"
#include "units/error.h"
#include "units/format.h"

namespace longhaul::plan {
namespace {

/// Utilisations between which the optimum of a device-hours budget is looked for; measured runs lie between a fifth and two thirds.
constexpr double kLeastUtilisation = 0.15, kMostUtilisation = 0.7;
/// Beside those: what the law's optimum misses when larger shapes run better or worse.
constexpr double kMargin = 2;

std::vector<model::ModelSpec> shapes_around(const ScaleRequest& request) {
  double low = 0, high = 0;
  const scaling::Surface surface = *request.surface.surface();
  if (request.flops) {
    low = high = surface.optimum(*request.flops).parameters;
  } else {
    const cluster::Accelerator& device = request.base->hardware->accelerator;
    const double peak = device.peak(request.base->precision == cost::Precision::fp8 ? "fp8" : "bf16") * *request.device_hours * 3600;
    low = surface.optimum(peak * kLeastUtilisation).parameters, high = surface.optimum(peak * kMostUtilisation).parameters;
  }
  return family_between(low / kMargin, high * kMargin, request.surface.embeddings, request.family);
}

void walk_cluster(ScaleResult& out) {
  const ScaleRequest& request = out.request;
  const std::vector<model::ModelSpec> shapes = shapes_around(request);
  if (shapes.empty())
    throw UsageError("no Llama-like shape is near the optimum of this budget: give a larger or smaller one, or a smaller --vocab");
  WalkOptions options;
  options.device_hours = request.device_hours, options.flops = request.flops, options.device_memory = request.device_memory;
  options.progress = [&](std::size_t done, std::size_t all) { request.progress(fmt::format("laid out {} of {} shapes", done, all)); };
  out.walked = walk(shapes, *request.base, request.surface, *request.calibration, options);
  out.best = best_of(out.walked);
  if (!out.best)
    throw UsageError(fmt::format("none of {} shapes from {} to {} parameters can run on {}: {}", out.walked.size(),
                                 scaling::count_text(out.walked.front().parameters), scaling::count_text(out.walked.back().parameters),
                                 request.base->hardware->id, out.walked.front().reason));
  out.warnings = forecast(*request.base->hardware, *out.walked[*out.best].run, {}, *request.calibration).warnings;
}

void list_laws(ScaleResult& out) {
  const auto surface = out.request.surface.surface();
  for (const scaling::Law& law : out.request.laws) {
    LawAdvice& row = out.laws.emplace_back();
    row.law = law, row.advice = scaling::advise(law, out.flops);
    if (law.embeddings == out.request.surface.embeddings) row.loss_by_surface = surface->loss(row.advice.at);
  }
}

void count_serving(ScaleResult& out) {
  if (!out.request.serving) return;
  const scaling::Surface surface = *out.request.surface.surface();
  const scaling::Serving& serving = *out.request.serving;
  if (out.request.lifetime) {
    out.served = scaling::best_within(surface, out.flops, serving);
    // The compute-optimal run of the same loss, served.
    double low = 1, high = out.flops;
    for (int i = 0; i < 200; ++i) {
      const double middle = std::sqrt(low * high);
      (surface.loss(surface.optimum(middle)) > out.served->loss ? low : high) = middle;
    }
    const scaling::Allocation trained = surface.optimum(high);
    out.unserved = {trained, surface.loss(trained), scaling::lifetime_flops(trained, serving) - trained.flops()};
  } else {
    const scaling::Allocation trained = surface.optimum(out.flops);
    out.served = scaling::cheapest_of_equal_loss(surface, out.flops, serving);
    out.unserved = {trained, surface.loss(trained), scaling::lifetime_flops(trained, serving) - trained.flops()};
  }
}

void suggest(ScaleResult& out) {
  const ScaleRequest& request = out.request;
  Suggestion& s = out.suggestion;
  if (out.served) {
    s.wanted = out.served->at;
  } else if (out.best) {
    s.wanted = out.walked[*out.best].at;
    s.model = out.walked[*out.best].model;
  } else {
    s.wanted = scaling::advise(request.chosen, out.flops).at;
  }
  const bool embeddings = request.chosen.embeddings;
  s.at = s.wanted;
  try {
    if (!s.model) s.model = scaling::nearest_shape(s.wanted.parameters, embeddings, request.family);
    s.at.parameters = scaling::parameters_of(*s.model, embeddings);
    s.at.tokens = s.wanted.flops() / scaling::kFlopsPerParameterToken / s.at.parameters;
    s.counts = model::count_params(*s.model);
  } catch (const UsageError& error) {
    out.warnings.push_back(error.what());
  }
  if (embeddings == request.surface.embeddings) s.loss = request.surface.surface()->loss(s.at);
}

void warn(ScaleResult& out) {
  const ScaleRequest& request = out.request;
  for (const LawAdvice& row : out.laws)
    if (row.law.id == request.chosen.id && row.advice.beyond)
      out.warnings.push_back(fmt::format("extrapolation: {} is {} of {}", scaling::flops_text(out.flops),
                                         scaling::beyond_text(row.advice.beyond), row.law.id));
  if (request.chosen.trust == scaling::Trust::fitted)
    for (const std::string& caveat : request.chosen.caveats) out.warnings.push_back(fmt::format("{}: {}", request.chosen.id, caveat));
  if (out.training.tokens_per_step > out.suggestion.at.tokens)
    out.warnings.push_back(fmt::format("a step of {} tokens is longer than the whole run of {}",
                                       scaling::count_text(out.training.tokens_per_step), scaling::count_text(out.suggestion.at.tokens)));
  const scaling::Allocation& at = out.suggestion.wanted;
  if (at.parameters < 1 || at.tokens < 1)
    out.warnings.push_back(fmt::format("{} puts the best of this budget at {} parameters and {} tokens: it has nothing to say of it",
                                       request.chosen.id, scaling::count_text(at.parameters), scaling::count_text(at.tokens)));
  if (out.served && request.surface.tokens && request.surface.parameters) {
    const double most = request.surface.tokens->high / request.surface.parameters->low;
    if (out.served->at.tokens_per_parameter() > most)
      out.warnings.push_back(fmt::format("extrapolation: {} tokens a parameter; no run of {} had more than {}",
                                         scaling::count_text(out.served->at.tokens_per_parameter()), request.surface.id,
                                         scaling::count_text(most)));
  }
  constexpr double kMostTokens = 9e18;
  if (request.unique_tokens && out.suggestion.at.tokens < kMostTokens)
    if (auto epochs = warn_of_epochs(Tokens(std::llround(out.suggestion.at.tokens)), *request.unique_tokens))
      out.warnings.push_back(*epochs);
}

}  // namespace

ScaleResult scale(ScaleRequest request) {
  ScaleResult out;
  out.request = std::move(request);
  // Shapes and served tokens are weighed by loss.
  if ((out.request.base || out.request.serving) && !out.request.chosen.surface())
    throw UsageError(
        fmt::format("--law {}: it says how to split a budget, not what loss that gives, and --cluster and --served-tokens compare losses; "
                    "choose a law that has losses, like {}, or leave both out",
                    out.request.chosen.id, out.request.surface.id));
  if (out.request.base) walk_cluster(out);
  out.flops = out.request.flops ? *out.request.flops : out.walked[*out.best].at.flops();
  list_laws(out);
  count_serving(out);
  suggest(out);
  out.training = scaling::advise_training(out.suggestion.at, out.suggestion.loss, out.request.tokens_per_step);
  warn(out);
  return out;
}

std::string model_toml(const ScaleResult& result) {
  const model::ModelSpec& m = *result.suggestion.model;
  return fmt::format(
      "# A Llama-like model of {} parameters for {} tokens: longhaul scale, {} by {}.\n[model]\nlayers = {}\nwidth = {}\nheads = {}\n"
      "kv_heads = {}\nhead_dim = {}\nffn_width = {}\nvocab = {}\nnorm_epsilon = 1e-5\nposition_rows = {}\ntied_embeddings = {}\n",
      format_count(result.suggestion.counts.total.value), scaling::count_text(result.suggestion.at.tokens),
      scaling::flops_text(result.flops), result.request.chosen.id, m.layers, m.width, m.heads, m.kv_heads, m.head_dim, m.ffn_width, m.vocab,
      m.position_rows, m.tied_embeddings);
}

}  // namespace longhaul::plan
