#include "kernels/attention/attention_family.h"

#include "kernels/elementary/elementary.h"

// Order matters: each file uses the ones before it.
// clang-format off
#include "kernels/attention/attention_panel.inc.h"
#include "kernels/attention/attention_block.inc.h"
#include "kernels/attention/attention_forward.inc.h"
#include "kernels/attention/attention_backward.inc.h"
// clang-format on

namespace longhaul::kernels::LONGHAUL_FAMILY {
namespace {

#ifdef __AVX512BF16__
constexpr Style kDp2Style = Style::native;
#else
constexpr Style kDp2Style = Style::pairs;
#endif

void forward(const AttentionJob& job, const AttentionSpace& space, Index sequence, Index kv_head, Index part, Index parts) {
  if (job.order == Order::fma)
    forward_piece<Style::fma>(job, space, sequence, kv_head, part, parts);
  else
    forward_piece<kDp2Style>(job, space, sequence, kv_head, part, parts);
}

void backward(const AttentionJob& job, const AttentionSpace& space, Index sequence, Index kv_head) {
  if (job.order == Order::fma)
    backward_piece<Style::fma>(job, space, sequence, kv_head);
  else
    backward_piece<kDp2Style>(job, space, sequence, kv_head);
}

}  // namespace

extern const AttentionTable attention_table = {forward, backward};

}  // namespace longhaul::kernels::LONGHAUL_FAMILY
