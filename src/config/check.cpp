#include "config/check.h"

#include <cmath>

#include "config/derive.h"
#include "config/options.h"
#include "model/spec.h"
#include "units/error.h"

namespace longhaul::config {

namespace {

[[noreturn]] void refuse(const ResolvedConfig& resolved, const std::string& option, const std::string& what) {
  throw UsageError(place(resolved, option) + option + " = " + to_text(*find_option(option), resolved.config) + " " + what);
}

std::string shown(const ResolvedConfig& resolved, const std::string& option) {
  return option + " = " + to_text(*find_option(option), resolved.config);
}

/// The first word of a sentence of model/spec.h is the axis.
[[noreturn]] void refuse_model(const ResolvedConfig& resolved, const std::string& sentence) {
  const std::string option = "model." + sentence.substr(0, sentence.find(' '));
  throw UsageError(place(resolved, option) + "model." + sentence);
}

void check_divisor(const ResolvedConfig& resolved) {
  const BatchTable& batch = resolved.config.batch;
  std::int64_t below = batch.micro_batch, above = batch.micro_batch;
  while (batch.global_batch % below != 0) --below;
  while (batch.global_batch % above != 0) ++above;
  if (below == above) return;
  refuse(
      resolved, "batch.micro_batch",
      "does not divide " + shown(resolved, "batch.global_batch") + "; nearest: " + std::to_string(below) + " or " + std::to_string(above));
}

void check_batch(const ResolvedConfig& resolved) {
  const BatchTable& batch = resolved.config.batch;
  const model::ModelSpec& model = resolved.config.model;
  if (batch.micro_batch > batch.global_batch)
    refuse(resolved, "batch.micro_batch", "is larger than " + shown(resolved, "batch.global_batch"));
  // Of the two, the one given on the command line is the one that was changed.
  const auto on_command_line = [&](const char* option) { return resolved.origins.at(option) == "--set"; };
  if (on_command_line("batch.micro_batch") && !on_command_line("batch.global_batch")) check_divisor(resolved);
  if (const std::int64_t rest = batch.global_batch % batch.micro_batch) {
    const std::int64_t below = batch.global_batch - rest;
    refuse(resolved, "batch.global_batch",
           "is not a multiple of " + shown(resolved, "batch.micro_batch") + "; nearest: " + std::to_string(below) + " or " +
               std::to_string(below + batch.micro_batch));
  }
  if (model.position == model::PositionKind::learned && batch.sequence_length > model.position_rows) {
    refuse(resolved, "batch.sequence_length", "is longer than the table of learned positions, " + shown(resolved, "model.position_rows"));
  }
}

void check_virtual_ranks(const ResolvedConfig& resolved) {
  const std::int64_t micro_batches = resolved.config.micro_batches(), given = resolved.config.batch.virtual_ranks;
  if (micro_batches % given == 0) return;
  std::int64_t below = std::min(given, micro_batches), above = given;
  while (micro_batches % below != 0) --below;
  while (above < micro_batches && micro_batches % above != 0) ++above;
  std::string nearest = std::to_string(below);
  if (above <= micro_batches && above != below) nearest += " or " + std::to_string(above);
  refuse(resolved, "batch.virtual_ranks",
         "does not divide the " + std::to_string(micro_batches) +
             " micro-batches of a step (batch.global_batch / batch.micro_batch); nearest: " + nearest);
}

void check_precision(const ResolvedConfig& resolved) {
  const PrecisionTable& precision = resolved.config.precision;
  if ((precision.dtype == ElementType::bf16) != (precision.order == Order::dp2)) {
    const std::string fitting = precision.dtype == ElementType::bf16 ? "\"dp2\"" : "\"fma\"";
    refuse(resolved, "precision.order", "does not go with " + shown(resolved, "precision.dtype") + ", whose order is " + fitting);
  }
}

void check_parallel(const ResolvedConfig& resolved) {
  const ParallelTable& parallel = resolved.config.parallel;
  for (const auto& [option, ranges] :
       {std::pair("parallel.virtual_tensor", parallel.virtual_tensor), std::pair("parallel.virtual_sequence", parallel.virtual_sequence)})
    if (ranges != 1) refuse(resolved, option, "needs a program for several ranks, which this version does not build; allowed: 1");
  if (const auto reason = too_many_ranks(parallel)) throw UsageError(resolved.label + ": [parallel]: " + *reason);
}

void check_budget(const ResolvedConfig& resolved) {
  constexpr std::int64_t kMostTokens = std::int64_t{1} << 62;
  const RunConfig& config = resolved.config;
  if (config.run.steps > kMostTokens / config.tokens_per_step()) refuse(resolved, "run.steps", "makes more than 2^62 tokens");
}

void warn_about_schedule(ResolvedConfig& resolved) {
  const ScheduleTable& schedule = resolved.config.schedule;
  const std::int64_t steps = resolved.config.run.steps;
  if (schedule.warmup_steps >= steps && steps > 1) {
    resolved.warnings.push_back(shown(resolved, "schedule.warmup_steps") + ": the run ends before or at the end of warm-up (" +
                                shown(resolved, "run.steps") + ")");
  } else if (schedule.kind == LearningRateSchedule::wsd) {
    const double tail = schedule.decay_fraction * static_cast<double>(steps);
    if (tail > static_cast<double>(steps - schedule.warmup_steps)) {
      resolved.warnings.push_back(shown(resolved, "schedule.decay_fraction") + " leaves no stable phase after " +
                                  shown(resolved, "schedule.warmup_steps") + "; the tail starts where warm-up ends");
    }
  }
}

}  // namespace

void check_inputs(const ResolvedConfig& resolved) {
  if (const auto reason = model::countable(model::with_usual_values(resolved.config.model))) refuse_model(resolved, *reason);
  check_batch(resolved);
}

void check_whole(ResolvedConfig& resolved) {
  const RunConfig& config = resolved.config;
  check_virtual_ranks(resolved);
  check_precision(resolved);
  check_parallel(resolved);
  check_budget(resolved);
  if (config.schedule.min_learning_rate > config.optimizer.learning_rate) {
    refuse(resolved, "schedule.min_learning_rate", "is larger than " + shown(resolved, "optimizer.learning_rate"));
  }
  warn_about_schedule(resolved);
}

}  // namespace longhaul::config
