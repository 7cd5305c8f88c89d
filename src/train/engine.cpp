#include "train/engine.h"

#include <fmt/format.h>

#include <algorithm>

#include "config/options.h"
#include "kernels/attention/attention.h"
#include "kernels/loss/loss.h"
#include "kernels/product/gemm.h"
#include "kernels/random.h"
#include "kernels/rows/rows.h"
#include "train/handlers.h"
#include "units/error.h"

namespace longhaul::train {
namespace {

program::BuildOptions options_for(const config::RunConfig& config, const program::BatchPlan& batch, int threads) {
  const model::ModelSpec& spec = config.model;
  const kernels::Order order = order_of_run(config);
  const kernels::AttentionShape attention{batch.sequences_per_micro_batch, batch.sequence_length, spec.heads, spec.kv_heads, spec.head_dim};
  const kernels::LossShape loss{batch.tokens_per_micro_batch(), spec.width, spec.vocab, batch.sequence_length,
                                kernels::loss_block_tokens(spec.vocab, batch.sequence_length)};
  program::BuildOptions options;
  options.batch = batch;
  options.layout = program::layout_of(config.parallel);
  options.operand = kernels::operand_type(order);
  options.average = config.optimizer.ema_beta > 0;
  const auto bytes = [](std::size_t size) { return Bytes(static_cast<std::int64_t>(size)); };
  options.workspace = {bytes(kernels::attention_forward_workspace(attention, order, threads)),
                       bytes(kernels::attention_backward_workspace(attention, order, threads)),
                       bytes(kernels::loss_workspace(loss, order, threads, true)),
                       bytes(kernels::loss_workspace(loss, order, threads, false))};
  return options;
}

program::Program evaluation_program(const config::RunConfig& config, const model::ParamTable& table, int threads, Engine::Use use) {
  program::BuildOptions options = evaluation_options(config, threads);
  options.training = use == Engine::Use::training;
  return program::build_evaluation(config.model, table, options);
}

/// The configuration itself. @throws UsageError when its model can only be counted
const config::RunConfig& checked(const config::RunConfig& config) {
  if (const std::optional<std::string> reason = model::trainable(config.model))
    throw UsageError(fmt::format("this model can be counted but not trained: {}", *reason));
  if (const std::optional<Unsupported> beyond = beyond_one_rank(config)) throw UsageError(beyond->sentence);
  return config;
}

}  // namespace

int thread_count(const config::RunConfig& config) {
  return config.run.threads > 0 ? static_cast<int>(config.run.threads) : machine::usable_processors();
}

kernels::Family family_of_run(const config::RunConfig& config) {
  if (config.run.family == "auto") return kernels::best_family();
  for (kernels::Family family : {kernels::Family::avx2, kernels::Family::avx512, kernels::Family::avx512_bf16})
    if (kernels::name(family) == config.run.family) {
      if (!kernels::supported(family))
        throw UsageError(fmt::format("run.family = \"{}\": this processor has no such instructions; its fastest is \"{}\"",
                                     config.run.family, kernels::name(kernels::best_family())));
      return family;
    }
  throw UsageError(fmt::format("run.family = \"{}\" is not one of auto, avx2, avx512, avx512_bf16", config.run.family));
}

kernels::Order order_of_run(const config::RunConfig& config) {
  return config.precision.order == config::Order::dp2 ? kernels::Order::dp2 : kernels::Order::fma;
}

std::optional<Unsupported> beyond_one_rank(const config::RunConfig& config) {
  const auto found = [&](const config::Option& option, std::string_view why) {
    return Unsupported{option.name(), fmt::format("{} = {} {}", option.name(), config::to_text(option, config), why)};
  };
  for (const config::Option& option : config::options()) {
    if (option.table != "parallel" || config::to_text(option, config) == config::to_text(option, {})) continue;
    if (option.key == "recompute") {
      if (config.parallel.recompute == config::Recompute::selective)
        return found(option, "has nothing to compute again: attention keeps no scores; allowed: \"none\", \"layer\"");
    } else if (option.key == "zero") {
      return found(option, "needs several data-parallel ranks (parallel.dp > 1), which this version does not run; allowed: 0");
    } else {
      return found(option, fmt::format("needs a program for several ranks, which this version does not build; allowed: {}",
                                       config::to_text(option, {})));
    }
  }
  return std::nullopt;
}

data::PackingOptions packing_options(const config::RunConfig& config) {
  return {config.data.isolate_documents, config.data.end_of_text_loss};
}

program::BuildOptions step_options(const config::RunConfig& config, int threads) {
  return options_for(config,
                     {config.batch.micro_batch, config.batch.sequence_length, static_cast<int>(config.micro_batches()),
                      static_cast<int>(config.batch.virtual_ranks)},
                     threads);
}

program::BuildOptions evaluation_options(const config::RunConfig& config, int threads) {
  return options_for(config, {config.validation.batch, config.batch.sequence_length, 1, 1}, threads);
}

Engine::Engine(const config::RunConfig& config, Use use)
    : config_(checked(config)),
      table_(config.model),
      operands_(program::operand_layout(table_, kernels::operand_type(order_of_run(config)))),
      pool_(thread_count(config)),
      context_{pool_, family_of_run(config), order_of_run(config)},
      evaluation_program_(evaluation_program(config, table_, pool_.threads(), use)),
      machine_{config_.model, table_, operands_, context_} {
  if (use == Use::training) step_program_ = program::build_step(config_.model, table_, step_options(config_, pool_.threads()));
  resident_before_arena_ = machine::resident();
  arena_ = std::make_unique<machine::Arena>(std::max(step_program_.arena, evaluation_program_.arena));
  machine_.arena = arena_.get();
  if (config_.model.position == model::PositionKind::rope) {
    const auto entries = static_cast<std::size_t>(config_.batch.sequence_length * config_.model.head_dim / 2);
    cosine_.resize(entries);
    sine_.resize(entries);
    kernels::rope_table(config_.model.rope_theta, config_.batch.sequence_length, config_.model.head_dim, cosine_.data(), sine_.data());
    machine_.cosine = cosine_.data();
    machine_.sine = sine_.data();
  }
  const auto place = [&](std::string_view name) -> std::byte* {
    const program::BufferId id = evaluation_program_.find(name);
    return id < 0 ? nullptr : arena_->data() + evaluation_program_.buffers[id].offset;
  };
  weights_ = reinterpret_cast<float*>(place("weights"));
  moment1_ = reinterpret_cast<float*>(place("moment1"));
  moment2_ = reinterpret_cast<float*>(place("moment2"));
  average_ = reinterpret_cast<float*>(place("average"));
  operand_weights_ = reinterpret_cast<kernels::bf16*>(place("operand_weights"));
  machine_.weights = weights_;
  if (use == Use::training)
    step_ = std::make_unique<Executor>(step_program_, step_options(config_, pool_.threads()).batch, machine_, handler_of);
  evaluation_ = std::make_unique<Executor>(evaluation_program_, evaluation_options(config_, pool_.threads()).batch, machine_, handler_of);
}

void Engine::initialise() {
  for (const model::ParamTensor& tensor : table_.tensors()) {
    float* values = weights_ + tensor.offset;
    switch (tensor.init.kind) {
      case model::Init::Kind::normal:
        kernels::fill_normal(context_, static_cast<std::uint64_t>(config_.run.seed), static_cast<std::uint64_t>(tensor.index),
                             tensor.init.standard_deviation, values, tensor.count);
        break;
      case model::Init::Kind::ones:
        std::fill_n(values, tensor.count, 1.0F);
        break;
      case model::Init::Kind::zeros:
        std::fill_n(values, tensor.count, 0.0F);
        break;
    }
    if (average_) std::copy_n(values, tensor.count, average_ + tensor.offset);
  }
  weights_changed();
}

void Engine::read_from(const float* weights) {
  machine_.weights = weights;
  if (operand_weights_) refresh_operands(machine_, weights, operand_weights_);
}

void Engine::weights_changed() { read_from(weights_); }

kernels::MatrixView Engine::head() const {
  const model::ParamTensor* own = table_.find(model::Role::head_weight);
  const model::ParamTensor& tensor = own ? *own : table_.at(model::Role::token_embedding);
  const std::int64_t copy = operands_.offsets[static_cast<std::size_t>(&tensor - table_.tensors().data())];
  const void* data = copy >= 0 ? static_cast<const void*>(operand_weights_ + copy) : machine_.weights + tensor.offset;
  return kernels::row_major(data, kernels::operand_type(context_.order), config_.model.vocab, config_.model.width);
}

Engine::AverageScope::AverageScope(Engine& engine) : engine_(engine) {
  if (engine_.average_) engine_.read_from(engine_.average_);
}
Engine::AverageScope::~AverageScope() {
  if (engine_.average_) engine_.read_from(engine_.weights_);
}

std::vector<checkpoint::TensorEntry> Engine::registry_of(std::string_view group, float* data) const {
  std::vector<checkpoint::TensorEntry> entries;
  for (const model::ParamTensor& tensor : table_.tensors())
    entries.push_back({tensor.name, tensor.shape, {data + tensor.offset, static_cast<std::size_t>(tensor.count)}, std::string(group)});
  return entries;
}

std::vector<checkpoint::TensorEntry> Engine::registry() const {
  std::vector<checkpoint::TensorEntry> entries;
  const auto add = [&](std::string_view group, float* data) {
    if (!data) return;
    std::vector<checkpoint::TensorEntry> group_entries = registry_of(group, data);
    std::move(group_entries.begin(), group_entries.end(), std::back_inserter(entries));
  };
  add(checkpoint::kWeights, weights_);
  add(checkpoint::kMoment1, moment1_);
  add(checkpoint::kMoment2, moment2_);
  add(checkpoint::kAverage, average_);
  return entries;
}

}  // namespace longhaul::train
