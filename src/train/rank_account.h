// train/rank_account.h — what each rank of a launch did, beside what its program says: seconds by phase and in transfers, memory, bytes by
// channel. The plan of a rank and its measurement have the same words (program::ledger_phase, program::Transfer).
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "train/engine.h"

namespace longhaul::train {

class RankAccount {
 public:
  /// To be called by every rank after each step, the first one 1. After the tenth the ranks tell each other the medians of steps 3 to 10.
  /// @return then, on rank 0, one object for each rank; else nothing
  std::vector<nlohmann::json> after_step(std::int64_t step, Engine& engine);

 private:
  nlohmann::json own(Engine& engine) const;

  std::map<std::string, std::vector<double>> seconds_;  ///< by phase; "transfers" apart
};

/// Ranks whose own work takes longer than that of the others at their pipeline stage: "rank 3 (dp 1, pp 1) works 1.40 times as long a step
/// as the median of its stage". Of ranks that are alone at their stage nothing is said. @param ranks  of RankAccount::after_step()
std::vector<std::string> stragglers(const std::vector<nlohmann::json>& ranks);

}  // namespace longhaul::train
