#include "kernels/rows/rows_family.h"
#include "kernels/vectors/lanes.h"

namespace longhaul::kernels::LONGHAUL_FAMILY {
namespace {

void forward(const std::int32_t* tokens, const std::int32_t* positions, const float* token_table, const float* position_table, float* out,
             std::int64_t n, std::int64_t width) {
  for (std::int64_t t = 0; t < n; ++t, out += width) {
    const float* token = token_table + tokens[t] * width;
    if (position_table == nullptr) {
      for_vectors(0, width, [&](std::int64_t i, auto lanes) { store_some(load_some(token + i, lanes), out + i, lanes); });
      continue;
    }
    const float* position = position_table + positions[t] * width;
    for_vectors(0, width, [&](std::int64_t i, auto lanes) {
      store_some(load_some(token + i, lanes) + load_some(position + i, lanes), out + i, lanes);
    });
  }
}

void backward(const std::int32_t* rows, const float* d_out, float* d_table, std::int64_t n, std::int64_t width, std::int64_t begin,
              std::int64_t end) {
  for (std::int64_t t = 0; t < n; ++t, d_out += width) {
    float* row = d_table + rows[t] * width;
    for_vectors(begin, end,
                [&](std::int64_t i, auto lanes) { store_some(load_some(row + i, lanes) + load_some(d_out + i, lanes), row + i, lanes); });
  }
}

}  // namespace

extern const EmbedTable embed_table = {forward, backward};

}  // namespace longhaul::kernels::LONGHAUL_FAMILY
