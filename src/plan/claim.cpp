#include "plan/claim.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "files/examples.h"
#include "files/read.h"
#include "units/error.h"

namespace longhaul::plan {
namespace {

using model::Convention;

/// Published runs are a sample: leaving out one family of them, that family's best was up to 14 % above the best of the rest (A100: MPT on
/// llm-foundry 0.641, all others 0.563; H100: 0.463 and 0.428). Claims up to this much above the best are not called implausible.
constexpr double kAboveBest = 1.15;
/// Readings that change the figure by less explain nothing.
constexpr double kLeastChange = 0.05;

double seconds_of(double hours) { return hours * 3600; }

std::string dtype_of(const Claim& claim) { return claim.precision == "fp8" ? "fp8" : "bf16"; }

/// The row for an accelerator, else for all; the claim's kind, else the other.
PublishedMfu row_for(const Claim& claim, const std::vector<PublishedMfu>& published, const std::string& kind) {
  const std::string other = kind == "step" ? "whole" : "step";
  for (const std::string& accelerator : {claim.on.accelerator.id, std::string("any")})
    for (const std::string& each : {kind, other})
      for (const PublishedMfu& row : published)
        if (row.accelerator == accelerator && row.kind == each && row.precision == dtype_of(claim)) return row;
  throw UsageError(fmt::format("the table of published runs has no row of {} for any accelerator", dtype_of(claim)));
}

/// Whole runs are judged by whole runs, of which few are published: those in the range of steady steps are neither low nor implausible.
PublishedMfu band(const Claim& claim, const std::vector<PublishedMfu>& published) {
  PublishedMfu steps = row_for(claim, published, "step");
  if (claim.kind != ClaimKind::device_hours) return steps;
  PublishedMfu whole = row_for(claim, published, "whole");
  whole.lowest = std::min(whole.lowest, steps.lowest);
  whole.lower_quartile = std::min(whole.lower_quartile, steps.lower_quartile);
  if (steps.best > whole.best) whole.best = steps.best, whole.best_run = steps.best_run + ", steady steps";
  return whole;
}

/// Work per token that no implementation can leave out: causal attention, and the layers' forward pass again where it is recomputed.
double least_flops(const Claim& claim) {
  const double exact = model::flops_per_token(claim.model, claim.sequence_length, Convention::exact).value;
  if (claim.recompute != program::Recompute::layer) return exact;
  const double matmul = 6 * static_cast<double>(model::count_params(claim.model).matmul.value);
  const double attention_forward = (model::flops_per_token(claim.model, claim.sequence_length).value - matmul) / 3;
  return exact + model::recompute_flops_per_token(claim.model, claim.sequence_length).value - attention_forward / 2;
}

Verdict judge(double mfu, double least, const std::optional<double>& matmul, const PublishedMfu& published) {
  if (least > 1 || (matmul && least > *matmul)) return Verdict::impossible;
  if (mfu > kAboveBest * published.best) return Verdict::implausible;
  return mfu < published.lower_quartile ? Verdict::low : Verdict::plausible;
}

std::string percent(double share) { return fmt::format("{:.1f} %", 100 * share); }

std::string where(const PublishedMfu& published) {
  return published.accelerator == "any" ? "any accelerator (there are none of this one)" : published.accelerator;
}

std::string reason(const ClaimAudit& audit) {
  const PublishedMfu& published = audit.published;
  const std::string best =
      fmt::format("the best of {} published on {}, {} ({})", published.runs, where(published), percent(published.best), published.best_run);
  switch (audit.verdict) {
    case Verdict::impossible:
      if (audit.least > 1)
        return fmt::format("work that cannot be left out would take {} of the peak of {}", percent(audit.least),
                           audit.claim.on.accelerator.name);
      return fmt::format("work that cannot be left out would take {} of the peak, more than the best measured matmul reaches alone ({})",
                         percent(audit.least), percent(*audit.matmul));
    case Verdict::implausible:
      return fmt::format("MFU {} is more than {:.0f} % above {}", percent(audit.mfu), 100 * (kAboveBest - 1), best);
    case Verdict::plausible:
      if (audit.mfu > published.best) return fmt::format("MFU {} is above {}, by no more than software gains", percent(audit.mfu), best);
      return fmt::format("MFU {} lies between the lower quartile, {}, and {}", percent(audit.mfu), percent(published.lower_quartile), best);
    case Verdict::low:
      return fmt::format("three of four of {} published runs on {} reached more than {}; MFU is {}", published.runs, where(published),
                         percent(published.lower_quartile), percent(audit.mfu));
  }
  return "";
}

/// Other readings of the claim's number, each as the factor by which its rate would be another.
class Readings {
 public:
  explicit Readings(const ClaimAudit& audit) : audit_(audit), claim_(audit.claim) {}

  std::vector<Reading> plausible() {
    conventions();
    units();
    precision();
    std::stable_sort(out_.begin(), out_.end(), [](const Reading& a, const Reading& b) { return a.mfu > b.mfu; });
    return out_;
  }

 private:
  void conventions();
  void units();
  void precision();

  void consider(double factor, const std::string& what) {
    if (!(factor > 0) || !std::isfinite(factor) || std::abs(factor - 1) < kLeastChange) return;
    if (judge(audit_.mfu * factor, audit_.least * factor, audit_.matmul, audit_.published) == Verdict::plausible)
      out_.push_back({what, audit_.mfu * factor});
  }
  double work(Convention convention) const { return model::flops_per_token(claim_.model, claim_.sequence_length, convention).value; }

  const ClaimAudit& audit_;
  const Claim& claim_;
  std::vector<Reading> out_;
};

/// A FLOP/s figure stands for another rate under another convention.
void Readings::conventions() {
  if (claim_.kind != ClaimKind::flops_per_device) return;
  const double claimed = work(claim_.convention);
  for (const Convention convention : model::all_conventions())
    consider(claimed / work(convention), fmt::format("FLOPs counted by {}: {}", name(convention), formula(convention)));
  const double recompute = model::recompute_flops_per_token(claim_.model, claim_.sequence_length).value;
  consider(claimed / (work(Convention::standard) + recompute),
           "hardware FLOPs: the recomputation of all layers counted as work of the model");
  consider(0.5, "a utilisation times the sparse peak, which is twice the dense one");
  consider(1.0 / claim_.on.devices_per_node, fmt::format("FLOP/s of a node of {} devices", claim_.on.devices_per_node));
}

/// A number of one thing taken for that of another.
void Readings::units() {
  const double devices = claim_.on.devices, per_node = claim_.on.devices_per_node, sequence = static_cast<double>(claim_.sequence_length);
  switch (claim_.kind) {
    case ClaimKind::tokens_per_second:
      consider(devices, "tokens/s of one device, not of all");
      if (claim_.on.nodes() > 1) consider(claim_.on.nodes(), "tokens/s of one node, not of all");
      consider(sequence, "sequences/s, not tokens/s");
      return;
    case ClaimKind::tokens_per_second_per_device:
      consider(1 / devices, "tokens/s of all devices, not of one");
      if (per_node < devices) consider(1 / per_node, fmt::format("tokens/s of a node of {} devices, not of one", per_node));
      consider(sequence, "sequences/s, not tokens/s");
      return;
    case ClaimKind::device_hours:
      consider(1 / per_node, fmt::format("hours of nodes of {} devices", per_node));
      consider(1 / devices, "hours on the wall, not of each device");
      return;
    case ClaimKind::step:
      consider(1 / sequence, "a global batch in tokens, not in sequences");
      consider(1 / devices, "the batch of one device, not of all");
      return;
    case ClaimKind::flops_per_device:
      return;
  }
}

void Readings::precision() {
  const auto peaks = claim_.on.accelerator.peak_flops;
  const auto fp8 = peaks.find("fp8");
  if (claim_.precision == "fp8" || fp8 == peaks.end() || audit_.mfu <= audit_.published.best) return;
  if (const double against_fp8 = audit_.mfu * audit_.peak / fp8->second; against_fp8 <= audit_.published.best)
    out_.push_back({"matrix products in fp8, against the fp8 peak", against_fp8});
}

}  // namespace

std::string_view name(Verdict verdict) {
  constexpr std::array<std::string_view, 4> kNames{"impossible", "implausible", "plausible", "low"};
  return kNames[static_cast<std::size_t>(verdict)];
}

double Claim::rate() const {
  switch (kind) {
    case ClaimKind::tokens_per_second:
      return number;
    case ClaimKind::tokens_per_second_per_device:
      return number * on.devices;
    case ClaimKind::flops_per_device:
      return number * on.devices / model::flops_per_token(model, sequence_length, convention).value;
    case ClaimKind::device_hours:
      return tokens / seconds_of(number) * on.devices;
    case ClaimKind::step:
      return global_batch * static_cast<double>(sequence_length) / number;
  }
  return 0;
}

std::vector<PublishedMfu> read_published(const files::Csv& csv) {
  csv.require({"accelerator", "precision", "kind", "runs", "lowest", "lower_quartile", "median", "best", "best_run", "sources"});
  std::vector<PublishedMfu> out;
  for (std::size_t row = 0; row < csv.rows(); ++row) {
    const auto share = [&](const char* column) {
      const auto value = csv.number(row, column);
      if (!value || *value <= 0 || *value > 1) csv.fail(row, column, "allowed is a share of the peak, above 0 and at most 1");
      return *value;
    };
    const auto text = [&](const char* column) { return std::string(csv.text(row, column)); };
    PublishedMfu each{text("accelerator"), text("precision"),       text("kind"),    csv.count(row, "runs", 1).value_or(1),
                      share("lowest"),     share("lower_quartile"), share("median"), share("best"),
                      text("best_run"),    text("sources")};
    if (each.kind != "step" && each.kind != "whole") csv.fail(row, "kind", "allowed are step and whole");
    if (each.lowest > each.lower_quartile || each.lower_quartile > each.median || each.median > each.best)
      csv.fail(row, "best", "lowest, lower_quartile, median and best must rise");
    out.push_back(std::move(each));
  }
  return out;
}

std::vector<PublishedMfu> shipped_published() {
  for (const auto& folder : files::example_folders("published")) {
    const auto path = folder / "mfu.csv";
    if (std::filesystem::is_regular_file(path)) return read_published(files::Csv::parse(files::read_file(path), path.string()));
  }
  throw UsageError("no file examples/published/mfu.csv was found beside the program; set LONGHAUL_EXAMPLES to the examples folder");
}

ClaimAudit audit(const Claim& claim, const std::vector<PublishedMfu>& published) {
  ClaimAudit out;
  out.claim = claim;
  out.rate = claim.rate();
  out.peak = claim.on.accelerator.peak(dtype_of(claim));
  const double per_device = out.rate / claim.on.devices;
  const auto share = [&](double flops) { return flops * per_device / out.peak; };
  const double standard = model::flops_per_token(claim.model, claim.sequence_length).value;
  out.mfu = share(standard);
  const bool again = claim.recompute == program::Recompute::layer;
  out.hfu = share(standard + (again ? model::recompute_flops_per_token(claim.model, claim.sequence_length).value : 0));
  out.least = share(least_flops(claim));
  const auto& matmul = claim.on.accelerator.matmul_flops;
  if (const auto at = matmul.find(dtype_of(claim)); at != matmul.end()) out.matmul = at->second / out.peak;
  for (const Convention convention : model::all_conventions())
    out.conventions.emplace_back(convention, share(model::flops_per_token(claim.model, claim.sequence_length, convention).value));
  out.published = band(claim, published);
  out.verdict = judge(out.mfu, out.least, out.matmul, out.published);
  out.why = reason(out);
  if (out.verdict != Verdict::plausible) out.readings = Readings(out).plausible();
  return out;
}

}  // namespace longhaul::plan
