#include "scaling/hyperparameters.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace longhaul::scaling {

double deepseek_learning_rate(double flops) { return 0.3118 * std::pow(flops, -0.1250); }
double deepseek_batch_tokens(double flops) { return 0.2920 * std::pow(flops, 0.3271); }
double kaplan_critical_batch(double loss) { return 2.1e8 * std::pow(loss, -1 / 0.21); }

const std::vector<PublishedRun>& published_runs() {
  static constexpr std::string_view kGpt3 = "Brown et al. 2020, table 2.1", kLlama = "Touvron et al. 2023a, table 2",
                                    kLlama3 = "Dubey et al. 2024, table 3";
  static const std::vector<PublishedRun> kRuns{
      {"GPT-3 125M", 125e6, 6e-4, 0.5e6, kGpt3},    {"GPT-3 350M", 350e6, 3e-4, 0.5e6, kGpt3},
      {"GPT-3 760M", 760e6, 2.5e-4, 0.5e6, kGpt3},  {"GPT-3 1.3B", 1.3e9, 2e-4, 1e6, kGpt3},
      {"GPT-3 2.7B", 2.7e9, 1.6e-4, 1e6, kGpt3},    {"GPT-3 6.7B", 6.7e9, 1.2e-4, 2e6, kGpt3},
      {"LLaMA 7B", 6.7e9, 3e-4, 4e6, kLlama},       {"Llama 3 8B", 8e9, 3e-4, 4e6, kLlama3},
      {"LLaMA 13B", 13e9, 3e-4, 4e6, kLlama},       {"GPT-3 13B", 13e9, 1e-4, 2e6, kGpt3},
      {"LLaMA 33B", 32.5e9, 1.5e-4, 4e6, kLlama},   {"LLaMA 65B", 65.2e9, 1.5e-4, 4e6, kLlama},
      {"Llama 3 70B", 70e9, 1.5e-4, 4e6, kLlama3},  {"GPT-3 175B", 175e9, 0.6e-4, 3.2e6, kGpt3},
      {"Llama 3 405B", 405e9, 8e-5, 16e6, kLlama3},
  };
  return kRuns;
}

TrainingAdvice advise_training(const Allocation& at, const std::optional<double>& loss, double tokens_per_step) {
  constexpr double kLeastComputeOfFormula = 1e17, kMostComputeOfFormula = 2e19, kNear = 3;
  TrainingAdvice out;
  out.learning_rate = deepseek_learning_rate(at.flops()), out.batch_tokens = deepseek_batch_tokens(at.flops());
  out.beyond = at.flops() > kMostComputeOfFormula || at.flops() < kLeastComputeOfFormula;
  if (loss)
    if (const double batch = kaplan_critical_batch(*loss); std::isfinite(batch)) out.critical_batch = batch;
  const auto distance = [&](const PublishedRun& run) { return std::abs(std::log(run.parameters / at.parameters)); };
  for (const PublishedRun& run : published_runs())
    if (distance(run) <= std::log(kNear)) out.near.push_back(run);
  if (out.near.empty())
    out.near.push_back(*std::min_element(published_runs().begin(), published_runs().end(),
                                         [&](const PublishedRun& a, const PublishedRun& b) { return distance(a) < distance(b); }));
  out.published_learning_rate = {out.near.front().learning_rate, out.near.front().learning_rate};
  out.published_batch = {out.near.front().batch_tokens, out.near.front().batch_tokens};
  for (const PublishedRun& run : out.near) {
    out.published_learning_rate.low = std::min(out.published_learning_rate.low, run.learning_rate);
    out.published_learning_rate.high = std::max(out.published_learning_rate.high, run.learning_rate);
    out.published_batch.low = std::min(out.published_batch.low, run.batch_tokens);
    out.published_batch.high = std::max(out.published_batch.high, run.batch_tokens);
  }
  const double usual = std::sqrt(out.published_batch.low * out.published_batch.high);
  out.tokens_per_step = tokens_per_step > 0 ? tokens_per_step : usual;
  out.growth = out.tokens_per_step / usual;
  constexpr double kMostSteps = 1e15;  // of nonsense: so that the count stays whole
  out.steps = static_cast<std::int64_t>(std::ceil(std::clamp(at.tokens / out.tokens_per_step, 1.0, kMostSteps)));
  out.warmup_steps = config::default_warmup_steps(out.steps);
  return out;
}

std::optional<std::string> warn_of_batch_growth(double k, config::BatchRule rule) {
  constexpr double kMostLinear = 8;
  if (rule != config::BatchRule::linear || k <= kMostLinear) return std::nullopt;
  return fmt::format(
      "the batch grows {:.3g} times and the learning rate with it: the linear rule was found to hold up to about 8 times and for "
      "SGD; the square root, {:.3g} times, is the rule for Adam",
      k, std::sqrt(k));
}

}  // namespace longhaul::scaling
