#include "train/training.h"

#include <utility>

#include "checkpoint/state_hash.h"
#include "train/generation.h"
#include "train/schedule.h"
#include "train/whole_state.h"
#include "units/utf8.h"

namespace longhaul::train {

namespace {

/// Whether a cadence in steps or tokens falls on the step after `steps`, which moves the count of tokens from `before` to `after`.
bool falls_on(const config::Cadence& cadence, std::int64_t steps, std::int64_t before, std::int64_t after) {
  using Kind = config::Cadence::Kind;
  if (cadence.kind == Kind::steps) return config::passes(cadence, steps, steps + 1);
  return cadence.kind == Kind::tokens && config::passes(cadence, before, after);
}

}  // namespace

data::LoaderOptions loader_options(const config::RunConfig& config) {
  return {static_cast<std::uint64_t>(config.run.seed), config.batch.sequence_length, config.batch.global_batch, packing_options(config), 2};
}

Training::Training(const config::RunConfig& config, data::Dataset dataset, comm::Communicator& communicator)
    : engine(config, Engine::Use::training, &communicator), dataset_(std::move(dataset)) {}

void Training::start() {
  engine.initialise();
  open_loader();
}

void Training::resume(const TrainState& saved) {
  state = saved;
  engine.weights_changed();
  open_loader();
}

void Training::open_loader() {
  const data::LoaderOptions options = loader_options(config());
  loader_.emplace(dataset_.train(), options, data::LoaderCursor{state.sample});
  if (config().run.overfit_one_batch) only_batch_ = data::make_batch(dataset_.train(), options, 0, config().batch.global_batch);
  previous_tokens_ = state.tokens;
}

double Training::learning_rate() const { return train::learning_rate(schedule_of(config()), state.step); }
double Training::scheduled_learning_rate() const { return train::learning_rate(schedule_of(config()), state.applied + state.skipped); }

data::Batch Training::next_batch() {
  engine.step().at_step(state.step + 1);
  return only_batch_ ? *only_batch_ : loader_->next();
}

void Training::advance(const data::Batch& batch, bool applied) {
  previous_tokens_ = state.tokens;
  state.step += 1;
  state.tokens += batch.token_count();
  if (!only_batch_) state.sample += batch.sequences;
  (applied ? state.applied : state.skipped) += 1;
}

bool Training::due(const config::Cadence& cadence) const { return falls_on(cadence, state.step - 1, previous_tokens_, state.tokens); }

bool Training::due_with(const config::Cadence& cadence, const data::Batch& batch) const {
  return falls_on(cadence, state.step, state.tokens, state.tokens + batch.token_count());
}

Evaluation Training::validate(std::int64_t max_tokens, const EvaluationProgress& progress) {
  if (validated_step_ == state.step && validation_.complete) return validation_;  // all of it was read at this step already
  validation_ = evaluate(engine, dataset_.heldout(), {.max_tokens = max_tokens}, progress);
  validated_step_ = state.step;
  return validation_;
}

std::optional<ledger::Passage> Training::passage() {
  const config::ValidationTable& validation = config().validation;
  if (validation.prompt.empty()) return std::nullopt;
  if (!tokenizer_) tokenizer_ = tokenizer::Tokenizer::load(dataset_.tokenizer_path());
  if (!inference_) inference_.emplace(engine);
  const Engine::AverageScope average(engine);
  const Passage passage =
      generate(*inference_, *tokenizer_, dataset_.manifest().framing, validation.prompt, validation.prompt_tokens, {.temperature = 0});
  return ledger::Passage{replace_invalid_utf8(tokenizer_->decode(passage.tokens, true)), stop_of(passage)};
}

std::string Training::state_hash() const {
  const int threads = engine.context().pool.threads();
  if (engine.alone()) return checkpoint::hash_state(engine.registry(), threads).root.hex();
  WholeState whole(engine);
  whole.collect();
  return engine.communicator().rank() == 0 ? checkpoint::hash_state(whole.registry(), threads).root.hex() : "";
}

}  // namespace longhaul::train
