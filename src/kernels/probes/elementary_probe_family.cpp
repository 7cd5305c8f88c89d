#include "kernels/elementary/elementary.h"
#include "kernels/probes/elementary_probe.h"

namespace longhaul::kernels::LONGHAUL_FAMILY {
namespace {

template <F32x16 (*F)(F32x16)>
void apply(const float* x, float* out, std::int64_t count) {
  for (std::int64_t i = 0; i < count; i += 16) F(F32x16::load(x + i)).store(out + i);
}

}  // namespace

extern const ElementaryProbe elementary_probe = {apply<exp>, apply<exp2>, apply<log>, apply<tanh>, apply<sigmoid>,
                                                 apply<sin>, apply<cos>,  apply<erf>, apply<rsqrt>};

}  // namespace longhaul::kernels::LONGHAUL_FAMILY
