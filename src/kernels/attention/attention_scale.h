// kernels/attention/attention_scale.h — 1/√D as the contract has it: computed in double, rounded once to fp32. Family code takes it as a
// parameter.
#pragma once

#include <cmath>
#include <cstdint>

namespace longhaul::kernels {

inline float attention_scale(std::int64_t head_dim) { return static_cast<float>(1.0 / std::sqrt(static_cast<double>(head_dim))); }

}  // namespace longhaul::kernels
