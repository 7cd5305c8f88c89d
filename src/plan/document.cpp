#include "plan/document.h"

#include <nlohmann/json.hpp>

namespace longhaul::plan {

nlohmann::json to_json(const DocumentHead& head) {
  nlohmann::json conventions;
  for (const auto& [name, flops] : head.conventions) conventions[name] = flops.value;
  const auto work = [&](Tokens tokens) { return head.flops_per_token.value * static_cast<double>(tokens.value); };
  return {{"layout", to_text(head.layout)},
          {"batch",
           {{"global_batch", head.batch.global_batch},
            {"micro_batch", head.batch.micro_batch},
            {"sequence_length", head.batch.sequence_length}}},
          {"parameters",
           {{"total", head.parameters.total.value},
            {"active", head.parameters.active.value},
            {"embedding", head.parameters.embedding.value},
            {"matmul", head.parameters.matmul.value}}},
          {"flops",
           {{"per_token", head.flops_per_token.value},
            {"per_token_by_convention", conventions},
            {"per_step", work(head.tokens_per_step)},
            {"run", work(head.tokens)}}},
          {"tokens", {{"per_step", head.tokens_per_step.value}, {"run", head.tokens.value}}},
          {"steps", head.steps}};
}

}  // namespace longhaul::plan
