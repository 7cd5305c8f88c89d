#include "train/loop.h"

#include <algorithm>

#include "train/measures.h"

namespace longhaul::train {
namespace {

struct GradNorm {
  double before_clip = 0, scale = 1;
};

/// Global norm over all parameters; the gradient is scaled by min(1, c/‖g‖) as it is used (accounting A2).
GradNorm clip(Executor& executor, double limit) {
  const double norm = executor.gradient_norm();
  return {norm, limit > 0 && norm > limit ? limit / norm : 1.0};
}

UpdateScalars update_scalars(const Training& training, double clip_scale) {
  const config::OptimizerTable& o = training.config().optimizer;
  return {training.learning_rate(), o.beta1, o.beta2, o.epsilon, o.weight_decay, clip_scale, o.ema_beta, training.state.applied + 1};
}

ledger::Result result_of(const TrainState& state, const data::Batch& batch, const LossSum& loss, const GradNorm& norm, double learning_rate,
                         const Verdict& verdict) {
  ledger::Result result;
  result.step = state.step;
  result.tokens = state.tokens;
  result.targets = batch.target_tokens;
  result.loss = loss.mean();
  result.grad_norm_before_clip = norm.before_clip;
  result.grad_norm_after_clip = norm.before_clip * norm.scale;
  result.learning_rate = learning_rate;
  result.verdict = verdict.reason;
  result.alarms = verdict.alarms;
  result.data = {{"sample", state.sample}};
  return result;
}

}  // namespace

TrainSummary train(Run& run) {
  const config::RunConfig& config = run.config();
  Training& training = run.training();
  StepClock& clock = run.launch().clock;
  clock = StepClock();  // what opening the run took is no step's time
  StopReason reason = run.stop_reason();
  if (reason == StopReason::none) run.record_start();
  for (; reason == StopReason::none; reason = run.stop_reason()) {
    Executor& executor = training.engine.step();

    const data::Batch batch = clock.time("data", [&] { return training.next_batch(); });
    clock.time("program", [&] { executor.gradients(batch); });
    clock.split_program(executor);
    const GradNorm norm = clock.time("clip", [&] { return clip(executor, config.optimizer.clip_norm); });
    const LossSum loss = executor.loss();

    const UpdateScalars scalars = update_scalars(training, norm.scale);
    const Observation seen{loss.mean(), norm.before_clip, scalars.learning_rate, training.scheduled_learning_rate()};
    const Verdict verdict = judge(config.guards, training.state.guards, seen);
    const bool by_tensor = training.due_with(config.log.tensors_every, batch);
    UpdateNorms updates;
    if (verdict.apply) clock.time("optimizer", [&] { executor.update(scalars, by_tensor ? &updates : nullptr); });
    remember(config.guards, training.state.guards, seen, verdict);
    training.advance(batch, verdict.apply);

    ledger::Record record{result_of(training.state, batch, loss, norm, scalars.learning_rate, verdict), {}};
    if (verdict.apply) record.result.noise_scale = measure_noise(executor, batch.sequences, training.state.noise);
    if (by_tensor) record.result.tensors = tensor_norms(training.engine, executor.gradient_squares(), updates);
    if (verdict.about_gradient) record.result.alarm_tensor = alarm_tensor(training.engine.table(), executor.gradient_squares());
    if (training.validation_due()) {
      const Evaluation validation = clock.time("validate", [&] { return run.validate(config.validation.max_tokens); });
      record.result.validation_loss = validation.loss;
      record.result.bits_per_byte = validation.bits_per_byte;
      record.result.passage = clock.time("validate", [&] { return training.passage(); });
    }
    if (training.due(config.guards.state_hash_every)) record.result.state_hash = clock.time("hash", [&] { return training.state_hash(); });
    record.timing = clock.finish(batch.token_count());
    run.record(record, verdict);

    if (run.save_due()) clock.time("checkpoint", [&] { run.save(); });
  }
  return run.finish(reason);
}

}  // namespace longhaul::train
