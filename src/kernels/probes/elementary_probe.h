// kernels/probes/elementary_probe.h — the functions of elementary.h behind plain functions, so that a test can compare families; no other
// use.
#pragma once

#include <cstdint>

#include "kernels/family.h"

namespace longhaul::kernels {

/// out[i] = f(x[i]); count is a multiple of 16.
using ElementaryFunction = void (*)(const float* x, float* out, std::int64_t count);
struct ElementaryProbe {
  ElementaryFunction exp, exp2, log, tanh, sigmoid, sin, cos, erf, rsqrt;
};
LONGHAUL_FAMILY_TABLE(ElementaryProbe, elementary_probe)

}  // namespace longhaul::kernels
