// model/flops.h — parameters and training work of a model, exactly and by each published convention.
//
// Published MFU figures differ mostly by what they count: embeddings or not, attention whole or halved, recompute or not. Every figure
// this project prints uses Convention::standard (accounting D1) unless it names another. A multiply-add counts two operations.
#pragma once

#include <span>
#include <string_view>

#include "model/spec.h"
#include "units/units.h"

namespace longhaul::model {

/// Parameters by use. All are of the whole model; `active` counts only the experts a token visits.
struct ParamCounts {
  Params total;
  Params active;
  Params embedding;  ///< token and position tables (the untied head is not one)
  Params matmul;     ///< N_matmul of accounting D1, of active experts: every matrix that multiplies, the head once, tied or not
};
/// Throws UsageError when the spec cannot be counted.
ParamCounts count_params(const ModelSpec& spec);

enum class Convention : std::uint8_t {
  standard,         ///< 6·N_matmul + 12·L·heads·head_dim·s (accounting D1)
  exact,            ///< only the matrix products that are needed: 6·N_matmul + causal scores and values, (s+1)/2 keys a query
  causal_halved,    ///< 6·N_matmul + 6·L·heads·head_dim·s (MaxText since July 2025)
  six_n,            ///< 6·N, N of all (active) parameters (Kaplan et al. 2020, Hoffmann et al. 2022)
  palm,             ///< 6·N + 12·L·heads·head_dim·s (PaLM, appendix B), N of all (active) parameters
  llm_foundry,      ///< 6·N + 12·L·width·s, N includes embeddings
  nanotron,         ///< as llm_foundry; N includes both embedding matrices when untied
  torchtitan,       ///< 6·(N − input embedding when untied) + 12·L·heads·head_dim·s
  sc21_eq3,         ///< hardware, full recompute: 96·L·h²·(1 + s/6h + V/16Lh) (Narayanan et al. 2021 eq. 3)
  korthikanti_eq7,  ///< model: 72·L·h²·(1 + s/6h + V/12hL) (Korthikanti et al. 2022 eq. 7)
  korthikanti_eq8,  ///< selective recompute, as printed: 72·L·h²·(1 + s/3h + V/12hL)
};
std::string_view name(Convention convention);
/// The formula, in one line; remarks after a comma.
std::string_view formula(Convention convention);
std::span<const Convention> all_conventions();

/// Training work (forward and backward) of one token at this sequence length.
Flops flops_per_token(const ModelSpec& spec, std::int64_t sequence_length, Convention convention = Convention::standard);
/// The forward pass run once more for every layer (recompute = layer), by the standard convention: 2·N_layers + 4·L·heads·head_dim·s.
Flops recompute_flops_per_token(const ModelSpec& spec, std::int64_t sequence_length);
/// Scores, softmax and values of every layer once more (recompute = selective, Korthikanti et al. 2022 section 5): 4·L·heads·head_dim·s.
Flops recompute_attention_flops_per_token(const ModelSpec& spec, std::int64_t sequence_length);

/// Model FLOPs utilisation, 0..1: standard work × rate ÷ peak (accounting D2). State the source of the peak with the figure.
double mfu(Flops per_token, double tokens_per_second, double peak_flops_per_second);

}  // namespace longhaul::model
