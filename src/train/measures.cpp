#include "train/measures.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <numeric>
#include <utility>

#include "kernels/optimizer/optimizer.h"

namespace longhaul::train {

namespace {

/// Of the weights as they are, where no update was made.
UpdateNorms weight_norms(const Engine& engine) {
  UpdateNorms norms;
  const std::int64_t size = engine.block();
  for (const Engine::Held& held : engine.held()) {
    if (held.group != checkpoint::kWeights || !held.first) continue;
    std::vector<kernels::Block> blocks;
    for (std::int64_t at = 0; at < held.end - held.begin; at += size) blocks.push_back({at, std::min(size, held.end - held.begin - at)});
    std::vector<double> squares(blocks.size());
    kernels::squares_of_blocks(engine.context(), held.data, blocks, squares.data());
    for (std::size_t i = 0; i < blocks.size(); ++i)
      norms.push_back({held.tensor, held.begin / size + static_cast<std::int64_t>(i), {0, squares[i]}});
  }
  return norms;
}

}  // namespace

ledger::TensorNorms tensor_norms(const Engine& engine, const std::vector<double>& gradient_squares, const UpdateNorms& updates) {
  const UpdateNorms own = updates.empty() ? weight_norms(engine) : updates;
  std::map<std::pair<std::int64_t, std::int64_t>, kernels::UpdateSquares> blocks;  // by tensor and block: the order of their sum
  for (const std::vector<std::byte>& of_rank : engine.communicator().all_gather("tensor_norms", std::as_bytes(std::span(own))))
    for (std::size_t i = 0; i + sizeof(BlockNorms) <= of_rank.size(); i += sizeof(BlockNorms)) {
      BlockNorms block;
      std::memcpy(&block, of_rank.data() + i, sizeof block);
      blocks[{block.tensor, block.block}] = block.squares;
    }
  std::vector<kernels::UpdateSquares> sums(gradient_squares.size());
  for (const auto& [place, squares] : blocks) {
    kernels::UpdateSquares& sum = sums[static_cast<std::size_t>(place.first)];
    sum.update += squares.update;
    sum.weight += squares.weight;
  }
  ledger::TensorNorms norms;
  for (const double squares : gradient_squares) norms.gradient.push_back(std::sqrt(squares));
  for (const kernels::UpdateSquares& sum : sums) {
    norms.update.push_back(std::sqrt(sum.update));
    norms.weight.push_back(std::sqrt(sum.weight));
  }
  return norms;
}

ledger::AlarmTensor alarm_tensor(const model::ParamTable& table, const std::vector<double>& gradient_squares) {
  const auto first = std::find_if(gradient_squares.begin(), gradient_squares.end(), [](double x) { return !std::isfinite(x); });
  const bool finite = first == gradient_squares.end();
  const auto found = finite ? std::max_element(gradient_squares.begin(), gradient_squares.end()) : first;
  const std::string& name = table.tensors()[static_cast<std::size_t>(found - gradient_squares.begin())].name;
  const double all = std::accumulate(gradient_squares.begin(), gradient_squares.end(), 0.0);
  return {name, finite && all > 0 ? *found / all : 0.0};
}

std::optional<ledger::NoiseScaleResult> measure_noise(const Executor& executor, std::int64_t global_batch, NoiseScale& state) {
  const std::vector<LeafGradient> leaves = executor.leaves();
  if (leaves.size() < 2) return std::nullopt;
  const std::optional<NoiseParts> now = noise_parts(leaves, executor.accumulator_squares(), global_batch);
  if (!now) return std::nullopt;
  state.add(*now);
  const NoiseParts mean = state.mean();
  return ledger::NoiseScaleResult{now->gradient_squared, now->trace, mean.gradient_squared, mean.trace, state.sequences()};
}

}  // namespace longhaul::train
