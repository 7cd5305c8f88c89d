#include "cost/formulas.h"

#include <algorithm>
#include <cmath>

namespace longhaul::cost {

ShardedStates zero_states(double weights, double gradients, double optimizer, int stage, int shards) {
  const double n = shards;
  return {stage >= 3 ? weights / n : weights, stage >= 2 ? gradients / n : gradients, stage >= 1 ? optimizer / n : optimizer};
}

int in_flight_1f1b(int stage, int stages, int micro_batches) { return std::min(micro_batches, stages - stage); }
int in_flight_interleaved(int stage, int stages, int micro_batches, int chunks) {
  return std::min(micro_batches * chunks, 2 * (stages - stage - 1) + (chunks - 1) * stages + 1);
}

double bubble_1f1b(int stages, int micro_batches) { return (stages - 1.0) / (micro_batches + stages - 1.0); }
double bubble_interleaved(int stages, int micro_batches, int chunks) {
  return (stages - 1.0) / (static_cast<double>(chunks) * micro_batches + stages - 1.0);
}
double bubble_zb_h1(int stages, int micro_batches) { return (stages - 1.0) / (3.0 * micro_batches + stages - 1.0); }

double ring_bytes(double payload, int ranks) { return (ranks - 1.0) / ranks * payload; }

double expected_normal_maximum(int n) {
  // E max = ∫ (1 − Φⁿ(x)) dx over x > 0 minus ∫ Φⁿ(x) dx over x < 0; the trapezium rule is exact to its rounding for so smooth a function.
  constexpr double kStep = 1.0 / 256, kReach = 10;
  const auto below = [n](double x) { return std::pow(0.5 * std::erfc(-x / std::sqrt(2.0)), n); };
  double sum = 0.5 * ((1 - below(0)) - below(0));
  for (double x = kStep; x <= kReach; x += kStep) sum += (1 - below(x)) - below(-x);
  return sum * kStep;
}

double dollars(Seconds device_time, double dollars_per_device_hour) { return device_time.value / 3600 * dollars_per_device_hour; }

double kilowatt_hours(Seconds device_time, double watts_of_device) { return device_time.value / 3600 * watts_of_device / 1000; }

double epochs(Tokens budget, Tokens unique) { return budget / unique; }

double checkpoint_overhead(Seconds step, Seconds save, double every_steps) { return save.value / (every_steps * step.value + save.value); }

Seconds young_interval(Seconds save, Seconds mtbf) { return Seconds(std::sqrt(2 * save.value * mtbf.value)); }
Seconds daly_interval(Seconds save, Seconds mtbf) {
  const double delta = save.value, m = mtbf.value;
  if (delta >= 2 * m) return mtbf;
  return Seconds(std::sqrt(2 * delta * m) * (1 + std::sqrt(delta / (2 * m)) / 3 + delta / (18 * m)) - delta);
}

Goodput expected_goodput(Seconds interval, Seconds save, Seconds restart, Seconds mtbf) {
  // Memoryless failures at rate 1/M (Daly 2006 eq. 20): a period of interval + save ends after M·e^{R/M}·(e^{(τ+δ)/M} − 1) on average.
  const double m = mtbf.value, period = interval.value + save.value;
  const double failures = std::expm1(period / m);  // expected failures before a period completes
  const double wall = m * std::exp(restart.value / m) * failures;
  // failures ÷ wall in a form that stays finite when hardly any period completes.
  Goodput share{interval.value / wall, save.value / wall, 0, restart.value / (m * std::exp(restart.value / m))};
  share.lost = std::max(0.0, 1 - share.useful - share.saving - share.restarting);
  return share;
}

}  // namespace longhaul::cost
