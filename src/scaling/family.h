// scaling/family.h — Llama-like shapes of any size: what a number of parameters could look like as a model.
//
// Width is a multiple of 128 (of 256 from 1,536, of 512 from 4,096 on) with heads of 128; the gated MLP is 8/3 of the width, rounded up to
// 256 (Touvron et al. 2023a section 2.2); from 4,096 on 8 key and value heads (Llama 3), or 4 where 8 do not divide the heads, else as many
// as heads; layers follow the width as in published models, between which is interpolated (kDepths). Parameters are counted exactly by the
// model's table of tensors.
#pragma once

#include <cstdint>
#include <vector>

#include "model/spec.h"

namespace longhaul::scaling {

struct FamilyOptions {
  std::int64_t vocab = 32'000;
  std::int64_t sequence_length = 4096;
  bool tied_embeddings = false;
};

/// Layers of a model of this width.
std::int64_t usual_layers(std::int64_t width);
model::ModelSpec shape_of(std::int64_t width, std::int64_t layers, const FamilyOptions& options);
/// N as a law counts it. The head counts as embedding where embeddings do not count (Kaplan et al. 2020: N leaves both out).
double parameters_of(const model::ModelSpec& spec, bool embeddings);
/// Shapes with the usual layers and N between the ends, one for each width; may be empty.
std::vector<model::ModelSpec> family_between(double low, double high, bool embeddings, const FamilyOptions& options);
/// The shape whose N is nearest in ratio, layers up to a fifth from the usual. @throws UsageError beyond the family: below about 10 M with
/// a vocabulary of 32,000, and above 4 T
model::ModelSpec nearest_shape(double parameters, bool embeddings, const FamilyOptions& options);

}  // namespace longhaul::scaling
