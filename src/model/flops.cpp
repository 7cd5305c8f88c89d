#include "model/flops.h"

#include <array>

#include "model/param_table.h"

namespace longhaul::model {

namespace {

constexpr std::array kConventions = {Convention::standard, Convention::exact,           Convention::causal_halved,  Convention::six_n,
                                     Convention::palm,     Convention::llm_foundry,     Convention::nanotron,       Convention::torchtitan,
                                     Convention::sc21_eq3, Convention::korthikanti_eq7, Convention::korthikanti_eq8};

double real(std::int64_t value) { return static_cast<double>(value); }

/// Work per token and per key it meets, forward and backward: products with keys and with values, three passes of 2 FLOP each.
/// 12·heads·head_dim for ordinary attention.
double attention_per_key(const ModelSpec& spec) { return 6 * real(spec.heads) * (spec.qk_head_width() + spec.value_head_width()); }

/// 72·L·h²·(1 + s/(score_divisor·h) + V/(12hL)): the common shape of the closed forms for ffn = 4h.
double closed_form(double factor, const ModelSpec& spec, std::int64_t s, double score_divisor, double head_divisor) {
  const double h = real(spec.width), layers = real(spec.layers);
  return factor * layers * h * h * (1 + real(s) / (score_divisor * h) + real(spec.vocab) / (head_divisor * layers * h));
}

}  // namespace

ParamCounts count_params(const ModelSpec& spec) {
  const ParamTable table(spec);
  ParamCounts counts;
  counts.total = table.total();
  for (const ParamTensor& tensor : table.tensors()) {
    const Params size(tensor.count);
    // A token visits top_k of the routed experts and all shared ones (numbered after them); counting the first top_k is counting any.
    const bool visited = tensor.expert < spec.experts.top_k || tensor.expert >= spec.experts.count;
    if (tensor.role == Role::token_embedding || tensor.role == Role::position_embedding) counts.embedding += size;
    if (!visited) continue;
    counts.active += size;
    if (tensor.multiplies) counts.matmul += size;
  }
  return counts;
}

std::string_view name(Convention convention) {
  switch (convention) {
    case Convention::standard:
      return "standard";
    case Convention::exact:
      return "exact";
    case Convention::causal_halved:
      return "causal_halved";
    case Convention::six_n:
      return "six_n";
    case Convention::palm:
      return "palm";
    case Convention::llm_foundry:
      return "llm_foundry";
    case Convention::nanotron:
      return "nanotron";
    case Convention::torchtitan:
      return "torchtitan";
    case Convention::sc21_eq3:
      return "sc21_eq3";
    case Convention::korthikanti_eq7:
      return "korthikanti_eq7";
    case Convention::korthikanti_eq8:
      return "korthikanti_eq8";
  }
  return "";
}

std::string_view formula(Convention convention) {
  switch (convention) {
    case Convention::standard:
      return "6·N_matmul + 12·L·heads·head_dim·s";
    case Convention::exact:
      return "6·N_matmul + 12·L·heads·head_dim·(s+1)/2";
    case Convention::causal_halved:
      return "6·N_matmul + 6·L·heads·head_dim·s";
    case Convention::six_n:
      return "6·N";
    case Convention::palm:
      return "6·N + 12·L·heads·head_dim·s";
    case Convention::llm_foundry:
      return "6·N + 12·L·h·s, N with embeddings";
    case Convention::nanotron:
      return "6·N + 12·L·h·s, N with both embeddings when untied";
    case Convention::torchtitan:
      return "6·(N - N_lookup) + 12·L·heads·head_dim·s, N_lookup the input embedding when untied";
    case Convention::sc21_eq3:
      return "96·L·h²·(1 + s/(6·h) + V/(16·L·h)), with full recompute";
    case Convention::korthikanti_eq7:
      return "72·L·h²·(1 + s/(6·h) + V/(12·h·L))";
    case Convention::korthikanti_eq8:
      return "72·L·h²·(1 + s/(3·h) + V/(12·h·L)), with selective recompute";
  }
  return "";
}

std::span<const Convention> all_conventions() { return kConventions; }

Flops flops_per_token(const ModelSpec& spec, std::int64_t s, Convention convention) {
  const ParamCounts counts = count_params(spec);
  const double active = real(counts.active.value), matmul = real(counts.matmul.value), layers = real(spec.layers);
  const double attention = layers * attention_per_key(spec);
  const double attention_of_width = 12 * layers * real(spec.width) * real(s);
  switch (convention) {
    case Convention::standard:
      return Flops(6 * matmul + attention * real(s));
    case Convention::exact:
      return Flops(6 * matmul + attention * (real(s) + 1) / 2);
    case Convention::causal_halved:
      return Flops(6 * matmul + attention * real(s) / 2);
    case Convention::six_n:
      return Flops(6 * active);
    case Convention::palm:
      return Flops(6 * active + attention * real(s));
    case Convention::llm_foundry:
    case Convention::nanotron:
      return Flops(6 * active + attention_of_width);
    case Convention::torchtitan: {
      const double lookup = spec.tied_embeddings ? 0 : real(spec.vocab) * real(spec.width);
      return Flops(6 * (active - lookup) + attention * real(s));
    }
    case Convention::sc21_eq3:
      return Flops(closed_form(96, spec, s, 6, 16));
    case Convention::korthikanti_eq7:
      return Flops(closed_form(72, spec, s, 6, 12));
    case Convention::korthikanti_eq8:
      return Flops(closed_form(72, spec, s, 3, 12));
  }
  return Flops(0);
}

Flops recompute_flops_per_token(const ModelSpec& spec, std::int64_t s) {
  const double in_layers = real(count_params(spec).matmul.value) - real(spec.vocab) * real(spec.width);
  return Flops(2 * in_layers + recompute_attention_flops_per_token(spec, s).value);
}

Flops recompute_attention_flops_per_token(const ModelSpec& spec, std::int64_t s) {
  return Flops(real(spec.layers) * attention_per_key(spec) * real(s) / 3);
}

double mfu(Flops per_token, double tokens_per_second, double peak_flops_per_second) {
  return per_token.value * tokens_per_second / peak_flops_per_second;
}

}  // namespace longhaul::model
