// evidence/fit_usable.h — fits the share of a device's memory that a run can fill, from runs that fitted and runs that did not.
//
// A verdict has no residual, so this parameter ("fit.usable_share", where it has a spread) is not part of evidence/fit.h's least squares:
// of a grid of three spreads to either side of the prior the value that tells both classes best (the sum of their F1), the nearest to the
// prior where several do.
#pragma once

#include <span>

#include "cost/calibration.h"
#include "evidence/runs.h"

namespace longhaul::evidence {

/// Sets the parameter of every key whose rows hold both classes; the memory's own parameters are to be fitted before.
void fit_usable_share(cost::Calibration& calibration, std::span<const MeasuredRun> rows);

}  // namespace longhaul::evidence
