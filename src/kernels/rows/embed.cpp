#include "kernels/partition.h"
#include "kernels/rows/rows.h"
#include "kernels/rows/rows_family.h"

namespace longhaul::kernels {
namespace {

const EmbedTable& table(const Context& context) { return LONGHAUL_FAMILY_SELECT(context.family, embed_table); }

}  // namespace

void embed_forward(const Context& context, const std::int32_t* tokens, const std::int32_t* positions, const float* token_table,
                   const float* position_table, float* out, std::int64_t n, std::int64_t width) {
  const EmbedTable& kernels = table(context);
  run_rows(context, n, width * 12, [&](std::int64_t begin, std::int64_t end) {
    kernels.forward(tokens + begin, position_table ? positions + begin : nullptr, token_table, position_table, out + begin * width,
                    end - begin, width);
  });
}

// Rows repeat, so tokens cannot be shared out; columns can: each range sees all tokens in order.
void embed_backward(const Context& context, const std::int32_t* tokens, const std::int32_t* positions, const float* d_out,
                    float* d_token_table, float* d_position_table, std::int64_t n, std::int64_t width) {
  const EmbedTable& kernels = table(context);
  run_columns(context, width, n * 12, [&](std::int64_t begin, std::int64_t end) {
    kernels.backward(tokens, d_out, d_token_table, n, width, begin, end);
    if (d_position_table) kernels.backward(positions, d_out, d_position_table, n, width, begin, end);
  });
}

}  // namespace longhaul::kernels
