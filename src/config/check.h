// config/check.h — combinations of options that cannot be run; private to this room.
#pragma once

#include "config/resolved.h"

namespace longhaul::config {

/// Checks what can be checked before values are computed from others (divisors that would be zero, sizes of the batch).
void check_inputs(const ResolvedConfig& resolved);
/// Checks the whole and fills `warnings`. Both throw UsageError: place, option, value, what is wrong, nearest fix.
void check_whole(ResolvedConfig& resolved);

}  // namespace longhaul::config
