// program/build_options.h — what a program is built for: the batch plan, the layout and the place in it, element types, workspaces of
// kernels.
#pragma once

#include <cstdint>

#include "program/arrangement.h"
#include "program/batch_plan.h"
#include "program/layout.h"
#include "units/element_type.h"
#include "units/units.h"

namespace longhaul::program {

/// When ZeRO 2 and 3 hand gradients to their owners.
enum class GradientScatter : std::uint8_t {
  once,               ///< after a rank's last micro-batch: the order of the numerics contract, whole accumulators until then
  every_micro_batch,  ///< as DeepSpeed and FSDP do: no more than pieces and a bucket, traffic times micro-batches
};

/// Bytes that kernels ask for beside their operands, on this rank.
struct WorkspaceSizes {
  Bytes attention_forward, attention_backward, loss, loss_evaluate;
};

struct BuildOptions {
  BatchPlan batch;
  Layout layout;
  Place place;
  std::int64_t block = kBlockElements;  ///< elements of the contract's blocks; another number in tests alone
  GradientScatter scatter = GradientScatter::once;
  ElementType operand = ElementType::bf16;  ///< type of GEMM operands: f32 or bf16
  bool average = false;                     ///< an EMA of the weights is kept
  bool training = true;                     ///< false: no moments and no average (evaluation, generation)
  WorkspaceSizes workspace;
};

}  // namespace longhaul::program
