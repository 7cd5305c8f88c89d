// cost/kernel_calls.h — the kernels that an operation of the program calls, with their shapes: what its time is made of.
//
// The handlers (train/ops_*.cpp) are the source; this is their twin for the planner, which knows no kernels. Shapes come from the
// operation's own buffers, so that what a rank holds of a layer is what is priced.
#pragma once

#include <vector>

#include "cluster/kernel_rates.h"
#include "model/spec.h"
#include "program/build.h"

namespace longhaul::cost {

struct RepeatedCall {
  cluster::KernelCall call;
  double times = 1;
};
std::vector<RepeatedCall> kernel_calls(const model::ModelSpec& spec, const program::BatchPlan& batch, const program::Program& program,
                                       const program::Operation& op);

/// The distinct calls of a whole program.
std::vector<cluster::KernelCall> distinct_calls(const model::ModelSpec& spec, const program::BatchPlan& batch,
                                                const program::Program& program);

}  // namespace longhaul::cost
