// plan/explain/lines.h — the tables behind explain.h: one entry for each figure that can be explained.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "plan/account.h"
#include "plan/explain/explanation.h"
#include "plan/forecast.h"

namespace longhaul::plan {

/// A forecast and what it was made with.
struct OnCluster {
  const Forecast& plan;
  const cost::Calibration& calibration;
  const cost::RunShape& run() const { return plan.shape; }
};

/// Fills in an explanation: `let` reads a number, `define` works one out, `is` is the figure itself.
class Derivation {
 public:
  explicit Derivation(Explanation& out) : out_(out) {}
  Derivation& let(std::string symbol, double value, Unit unit, std::string meaning);
  Derivation& define(std::string symbol, std::string formula, Unit unit, std::string meaning);
  Derivation& is(std::string formula);
  Derivation& note(std::string text);

 private:
  Explanation& out_;
};

inline double real(std::int64_t value) { return static_cast<double>(value); }

/// A change of the run, named as the user writes it. Those that cannot run are left out.
enum class LeverKind : std::uint8_t {
  zero,
  tensor,
  pipeline,
  schedule,
  sequence_parallel,
  recompute,
  micro_batch,
  global_batch,
  sequence_length,
  devices,
  precision,
  tokens,
  price,
  mtbf,
  save
};

/// One figure of a plan of type `Plan`.
template <class Plan>
struct Line {
  std::string id, title;
  Unit unit{};
  std::string pointer;
  std::string source;
  std::function<std::optional<double>(const Plan&)> value;
  std::function<void(const Plan&, Derivation&)> derive;
  std::vector<LeverKind> levers{};
  std::string missing{};  ///< what to give where there is no value
};
using ForecastLine = Line<OnCluster>;

/// Figures that a model alone has: parameters, work by convention. The same for a cluster and for this machine.
struct ModelFigures {
  const model::ModelSpec& model;
  std::int64_t sequence_length;
};
std::vector<Line<ModelFigures>> model_lines();

std::vector<ForecastLine> memory_lines(const Forecast& forecast);
std::vector<ForecastLine> step_lines();
std::vector<ForecastLine> traffic_lines();
std::vector<ForecastLine> run_lines();

/// One rank of this machine.
struct OnMachine {
  const Account& plan;
  const config::RunConfig& config;
};
std::vector<Line<OnMachine>> account_lines(const Account& account);

/// The figure of `line` after each change of its levers that can run.
std::vector<Lever> pull(const ForecastLine& line, const OnCluster& given);

}  // namespace longhaul::plan
