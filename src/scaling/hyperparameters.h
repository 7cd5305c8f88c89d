// scaling/hyperparameters.h — learning rate, batch and warm-up of a run of a given size: what was published, and where it comes from.
//
// Advice with ranges, not answers: the formulas were fitted on other data and models, and the best values depend on both. How a rate
// follows a batch (accounting A6) and the default warm-up (A7) are config/derive.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/derive.h"
#include "scaling/law.h"

namespace longhaul::scaling {

/// DeepSeek LLM (arXiv:2401.02954) section 3.1, fitted on 1e17 to 2e19 FLOPs: η = 0.3118·C^−0.1250; B = 0.2920·C^0.3271 tokens.
double deepseek_learning_rate(double flops);
double deepseek_batch_tokens(double flops);
/// Kaplan et al. 2020 eq. 1.4: B_crit = B*/L^(1/α_B) tokens with B* = 2.1e8 and α_B = 0.21 (table 5), for a loss in nats per token of
/// WebText2: a batch at which time and compute are traded evenly. Losses of other data shift it.
double kaplan_critical_batch(double loss);

/// Peak learning rate and batch of a published run.
struct PublishedRun {
  std::string_view name;
  double parameters, learning_rate, batch_tokens;
  std::string_view source;
};
const std::vector<PublishedRun>& published_runs();

struct TrainingAdvice {
  double learning_rate = 0, batch_tokens = 0;      ///< DeepSeek's formulas at this compute
  bool beyond = false;                             ///< of them: this compute is beyond their runs
  std::vector<PublishedRun> near;                  ///< runs within a factor of three in size, else the nearest one
  Range published_learning_rate, published_batch;  ///< of `near`
  std::optional<double> critical_batch;            ///< Kaplan's, where the law estimates a loss
  double tokens_per_step = 0;                      ///< that the steps below are counted with
  double growth = 1;                               ///< that ÷ the middle of the published batches: k of accounting A6
  std::int64_t steps = 0, warmup_steps = 0;
};
/// @param tokens_per_step of the run; 0 takes the middle of the published range
TrainingAdvice advise_training(const Allocation& at, const std::optional<double>& loss, double tokens_per_step);

/// Accounting A6: the sentence that warns of a linearly scaled rate; nothing where the rule is the square root or k at most 8 (Goyal et
/// al. 2017 found the linear rule to hold to about that growth of SGD's batch; Adam's follows the root).
std::optional<std::string> warn_of_batch_growth(double k, config::BatchRule rule);

}  // namespace longhaul::scaling
