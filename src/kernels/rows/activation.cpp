#include "kernels/partition.h"
#include "kernels/rows/rows.h"
#include "kernels/rows/rows_family.h"

namespace longhaul::kernels {
namespace {

const ActivationTable& table(const Context& context) { return LONGHAUL_FAMILY_SELECT(context.family, activation_table); }

}  // namespace

void add_bias_residual(const Context& context, const float* y, const float* bias, const float* residual, float* out, std::int64_t n,
                       std::int64_t width) {
  const ActivationTable& kernels = table(context);
  run_rows(context, n, width * 12, [&](std::int64_t begin, std::int64_t end) {
    const std::int64_t at = begin * width;
    kernels.add_bias_residual(y + at, bias, residual + at, out + at, end - begin, width);
  });
}

void bias_backward(const Context& context, const float* d_y, std::int64_t stride, float* d_bias, std::int64_t n, std::int64_t width) {
  const ActivationTable& kernels = table(context);
  run_columns(context, width, n * 4,
              [&](std::int64_t begin, std::int64_t end) { kernels.bias_backward(d_y, stride, d_bias, n, begin, end); });
}

void round_to_operand(const Context& context, const float* x, void* out, std::int64_t count) {
  const ActivationTable& kernels = table(context);
  const ElementType type = operand_type(context.order);
  const std::int64_t size = size_of(type);
  run_elements(context, count, 4 + size, [&](std::int64_t begin, std::int64_t end) {
    kernels.round(x + begin, static_cast<char*>(out) + begin * size, type, end - begin);
  });
}

void gelu_forward(const Context& context, float* y, const float* bias, void* out, std::int64_t n, std::int64_t width) {
  const ActivationTable& kernels = table(context);
  const ElementType type = operand_type(context.order);
  const std::int64_t size = size_of(type);
  run_rows(context, n, width * (8 + size), [&](std::int64_t begin, std::int64_t end) {
    kernels.gelu_forward(y + begin * width, bias, static_cast<char*>(out) + begin * width * size, type, end - begin, width);
  });
}

void gelu_backward(const Context& context, const float* d_out, const float* y, float* d_y, std::int64_t count) {
  const ActivationTable& kernels = table(context);
  run_elements(context, count, 12,
               [&](std::int64_t begin, std::int64_t end) { kernels.gelu_backward(d_out + begin, y + begin, d_y + begin, end - begin); });
}

void swiglu_forward(const Context& context, const float* gate, const float* up, void* out, std::int64_t count) {
  const ActivationTable& kernels = table(context);
  const ElementType type = operand_type(context.order);
  const std::int64_t size = size_of(type);
  run_elements(context, count, 8 + size, [&](std::int64_t begin, std::int64_t end) {
    kernels.swiglu_forward(gate + begin, up + begin, static_cast<char*>(out) + begin * size, type, end - begin);
  });
}

void swiglu_backward(const Context& context, const float* d_out, const float* gate, const float* up, void* d_gate, void* d_up,
                     std::int64_t count) {
  const ActivationTable& kernels = table(context);
  const ElementType type = operand_type(context.order);
  const std::int64_t size = size_of(type);
  run_elements(context, count, 12 + 2 * size, [&](std::int64_t begin, std::int64_t end) {
    kernels.swiglu_backward(d_out + begin, gate + begin, up + begin, static_cast<char*>(d_gate) + begin * size,
                            static_cast<char*>(d_up) + begin * size, type, end - begin);
  });
}

}  // namespace longhaul::kernels
