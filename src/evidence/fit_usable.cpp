#include "evidence/fit_usable.h"

#include <algorithm>
#include <cmath>
#include <string_view>
#include <vector>

#include "cost/memory.h"
#include "cost/step.h"
#include "evidence/predict.h"
#include "evidence/score.h"
#include "units/error.h"

namespace longhaul::evidence {
namespace {

constexpr std::string_view kName = "fit.usable_share";
constexpr double kSpreads = 3;
constexpr int kSteps = 60;  ///< to either side

struct Labelled {
  double share = 0;  ///< of the device that the run needs; infinite where a rule refuses it
  bool fitted = false;
};

std::vector<Labelled> labelled(const cost::Calibration& calibration, const cost::Parameter& parameter, std::span<const MeasuredRun> rows) {
  constexpr double kEndless = 1e18;  // bytes: what is refused here is refused by a rule
  std::vector<Labelled> out;
  DeviceMemory memory;
  for (const MeasuredRun& row : rows) {
    if (!row.skipped.empty() || !row.fits) continue;
    if (const auto* entry = calibration.find(kName, cost::parameter_key(row.shape)); !entry || &entry->second != &parameter) continue;
    const auto device = memory(row.shape.accelerator);
    if (!device) continue;
    try {
      const cost::FitVerdict verdict = cost::judge_fit(row.shape, calibration, kEndless);
      out.push_back({verdict.fits ? verdict.needed / *device : INFINITY, *row.fits});
    } catch (const UsageError&) {  // a row that cannot be predicted
    }
  }
  return out;
}

double both_f1(const std::vector<Labelled>& rows, double share) {
  std::vector<ScoredRun> scored(rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) scored[i].fits = rows[i].share < share, scored[i].measured_fits = rows[i].fitted;
  const FitSummary summary = summarize_fits(scored, false);
  return summary.f1.value_or(0) + summary.f1_not.value_or(0);
}

}  // namespace

void fit_usable_share(cost::Calibration& calibration, std::span<const MeasuredRun> rows) {
  const auto [first, last] = calibration.parameters.equal_range(kName);
  for (auto at = first; at != last; ++at) {
    cost::Parameter& parameter = at->second;
    if (parameter.spread <= 0) continue;
    const std::vector<Labelled> known = labelled(calibration, parameter, rows);
    const auto fitted = [](const Labelled& row) { return row.fitted; };
    if (std::all_of(known.begin(), known.end(), fitted) || std::none_of(known.begin(), known.end(), fitted)) continue;
    double best = -1;
    for (int i = 0; i <= 2 * kSteps; ++i) {
      // 0, +1, −1, +2, −2 …: the nearest to the prior first.
      const int step = (i % 2 == 0 ? -1 : 1) * ((i + 1) / 2);
      const double value = cost::four_digits(parameter.prior * std::exp(step * kSpreads / kSteps * parameter.spread));
      if (const double f1 = both_f1(known, value); f1 > best) best = f1, parameter.value = value;
    }
  }
}

}  // namespace longhaul::evidence
