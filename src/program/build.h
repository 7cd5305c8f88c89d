// program/build.h — builds one rank's program from (ModelSpec, batch plan, layout).
//
// Ranks that differ in tp, cp or ep run the same list on shards of the same size (the largest, where one is short). Ranks that differ in dp
// may host one micro-batch more or less for each leaf of the gradient, and own other pieces of what ZeRO divides.
//
// Everything a program needs to know of the kernels are the sizes of their workspaces, passed in by the caller: this room knows
// neither kernels nor trainer, so the planner can build programs for hardware that it only describes.
#pragma once

#include <cstdint>
#include <vector>

#include "model/param_table.h"
#include "model/spec.h"
#include "program/build_options.h"
#include "program/program.h"

namespace longhaul::program {

/// Where the operand copy of each parameter lies in the buffer "operand_weights": elements from its start, −1 for parameters that no
/// GEMM reads (and for all when operands are f32: GEMMs read the weights themselves).
struct OperandLayout {
  std::vector<std::int64_t> offsets;
  std::int64_t elements = 0;
};
OperandLayout operand_layout(const model::ParamTable& table, ElementType operand);

/// Elements of one gradient accumulator: the padded ParamTable, then, where embedding and head are tied, the head's own accumulator.
std::int64_t gradient_elements(const model::ParamTable& table);
/// Offset of the head's accumulator: its own parameter's, or the end of the table where it is tied.
std::int64_t head_gradient_offset(const model::ParamTable& table);

/// One optimizer step: forward and backward of every micro-batch in the order of the schedule, messages and collectives, the tree over
/// leaves, norm, update. Any countable model; throws UsageError for a layout that contradicts model or batch, with every contradiction.
Program build_step(const model::ModelSpec& spec, const model::ParamTable& table, const BuildOptions& options);
/// The same for every pipeline rank of the layout, in order, at the first place of the other groups; options.place is ignored.
std::vector<Program> build_pipeline(const model::ModelSpec& spec, const model::ParamTable& table, const BuildOptions& options);
/// The same for every rank of the world, in order.
std::vector<Program> build_job(const model::ModelSpec& spec, const model::ParamTable& table, const BuildOptions& options);
/// Forward pass and token losses of one micro-batch. Its persistent buffers lie where build_step() puts them.
Program build_evaluation(const model::ModelSpec& spec, const model::ParamTable& table, const BuildOptions& options);
/// Forward pass of one micro-batch up to the final norm's output, buffer "final_norm.y" (generation reads its last rows).
Program build_forward(const model::ModelSpec& spec, const model::ParamTable& table, const BuildOptions& options);

}  // namespace longhaul::program
