#include "train/measures.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "kernels/optimizer/optimizer.h"

namespace longhaul::train {

ledger::TensorNorms tensor_norms(const Engine& engine, const std::vector<double>& gradient_squares, const UpdateNorms& updates) {
  ledger::TensorNorms norms;
  for (const double squares : gradient_squares) norms.gradient.push_back(std::sqrt(squares));
  for (const kernels::UpdateSquares& squares : updates) {
    norms.update.push_back(std::sqrt(squares.update));
    norms.weight.push_back(std::sqrt(squares.weight));
  }
  if (!updates.empty()) return norms;
  norms.update.assign(gradient_squares.size(), 0.0);
  for (const model::ParamTensor& tensor : engine.table().tensors())
    norms.weight.push_back(std::sqrt(kernels::sum_of_squares(engine.context(), engine.weights() + tensor.offset, tensor.count)));
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
  const std::vector<double>& squares = executor.gradient_squares();
  const std::optional<NoiseParts> now = noise_parts(executor.leaves(), std::accumulate(squares.begin(), squares.end(), 0.0), global_batch);
  if (!now) return std::nullopt;
  state.add(*now);
  const NoiseParts mean = state.mean();
  return ledger::NoiseScaleResult{now->gradient_squared, now->trace, mean.gradient_squared, mean.trace, state.sequences()};
}

}  // namespace longhaul::train
