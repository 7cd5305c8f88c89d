#include "train/inference.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "kernels/elementary/elementary64.h"
#include "kernels/product/gemm.h"
#include "kernels/random.h"
#include "train/handlers.h"
#include "units/error.h"

namespace longhaul::train {
namespace {

constexpr std::int64_t kLengthStep = 32;

/// The same sequence in an array of `length` positions, for each of `copies` data-parallel ranks; what follows is never seen by it
/// (attention is causal).
data::Batch padded(const data::Batch& batch, std::int64_t length, std::int64_t copies) {
  data::Batch out = data::Batch::zeros(copies, length);
  for (std::int64_t copy = 0; copy < copies; ++copy) {
    std::copy(batch.tokens.begin(), batch.tokens.end(), out.tokens.begin() + copy * length);
    std::copy(batch.positions.begin(), batch.positions.end(), out.positions.begin() + copy * length);
    std::copy(batch.document_start.begin(), batch.document_start.end(), out.document_start.begin() + copy * length);
  }
  return out;
}

}  // namespace

Executor& Inference::forward_of(std::int64_t length) {
  Forward& forward = forwards_[length];
  if (!forward.executor) {
    program::BuildOptions options = evaluation_options(engine_.config(), engine_.context().pool.threads());
    const int copies = options.layout.dp;
    options.batch = {1, length, copies, copies};
    options.place = program::place_of(engine_.communicator().rank(), options.layout);
    options.block = engine_.block();
    options.training = engine_.moment1() != nullptr;  // so that persistent buffers lie where the engine has them
    forward.program = program::build_forward(engine_.config().model, engine_.table(), options);
    if (forward.program.arena > engine_.arena().size()) throw Error("the engine's arena is too small for a forward pass of one sequence");
    forward.executor = std::make_unique<Executor>(forward.program, engine_.machine(), handler_of);
  }
  return *forward.executor;
}

std::vector<float> Inference::logits(const data::Batch& batch, std::int64_t first_row) {
  const std::int64_t limit = engine_.config().batch.sequence_length;
  if (batch.sequence_length > limit)
    throw UsageError(fmt::format("a sequence of {} tokens is longer than batch.sequence_length = {}", batch.sequence_length, limit));
  const std::int64_t length = std::min(limit, (batch.sequence_length + kLengthStep - 1) / kLengthStep * kLengthStep);
  Executor& executor = forward_of(length);
  const program::Layout& layout = executor.program().layout;
  const data::Batch input = padded(batch, length, layout.dp);
  const void* rows = executor.forward(input);

  const model::ModelSpec& spec = engine_.config().model;
  const ElementType type = kernels::operand_type(engine_.context().order);
  const std::int64_t count = batch.sequence_length - first_row;
  std::vector<float> out(static_cast<std::size_t>(count * spec.vocab));
  if (rows) {
    const void* first = static_cast<const std::byte*>(rows) + first_row * spec.width * size_of(type);
    kernels::gemm(engine_.context(), kernels::row_major(first, type, count, spec.width), executor.head().transposed(), out.data(),
                  spec.vocab, false);
  }
  if (layout.pp == 1) return out;
  // To the ranks before it in the pipeline.
  comm::Communicator& communicator = engine_.communicator();
  const int last = executor.program().rank_of_stage(layout.pp - 1);
  if (communicator.rank() == last) {
    for (int stage = 0; stage + 1 < layout.pp; ++stage)
      communicator.send(executor.program().rank_of_stage(stage), "logits", std::as_bytes(std::span(out)));
  } else {
    communicator.receive(last, "logits", std::as_writable_bytes(std::span(out)));
  }
  return out;
}

std::vector<float> Inference::next_logits(const std::vector<std::int32_t>& tokens) {
  const auto limit = static_cast<std::size_t>(engine_.config().batch.sequence_length);
  const std::size_t count = std::min(limit, tokens.size());
  data::Batch batch = data::Batch::zeros(1, static_cast<std::int64_t>(count));
  std::copy(tokens.end() - static_cast<std::ptrdiff_t>(count), tokens.end(), batch.tokens.begin());
  std::iota(batch.positions.begin(), batch.positions.end(), 0);
  return logits(batch, static_cast<std::int64_t>(count) - 1);
}

std::int32_t sample(const std::vector<float>& logits, const Sampling& how, std::int64_t position) {
  std::vector<std::int32_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](std::int32_t a, std::int32_t b) { return logits[a] > logits[b]; });
  if (how.temperature <= 0) return order.front();
  if (how.top_k > 0 && how.top_k < std::ssize(order)) order.resize(static_cast<std::size_t>(how.top_k));

  std::vector<double> weights;
  for (std::int32_t token : order) weights.push_back(kernels::exp64((logits[token] - logits[order.front()]) / how.temperature));
  const double all = std::accumulate(weights.begin(), weights.end(), 0.0);
  double kept = 0;
  std::size_t count = 0;
  while (count < weights.size() && kept < how.top_p * all) kept += weights[count++];

  double left = kept * kernels::uniform(how.seed, kernels::Purpose::generation, static_cast<std::uint64_t>(position));
  for (std::size_t i = 0; i < count; ++i)
    if ((left -= weights[i]) < 0) return order[i];
  return order[count - 1];
}

}  // namespace longhaul::train
