// train/whole_state.h — the training state of all ranks in one place, and back: what one rank alone would hold.
//
// A rank that is alone has it already: its own tensors are the whole state, and nothing is copied.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "checkpoint/registry.h"
#include "train/engine.h"

namespace longhaul::train {

class WholeState {
 public:
  /// Takes memory for every group that the engine has, on rank 0 alone.
  explicit WholeState(const Engine& engine);
  /// Rank 0's tensors; empty on the others.
  std::vector<checkpoint::TensorEntry> registry();
  /// All ranks call these together.
  void collect();
  void distribute();

 private:
  void move(bool to_root);
  float* place(const Engine::Held& held);

  const Engine& engine_;
  std::map<std::string, std::vector<float>, std::less<>> groups_;
};

}  // namespace longhaul::train
