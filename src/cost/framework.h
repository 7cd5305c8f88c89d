// cost/framework.h — how published training software behaves where its behaviour changes what a step does: one small table.
//
// A trait is something the software is documented to do or that can be read in its source. How fast it does it is a parameter of the
// calibration (cost/calibration.h), never a trait.
#pragma once

#include <string_view>
#include <vector>

namespace longhaul::cost {

struct Framework {
  std::string_view name;
  /// Rows of the vocabulary are padded to a multiple of 128 · tp (Megatron's --make-vocab-size-divisible-by) once tp > 1.
  bool pads_vocabulary = false;
  /// A tensor-parallel rank sends its part of the activations to the next stage and gathers them there (Narayanan et al. 2021 §4.1).
  bool splits_messages = false;
  /// Parameters are gathered layer by layer around their use, gradients scattered at once (FSDP; Zhao et al. 2023).
  bool shards_by_layer = false;
  /// Messages between stages block their ranks and carry their shapes in a message of their own (nanotron's P2P class); see cost/stall.h.
  bool blocking_messages = false;
  /// The part of the search space (plan/search_space.h) that it offers; what is not named is free.
  std::string_view offers = "";
};

/// Names in the table.
std::vector<std::string_view> framework_names();

/// By the name in a run, up to its first '+' ("torchtitan+compile"). Unknown software is taken for a plain one: no trait but splitting.
const Framework& framework(std::string_view name);

}  // namespace longhaul::cost
