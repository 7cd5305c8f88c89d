// train/guards.h — is this step's update to be trusted? Pure functions of the step's figures and a window of earlier ones.
//
// NaN or Inf, or a loss far above the recent mean: the update is skipped (never applied), counted and recorded. Spikes, large gradients
// and drift raise alarms, which change nothing. Thresholds are accounting F4 and F5; the windows hold applied steps only, belong to the
// training state and are part of every checkpoint, so a resumed run judges as one never stopped.
#pragma once

#include <deque>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "config/run_config.h"

namespace longhaul::train {

/// What a step shows before its update.
struct Observation {
  double loss = 0;                     ///< nats per target
  double grad_norm = 0;                ///< before the clip
  double learning_rate = 0;            ///< about to be used
  double scheduled_learning_rate = 0;  ///< what the schedule says for this step
};

struct GuardState {
  std::deque<double> losses, grad_norms;  ///< of the last applied steps, oldest first
  std::int64_t applied = 0;               ///< applied steps since the start
  std::int64_t skipped_in_a_row = 0;
};

struct Verdict {
  bool apply = true;
  bool about_gradient = false;     ///< an alarm is about the gradient's norm: the tensor behind it is worth knowing
  std::string reason = "applied";  ///< or "skipped: …"
  std::vector<std::string>
      alarms;  ///< "loss_spike", "loss_ratio", "loss_z", "grad_norm_warn", "grad_norm_alarm", "grad_norm_z", "learning_rate"
};

Verdict judge(const config::GuardsTable& limits, const GuardState& state, const Observation& seen);
/// The state after this step.
void remember(const config::GuardsTable& limits, GuardState& state, const Observation& seen, const Verdict& verdict);

nlohmann::json to_json(const GuardState& state);
GuardState guards_from_json(const nlohmann::json& document);

}  // namespace longhaul::train
