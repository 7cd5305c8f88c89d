#include "units/statistics.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace longhaul {
namespace {

/// Rank n ÷ 2 from 0; the values below it stand before it afterwards.
double select_upper_middle(std::vector<double>& values) {
  const auto middle = values.begin() + std::ssize(values) / 2;
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

}  // namespace

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  const double upper = select_upper_middle(values);
  if (values.size() % 2 == 1) return upper;
  return (upper + *std::max_element(values.begin(), values.begin() + std::ssize(values) / 2)) / 2;
}

double upper_median(std::vector<double> values) { return values.empty() ? 0 : select_upper_middle(values); }

double quantile(std::vector<double> values, double share) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const double at = share * static_cast<double>(values.size() - 1);
  const std::size_t below = static_cast<std::size_t>(at), above = std::min(below + 1, values.size() - 1);
  return std::lerp(values[below], values[above], at - static_cast<double>(below));
}

}  // namespace longhaul
