#include "kernels/partition.h"
#include "kernels/rows/rows.h"
#include "kernels/rows/rows_family.h"

namespace longhaul::kernels {
namespace {

const NormTable& table(const Context& context) { return LONGHAUL_FAMILY_SELECT(context.family, norm_table); }

}  // namespace

void norm_forward(const Context& context, const NormShape& shape, const float* x, const float* weight, const float* bias, void* out,
                  float* statistics) {
  const NormTable& kernels = table(context);
  const ElementType type = operand_type(context.order);
  const std::int64_t width = shape.width, out_row = width * size_of(type);
  run_rows(context, shape.tokens, width * 4 + out_row, [&](std::int64_t begin, std::int64_t end) {
    kernels.forward(shape, x + begin * width, weight, bias, static_cast<char*>(out) + begin * out_row, type, statistics + 2 * begin,
                    end - begin);
  });
}

// The chains over tokens first: d_x may overwrite what they read.
void norm_backward(const Context& context, const NormShape& shape, const float* d_out, const float* x, const float* weight,
                   const float* statistics, const float* d_residual, float* d_x, float* d_weight, float* d_bias) {
  const NormTable& kernels = table(context);
  const std::int64_t width = shape.width;
  run_columns(context, width, shape.tokens * 8, [&](std::int64_t begin, std::int64_t end) {
    kernels.backward_weights(shape, d_out, x, statistics, d_weight, d_bias, begin, end);
  });
  run_rows(context, shape.tokens, width * 16, [&](std::int64_t begin, std::int64_t end) {
    kernels.backward_x(shape, d_out + begin * width, x + begin * width, weight, statistics + 2 * begin,
                       d_residual ? d_residual + begin * width : nullptr, d_x + begin * width, end - begin);
  });
}

}  // namespace longhaul::kernels
