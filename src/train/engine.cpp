#include "train/engine.h"

#include <fmt/format.h>

#include <algorithm>
#include <exception>

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

/// The rank's place and the contract's blocks.
program::BuildOptions at_place(program::BuildOptions options, const comm::Communicator& communicator, std::int64_t block) {
  options.place = program::place_of(communicator.rank(), options.layout);
  options.block = block;
  return options;
}

program::Program evaluation_program(const config::RunConfig& config, const model::ParamTable& table, int threads, Engine::Use use,
                                    const comm::Communicator& communicator, std::int64_t block) {
  program::BuildOptions options = at_place(evaluation_options(config, threads), communicator, block);
  options.training = use == Engine::Use::training;
  return program::build_evaluation(config.model, table, options);
}

/// The configuration itself. @throws UsageError when its model can only be counted
const config::RunConfig& checked(const config::RunConfig& config) {
  if (const std::optional<std::string> reason = model::trainable(config.model))
    throw UsageError(fmt::format("this model can be counted but not trained: {}", *reason));
  if (const std::optional<Unsupported> beyond = unsupported(config)) throw UsageError(beyond->sentence);
  return config;
}

}  // namespace

int thread_count(const config::RunConfig& config) {
  if (config.run.threads > 0) return static_cast<int>(config.run.threads);
  return std::max(1, machine::usable_processors() / program::layout_of(config.parallel).world());
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

std::optional<Unsupported> unsupported(const config::RunConfig& config) {
  const auto found = [&](const config::Option& option, std::string_view why) {
    return Unsupported{option.name(), fmt::format("{} = {} {}", option.name(), config::to_text(option, config), why)};
  };
  static constexpr std::string_view kExecuted[] = {"dp", "pp", "zero", "shard", "virtual", "schedule", "stages", "recompute"};
  for (const config::Option& option : config::options()) {
    if (option.table != "parallel" || config::to_text(option, config) == config::to_text(option, {})) continue;
    if (option.key == "recompute" && config.parallel.recompute == config::Recompute::selective)
      return found(option, "has nothing to compute again: attention keeps no scores; allowed: \"none\", \"layer\"");
    if (std::find(std::begin(kExecuted), std::end(kExecuted), option.key) == std::end(kExecuted))
      return found(option, fmt::format("is planned and not trained by this version; allowed: {}", config::to_text(option, {})));
  }
  return std::nullopt;
}

config::RunConfig of_one_rank(config::RunConfig config) {
  config::ParallelTable one;
  one.recompute = config.parallel.recompute;
  one.virtual_tensor = config.parallel.virtual_tensor;
  one.virtual_sequence = config.parallel.virtual_sequence;
  config.parallel = one;
  return config;
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
  const int ranks = static_cast<int>(config.parallel.dp);
  return options_for(config, {config.validation.batch, config.batch.sequence_length, ranks, ranks}, threads);
}

Engine::Engine(const config::RunConfig& config, Use use, comm::Communicator* communicator, std::int64_t block)
    : config_(checked(config)),
      table_(config.model),
      own_communicator_(communicator ? nullptr : comm::alone()),
      communicator_(communicator ? communicator : own_communicator_.get()),
      pool_(thread_count(config)),
      context_{pool_, family_of_run(config), order_of_run(config)},
      evaluation_program_(evaluation_program(config, table_, pool_.threads(), use, *communicator_, block)),
      machine_{config_.model, table_, context_, *communicator_} {
  if (evaluation_program_.layout.world() != communicator_->ranks())
    throw UsageError(fmt::format("the layout {} has {} ranks, this job {}", program::to_text(evaluation_program_.layout),
                                 evaluation_program_.layout.world(), communicator_->ranks()));
  if (use == Use::training)
    step_program_ = program::build_step(config_.model, table_, at_place(step_options(config_, pool_.threads()), *communicator_, block));
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
  if (use == Use::training) step_ = std::make_unique<Executor>(step_program_, machine_, handler_of);
  evaluation_ = std::make_unique<Executor>(evaluation_program_, machine_, handler_of);
}

float* Engine::address(std::string_view buffer) const {
  const program::BufferId id = evaluation_program_.find(buffer);
  return id < 0 ? nullptr : reinterpret_cast<float*>(arena_->data() + evaluation_program_.buffers[id].offset);
}

void Engine::initialise() {
  const auto fill = [&](const char* buffer) {
    const program::BufferId id = evaluation_program_.find(buffer);
    if (id < 0) return;
    for (const program::Placed& placed : evaluation_program_.arrangement_of(id).placed()) {
      const model::ParamTensor& tensor = table_.tensors()[static_cast<std::size_t>(placed.tensor)];
      float* values = address(buffer) + placed.offset;
      switch (tensor.init.kind) {
        case model::Init::Kind::normal:
          kernels::fill_normal(context_, static_cast<std::uint64_t>(config_.run.seed),
                               static_cast<std::uint64_t>(tensor.index + placed.begin), tensor.init.standard_deviation, values,
                               placed.count());
          break;
        case model::Init::Kind::ones:
          std::fill_n(values, placed.count(), 1.0F);
          break;
        case model::Init::Kind::zeros:
          std::fill_n(values, placed.count(), 0.0F);
          break;
      }
    }
  };
  fill("weights");
  fill("average");
  weights_changed();
}

/// What training reads beside the weights: operand copies, and the vectors of divided ones.
void Engine::weights_changed() { evaluation_->read_weights(); }

Engine::AverageScope::AverageScope(Engine& engine) : engine_(engine), errors_(std::uncaught_exceptions()) {
  if (engine_.average()) engine_.evaluation_->read_average();
}
Engine::AverageScope::~AverageScope() noexcept(false) {
  if (engine_.average() && std::uncaught_exceptions() == errors_) engine_.evaluation_->read_weights();
}

std::vector<Engine::Held> Engine::held() const {
  std::vector<Held> all;
  const program::Layout& layout = evaluation_program_.layout;
  const int index = evaluation_program_.members(program::Group::data).index;
  const bool divides = layout.zero > 0 && layout.shards() > 1;
  const auto add = [&](std::string_view group, const char* buffer, bool divided) {
    const program::BufferId id = evaluation_program_.find(buffer);
    if (id < 0) return;
    const bool first = divided ? index < layout.shards() : index == 0;
    for (const program::Placed& placed : evaluation_program_.arrangement_of(id).placed())
      all.push_back({group, placed.tensor, placed.begin, placed.end, address(buffer) + placed.offset, first && !placed.head});
  };
  // With fp32 operands ZeRO 1 and 2 leave the weights whole (program/build_states.cpp).
  const bool masters = divides && (layout.zero == 3 || kernels::operand_type(context_.order) != ElementType::f32);
  add(checkpoint::kWeights, "weights", masters);
  add(checkpoint::kMoment1, "moment1", divides);
  add(checkpoint::kMoment2, "moment2", divides);
  add(checkpoint::kAverage, "average", divides);
  return all;
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
  add(checkpoint::kWeights, weights());
  add(checkpoint::kMoment1, moment1());
  add(checkpoint::kMoment2, moment2());
  add(checkpoint::kAverage, average());
  return entries;
}

}  // namespace longhaul::train
