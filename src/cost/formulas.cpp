#include "cost/formulas.h"

#include <algorithm>
#include <cmath>

namespace longhaul::cost {

ShardedStates zero_states(double weights, double gradients, double optimizer, int stage, int shards) {
  const double n = shards;
  return {stage >= 3 ? weights / n : weights, stage >= 2 ? gradients / n : gradients, stage >= 1 ? optimizer / n : optimizer};
}

double korthikanti_bytes(ActivationCase which, const LayerShape& shape, int t) {
  const double sbh = shape.sequence * shape.micro_batch * shape.hidden, scores = 5 * shape.heads * shape.sequence / shape.hidden;
  switch (which) {
    case ActivationCase::no_parallelism:
      return sbh * (34 + scores);
    case ActivationCase::tensor:
      return sbh * (10 + 24.0 / t + scores / t);
    case ActivationCase::tensor_sequence:
      return sbh / t * (34 + scores);
    case ActivationCase::tensor_selective:
      return sbh * (10 + 24.0 / t);
    case ActivationCase::tensor_sequence_selective:
      return 34 * sbh / t;
    case ActivationCase::full:
      return 2 * sbh;
  }
  return 0;
}

Checkpointed sqrt_checkpointing(int layers, double bytes_per_layer) {
  const double root = std::sqrt(static_cast<double>(layers));
  return {root, root * bytes_per_layer, layers / root * bytes_per_layer};
}

Bytes logits_bytes(std::int64_t tokens, std::int64_t vocab, int tp) { return Bytes(tokens * ((vocab + tp - 1) / tp) * 4); }

int in_flight_1f1b(int stage, int stages, int micro_batches) { return std::min(micro_batches, stages - stage); }
int in_flight_interleaved(int stage, int stages, int micro_batches, int chunks) {
  return std::min(micro_batches * chunks, 2 * (stages - stage - 1) + (chunks - 1) * stages + 1);
}
double interleaved_activation_factor(int stages, int chunks) { return 1 + (stages - 1.0) / (static_cast<double>(stages) * chunks); }

double bubble_1f1b(int stages, int micro_batches) { return (stages - 1.0) / (micro_batches + stages - 1.0); }
double bubble_interleaved(int stages, int micro_batches, int chunks) {
  return (stages - 1.0) / (static_cast<double>(chunks) * micro_batches + stages - 1.0);
}
double bubble_zb_h1(int stages, int micro_batches) { return (stages - 1.0) / (3.0 * micro_batches + stages - 1.0); }

namespace {
double bytes_of(Bytes payload) { return static_cast<double>(payload.value); }
}  // namespace

Seconds all_reduce_simple(Bytes payload, int ranks, const Link& link) {
  if (ranks < 2) return Seconds(0);
  return Seconds(link.latency * std::log2(ranks) + bytes_of(payload) / link.bandwidth);
}
double ring_bytes(double payload, int ranks) { return (ranks - 1.0) / ranks * payload; }
Seconds reduce_scatter_ring(Bytes payload, int ranks, const Link& link) {
  return Seconds(ring_bytes(bytes_of(payload), ranks) / link.bandwidth + (ranks - 1.0) * link.latency);
}
Seconds all_gather_ring(Bytes payload, int ranks, const Link& link) { return reduce_scatter_ring(payload, ranks, link); }
Seconds all_reduce_ring(Bytes payload, int ranks, const Link& link) {
  return reduce_scatter_ring(payload, ranks, link) + all_gather_ring(payload, ranks, link);
}
Seconds all_reduce_tree(Bytes payload, int ranks, const Link& link) {
  if (ranks < 2) return Seconds(0);
  return Seconds(2 * bytes_of(payload) / link.bandwidth + 2 * std::ceil(std::log2(ranks)) * link.latency);
}
Seconds all_reduce_hierarchical(Bytes payload, int ranks_inside, int nodes, const Link& inside, const Link& across) {
  return all_reduce_ring(payload, ranks_inside, inside) + all_reduce_ring(Bytes(payload.value / ranks_inside), nodes, across);
}

double expected_normal_maximum(int n) {
  // E max = ∫ (1 − Φⁿ(x)) dx over x > 0 minus ∫ Φⁿ(x) dx over x < 0; the trapezium rule is exact to its rounding for so smooth a function.
  constexpr double kStep = 1.0 / 256, kReach = 10;
  const auto below = [n](double x) { return std::pow(0.5 * std::erfc(-x / std::sqrt(2.0)), n); };
  double sum = 0.5 * ((1 - below(0)) - below(0));
  for (double x = kStep; x <= kReach; x += kStep) sum += (1 - below(x)) - below(-x);
  return sum * kStep;
}

double run_mfu(Flops work, Seconds time, double devices, double peak_flops_per_second) {
  return flops_rate(work, time) / (devices * peak_flops_per_second);
}
Seconds device_time(Flops work, double achieved_flops_per_second) { return Seconds(work.value / achieved_flops_per_second); }
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
