// units/statistics.h — order statistics. Two medians, since figures that were published or recorded must not move: they differ where the
// number of values is even.
#pragma once

#include <vector>

namespace longhaul {

/// The value in the middle; of an even number, the mean of the two in the middle. 0 of none.
double median(std::vector<double> values);
/// The value in the middle; of an even number, the larger of the two in the middle: always one of the values (times that were measured,
/// errors of fitted laws). 0 of none.
double upper_median(std::vector<double> values);
/// The value below which `share` (0 to 1) of the values lie, linearly interpolated between two of them as numpy.quantile() does. 0 of none.
/// quantile(values, 0.5) is median(values) but for the rounding of the last digit.
double quantile(std::vector<double> values, double share);

}  // namespace longhaul
