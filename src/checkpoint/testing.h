// checkpoint/testing.h — a small training state for tests: a few tensors in every group, values that depend on a seed.
#pragma once

#include <bit>
#include <cstdint>
#include <deque>
#include <random>
#include <string>
#include <vector>

#include "checkpoint/store.h"

namespace longhaul::checkpoint::testing {

class State {
 public:
  /// rows scales the size: 12·rows + 7 values a group, in four groups.
  explicit State(std::uint64_t seed = 0, std::int64_t rows = 5) {
    for (const std::string_view group : {kWeights, kMoment1, kMoment2, kAverage}) {
      add(std::string(group), "model.embed_tokens.weight", {rows, 8});
      add(std::string(group), "model.layers.0.mlp.up_proj.weight", {rows, 4});
      add(std::string(group), "model.norm.weight", {7});
    }
    fill(seed);
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  /// The state that step `seed` of an imaginary run would have.
  void fill(std::uint64_t seed) {
    std::mt19937 random(static_cast<std::uint32_t>(seed + 1));
    for (std::vector<float>& values : values_) {
      for (float& value : values) value = std::bit_cast<float>(static_cast<std::uint32_t>(random()));  // any bits, NaNs too
    }
  }
  std::span<const TensorEntry> tensors() const { return tensors_; }
  std::vector<TensorEntry>& registry() { return tensors_; }
  std::string hash() const { return hash_state(tensors_).root.hex(); }

 private:
  void add(const std::string& group, const std::string& name, std::vector<std::int64_t> shape) {
    std::int64_t elements = 1;
    for (const std::int64_t extent : shape) elements *= extent;
    values_.emplace_back(static_cast<std::size_t>(elements));
    tensors_.push_back({name, std::move(shape), values_.back(), group});
  }
  std::deque<std::vector<float>> values_;
  std::vector<TensorEntry> tensors_;
};

inline RunIdentity identity() { return {"c0ffee", "[model]\nlayers = 4\nwidth = 64\n[optimizer]\nbeta1 = 0.9\n", "dp2"}; }

/// The state after `step` steps, as a snapshot.
inline Snapshot snapshot(State& state, std::int64_t step) {
  state.fill(static_cast<std::uint64_t>(step));
  return {step,
          step * 100,
          state.tensors(),
          {{"rng", "00ff"}, {"window", {0.1, 1.0 / 3.0}}, {"step", step}},
          {{"records", step}, {"head", "abc"}}};
}
/// Its hash, computed apart.
inline std::string hash_of_step(std::int64_t step) { return State(static_cast<std::uint64_t>(step)).hash(); }

}  // namespace longhaul::checkpoint::testing
