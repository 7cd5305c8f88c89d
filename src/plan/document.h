// plan/document.h — what the JSON documents of a plan for this machine and of one for a cluster have in common.
//
// Both say what is trained, on how much, and how one step is cut, under the same keys: a reader needs not know which it has.
// docs/json/common.json describes these parts; the documents differ in where memory and time go.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <utility>
#include <vector>

#include "model/flops.h"
#include "program/layout.h"
#include "units/units.h"

namespace longhaul::plan {

/// Sequences of a step and of a micro-batch, tokens of a sequence.
struct BatchSizes {
  std::int64_t global_batch = 0, micro_batch = 0, sequence_length = 0;
};

struct DocumentHead {
  program::Layout layout;
  BatchSizes batch;
  model::ParamCounts parameters;
  Flops flops_per_token;
  std::vector<std::pair<std::string, Flops>> conventions;
  Tokens tokens_per_step, tokens;
  std::int64_t steps = 0;
};

/// {"layout", "batch", "parameters", "flops", "tokens", "steps"}
nlohmann::json to_json(const DocumentHead& head);

}  // namespace longhaul::plan
