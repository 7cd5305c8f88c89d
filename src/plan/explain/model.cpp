// Figures of a model alone: parameters and work, by every convention.
#include <fmt/format.h>

#include "model/flops.h"
#include "model/param_table.h"
#include "plan/explain/lines.h"

namespace longhaul::plan {
namespace {

using model::Role;

/// Parameters by what they are, all added up from the one table.
struct Shares {
  double layers = 0, ends = 0, lookups = 0, small = 0, unvisited = 0;
  explicit Shares(const model::ModelSpec& spec) {
    const model::ParamTable table(spec);
    for (const model::ParamTensor& tensor : table.tensors()) {
      const double count = real(tensor.count);
      (tensor.layer >= 0 ? layers : ends) += count;
      if (tensor.expert >= spec.experts.top_k && tensor.expert < spec.experts.count) {
        unvisited += count;
        continue;
      }
      if (tensor.multiplies) continue;
      (tensor.role == Role::token_embedding || tensor.role == Role::position_embedding ? lookups : small) += count;
    }
  }
};

void derive_total(const ModelFigures& given, Derivation& out) {
  const Shares shares(given.model);
  out.let("layers", real(given.model.layers), Unit::number, "of the model")
      .let("layer", shares.layers / real(given.model.layers), Unit::parameters, "mean layer: attention, MLP, norms")
      .let("ends", shares.ends, Unit::parameters, "embeddings, final norm, and the head where it is not tied")
      .is("layers · layer + ends");
}

void derive_active(const ModelFigures& given, Derivation& out) {
  out.let("total", real(model::count_params(given.model).total.value), Unit::parameters, "parameters.total")
      .let("unvisited", Shares(given.model).unvisited, Unit::parameters, "routed experts beyond the top_k that a token visits")
      .is("total − unvisited");
}

void derive_matmul(const ModelFigures& given, Derivation& out) {
  const Shares shares(given.model);
  out.let("active", real(model::count_params(given.model).active.value), Unit::parameters, "parameters.active")
      .let("lookups", shares.lookups, Unit::parameters, "token and position tables that are looked up and do not multiply")
      .let("small", shares.small, Unit::parameters, "norms and biases")
      .is("active − lookups − small")
      .note("a tied embedding multiplies once, as the head, and counts once; an untied input embedding does not multiply at all");
}

void derive_flops(const ModelFigures& given, model::Convention convention, Derivation& out) {
  const model::ModelSpec& m = given.model;
  const model::ParamCounts counts = model::count_params(m);
  const std::string_view formula = model::formula(convention);
  const std::size_t comma = formula.find(',');
  out.let("N", real(counts.active.value), Unit::parameters, "parameters that a token visits")
      .let("N_matmul", real(counts.matmul.value), Unit::parameters, "parameters that multiply with every token")
      .let("N_lookup", m.tied_embeddings ? 0 : real(m.vocab * m.width), Unit::parameters, "input embedding, when untied")
      .let("L", real(m.layers), Unit::number, "layers")
      .let("h", real(m.width), Unit::number, "hidden size")
      .let("heads", real(m.heads), Unit::number, "query heads")
      .let("head_dim", (m.qk_head_width() + m.value_head_width()) / 2, Unit::number, "width of a head")
      .let("s", real(given.sequence_length), Unit::tokens, "sequence length")
      .let("V", real(m.vocab), Unit::number, "vocabulary")
      .is(std::string(formula.substr(0, comma)));
  if (comma != std::string_view::npos) out.note(std::string(formula.substr(comma + 2)));
}

Line<ModelFigures> flops_line(std::string id, std::string title, std::string pointer, model::Convention convention, std::string source) {
  return {.id = std::move(id),
          .title = std::move(title),
          .unit = Unit::flops,
          .pointer = std::move(pointer),
          .source = std::move(source),
          .value = [convention](const ModelFigures& g) { return model::flops_per_token(g.model, g.sequence_length, convention).value; },
          .derive = [convention](const ModelFigures& g, Derivation& out) { derive_flops(g, convention, out); }};
}

std::string source_of(model::Convention convention) {
  using enum model::Convention;
  switch (convention) {
    case standard:
      return "accounting D1, the convention of every figure printed";
    case exact:
      return "accounting D1: causal products that are really needed";
    case causal_halved:
      return "MaxText since July 2025";
    case six_n:
      return "Kaplan et al. 2020 §2.1; Hoffmann et al. 2022";
    case palm:
      return "Chowdhery et al. 2022 (PaLM), appendix B";
    case llm_foundry:
      return "llm-foundry's benchmark tables";
    case nanotron:
      return "nanotron (Ultra-Scale Playbook)";
    case torchtitan:
      return "torchtitan's metrics";
    case sc21_eq3:
      return "Narayanan et al. 2021 eq. 3";
    case korthikanti_eq7:
      return "Korthikanti et al. 2022 eq. 7";
    case korthikanti_eq8:
      return "Korthikanti et al. 2022 eq. 8";
  }
  return "";
}

}  // namespace

std::vector<Line<ModelFigures>> model_lines() {
  const auto count = [](Params model::ParamCounts::*kind) {
    return [kind](const ModelFigures& g) { return real((model::count_params(g.model).*kind).value); };
  };
  std::vector<Line<ModelFigures>> out;
  out.push_back({"parameters.total",
                 "all parameters of the model",
                 Unit::parameters,
                 "/parameters/total",
                 "the model's table of tensors (accounting D1)",
                 count(&model::ParamCounts::total),
                 derive_total,
                 {},
                 {}});
  out.push_back({"parameters.active",
                 "parameters that a token visits",
                 Unit::parameters,
                 "/parameters/active",
                 "the model's table of tensors (accounting D1)",
                 count(&model::ParamCounts::active),
                 derive_active,
                 {},
                 {}});
  out.push_back({"parameters.matmul",
                 "parameters that multiply with every token",
                 Unit::parameters,
                 "/parameters/matmul",
                 "accounting D1",
                 count(&model::ParamCounts::matmul),
                 derive_matmul,
                 {},
                 {}});
  out.push_back(flops_line("flops.per_token", "training work of a token, forward and backward", "/flops/per_token",
                           model::Convention::standard, source_of(model::Convention::standard)));
  const Line<ModelFigures>& standard = out.back();
  out.back().derive = [derive = standard.derive](const ModelFigures& g, Derivation& d) {
    derive(g, d);
    d.note(
        "2 FLOP a parameter forward, 4 backward; attention is not halved for its mask. Published figures differ by convention: "
        "flops.convention.NAME has each, so compare MFU only under one name");
  };
  for (const model::Convention convention : model::all_conventions()) {
    const std::string name(model::name(convention));
    out.push_back(flops_line("flops.convention." + name, fmt::format("training work of a token as {} counts it", name),
                             "/flops/per_token_by_convention/" + name, convention, source_of(convention)));
  }
  return out;
}

}  // namespace longhaul::plan
