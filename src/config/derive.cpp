#include "config/derive.h"

#include <algorithm>
#include <cmath>

namespace longhaul::config {

std::int64_t default_warmup_steps(std::int64_t steps) {
  const std::int64_t three_percent = steps / 100 * 3 + (steps % 100 * 3 + 99) / 100;
  const std::int64_t ten_percent = steps / 10 + (steps % 10 != 0);
  return std::max(three_percent, std::min<std::int64_t>(1000, ten_percent));
}

std::int64_t default_virtual_ranks(std::int64_t micro_batches) {
  constexpr std::int64_t kMost = 8;
  return std::min(kMost, micro_batches & -micro_batches);
}

std::int64_t default_sequence_length(std::int64_t position_rows) {
  // Most pre-training runs use 2048 to 8192 tokens; more must be asked for.
  constexpr std::int64_t kUsualLength = 1024, kLongestDefault = 4096;
  return position_rows > 0 ? std::min(position_rows, kLongestDefault) : kUsualLength;
}

PipelineSchedule default_pipeline_schedule(std::int64_t chunks) {
  return chunks > 1 ? PipelineSchedule::interleaved : PipelineSchedule::one_f_one_b;
}

std::optional<std::string> too_many_ranks(const ParallelTable& p) {
  const auto product = [](auto... sizes) { return (1.0 * ... * static_cast<double>(sizes)); };
  const auto most = static_cast<double>(kMostRanks);
  if (product(p.dp, p.tp, p.pp, p.cp) > most) return "dp·tp·pp·cp is more than " + std::to_string(kMostRanks) + " ranks";
  if (product(p.pp, p.chunks) > most) return "pp·virtual is more than " + std::to_string(kMostRanks) + " stages";
  return std::nullopt;
}

std::int64_t steps_for(std::int64_t tokens, std::int64_t tokens_per_step) {
  return tokens / tokens_per_step + (tokens % tokens_per_step != 0);
}

double learning_rate_for_batch(double learning_rate, double k, BatchRule rule) {
  return learning_rate * (rule == BatchRule::linear ? k : std::sqrt(k));
}

}  // namespace longhaul::config
