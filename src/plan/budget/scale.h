// plan/budget/scale.h — what a budget buys: the best N and D by each law, beside each other with their uncertainty, the model that fits
// them, how to train it, what serving it changes, and, on a cluster, which shape's modelled time makes best use of it.
//
// The budget is FLOPs of 6·N·D, or device-hours of a cluster; the latter become tokens by the modelled step time of each shape
// (plan/budget/walk.h), and the FLOPs named are then 6·N·D of the best of them. Money and energy appear where prices and power are given.
#pragma once

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "model/flops.h"
#include "plan/budget/walk.h"
#include "scaling/family.h"
#include "scaling/hyperparameters.h"
#include "scaling/law.h"
#include "scaling/serving.h"

namespace longhaul::plan {

struct ScaleRequest {
  std::vector<scaling::Law> laws;                  ///< to list, at least one
  scaling::Law chosen;                             ///< whose optimum is the suggestion: of this compute, or at its loss when serving counts
  scaling::Law surface;                            ///< whose losses are printed and compared: `chosen` where it has a surface
  std::optional<double> flops, device_hours;       ///< exactly one; device-hours need `base`
  std::optional<cost::RunShape> base;              ///< a cluster's: everything but model and layout
  const cost::Calibration* calibration = nullptr;  ///< with `base`
  double device_memory = 0;                        ///< bytes, with `base`
  std::optional<scaling::Serving> serving;
  bool lifetime = false;  ///< the budget pays for serving too
  scaling::FamilyOptions family;
  double tokens_per_step = 0;  ///< 0: not given
  std::optional<Tokens> unique_tokens;
  std::optional<double> price;  ///< dollars a device-hour
  std::optional<double> watts;  ///< of a device
  std::function<void(const std::string&)> progress = [](const std::string&) {};
};

struct LawAdvice {
  scaling::Law law;
  scaling::Advice advice;
  std::optional<double> loss_by_surface;  ///< of this N and D by the request's surface, where both count N alike
};

struct Suggestion {
  scaling::Allocation wanted;  ///< N and D before a shape is found
  std::optional<model::ModelSpec> model;
  scaling::Allocation at;  ///< of the shape: its exact N as the law counts it, and D for the same compute
  model::ParamCounts counts;
  std::optional<double> loss;
};

struct ScaleResult {
  ScaleRequest request;
  double flops = 0;
  std::vector<LawAdvice> laws;
  std::vector<Walked> walked;       ///< by rising N; empty without a cluster
  std::optional<std::size_t> best;  ///< of `walked`
  std::optional<scaling::ServedOptimum> unserved, served;
  Suggestion suggestion;
  scaling::TrainingAdvice training;
  std::vector<std::string> warnings;
};

/// @throws UsageError for a budget that no shape of the cluster can spend
ScaleResult scale(ScaleRequest request);

nlohmann::json to_json(const ScaleResult& result);
std::string to_text(const ScaleResult& result);
/// The suggested model as a file of examples/models' form, which `--model` takes. Only where a shape was found.
std::string model_toml(const ScaleResult& result);

}  // namespace longhaul::plan
