#include "evidence/claim.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "files/examples.h"
#include "files/read.h"
#include "units/error.h"

namespace longhaul::evidence {
namespace {

using model::Convention;

/// Published runs are a sample: leaving out one family of them, that family's best was up to 14 % above the best of the rest (A100: MPT on
/// llm-foundry 0.641, all others 0.563; H100: 0.463 and 0.428). Claims up to this much above the best are not called implausible.
constexpr double kAboveBest = 1.15;
/// Were a claim one more run of those published, it would be the best of them by chance with 1/(runs + 1), which is 5 % at 19. Of fewer the
/// best says too little of what can be reached.
constexpr std::int64_t kEnoughRuns = 19;
/// Readings that change the figure by less explain nothing.
constexpr double kLeastChange = 0.05;

double seconds_of(double hours) { return hours * 3600; }

/// Published runs in either 16-bit type are one kind: both run at one rate.
std::string dtype_of(const Claim& claim) { return claim.precision == "fp8" ? "fp8" : "bf16"; }
/// Whose peak counts: older devices have fp16 alone.
std::string peak_dtype(const Claim& claim) {
  return claim.on.accelerator.peak_flops.contains(claim.precision) ? claim.precision : dtype_of(claim);
}

/// Closed forms of dense GPT layers say nothing of a mixture.
bool applies(Convention convention, const model::ModelSpec& model) {
  return model.experts.count == 0 ||
         (convention != Convention::sc21_eq3 && convention != Convention::korthikanti_eq7 && convention != Convention::korthikanti_eq8);
}

/// The row for an accelerator, else for all; the claim's kind, else the other.
std::optional<PublishedMfu> row_for(const Claim& claim, const std::vector<PublishedMfu>& published, const std::string& kind) {
  const std::string other = kind == "step" ? "whole" : "step";
  for (const std::string& accelerator : {claim.on.accelerator.id, std::string("any")})
    for (const std::string& each : {kind, other})
      for (const PublishedMfu& row : published)
        if (row.accelerator == accelerator && row.kind == each && row.precision == dtype_of(claim)) return row;
  return std::nullopt;
}

PublishedBand band(const Claim& claim, const std::vector<PublishedMfu>& published) {
  const auto steps = row_for(claim, published, "step");
  if (!steps) throw UsageError(fmt::format("the table of published runs has no row of {} for any accelerator", dtype_of(claim)));
  if (claim.kind != ClaimKind::device_hours) return {*steps, std::nullopt};
  const auto whole = row_for(claim, published, "whole").value_or(*steps);
  return {whole, whole.kind == "whole" && steps->kind == "step" ? steps : std::nullopt};
}

/// Work per token that no implementation can leave out: causal attention, and the layers' forward pass again where it is recomputed.
double least_flops(const Claim& claim) {
  const double exact = model::flops_per_token(claim.model, claim.sequence_length, Convention::exact).value;
  if (claim.recompute != program::Recompute::layer) return exact;
  const double matmul = 6 * static_cast<double>(model::count_params(claim.model).matmul.value);
  const double attention_forward = (model::flops_per_token(claim.model, claim.sequence_length).value - matmul) / 3;
  return exact + model::recompute_flops_per_token(claim.model, claim.sequence_length).value - attention_forward / 2;
}

Verdict judge(double mfu, double least, const std::optional<double>& matmul, const PublishedBand& published) {
  if (least > 1 || (matmul && least > *matmul)) return Verdict::impossible;
  const PublishedMfu& highest = published.highest();
  if (mfu > kAboveBest * highest.best) return highest.runs < kEnoughRuns ? Verdict::unusual : Verdict::implausible;
  return mfu < published.lowest().lower_quartile ? Verdict::low : Verdict::plausible;
}

std::string percent(double share) { return fmt::format("{:.1f} %", 100 * share); }

/// "70 published on h100 (bf16, steady steps)"
std::string runs_of(const PublishedMfu& row) {
  return fmt::format("{} published on {} ({}, {})", row.runs,
                     row.accelerator == "any" ? "any accelerator (there are none of this one)" : row.accelerator, row.precision,
                     row.kind == "step" ? "steady steps" : "whole runs");
}

std::string three_of_four(const PublishedMfu& row) {
  return fmt::format("three of four of {} reached more than {}", runs_of(row), percent(row.lower_quartile));
}

/// Each sentence is of the row that its figure stands in.
std::string reason(const ClaimAudit& audit) {
  const PublishedBand& published = audit.published;
  const PublishedMfu& highest = published.highest();
  const std::string best = fmt::format("the best of {}, {} ({})", runs_of(highest), percent(highest.best), highest.best_run);
  std::string above = fmt::format("MFU {} is more than {:.0f} % above {}", percent(audit.mfu), 100 * (kAboveBest - 1), best);
  switch (audit.verdict) {
    case Verdict::impossible:
      if (audit.least > 1)
        return fmt::format("work that cannot be left out would take {} of the peak of {}", percent(audit.least),
                           audit.claim.on.accelerator.name);
      return fmt::format("work that cannot be left out would take {} of the peak, more than the best measured matmul reaches alone ({})",
                         percent(audit.least), percent(*audit.matmul));
    case Verdict::implausible:
      return above;
    case Verdict::unusual:
      return above + fmt::format("; {} runs are too few to call it implausible ({} would do)", highest.runs, kEnoughRuns);
    case Verdict::plausible:
      if (audit.mfu > highest.best) return fmt::format("MFU {} is above {}, by no more than software gains", percent(audit.mfu), best);
      return fmt::format("MFU {} lies between the lower quartile of {}, {}, and {}", percent(audit.mfu), runs_of(published.lowest()),
                         percent(published.lowest().lower_quartile), best);
    case Verdict::low: {
      std::string out = three_of_four(published.of_kind);
      if (published.steps) out += ", " + three_of_four(*published.steps);
      return out + "; MFU is " + percent(audit.mfu);
    }
  }
  return "";
}

/// All of an audit but the readings.
ClaimAudit judged(const Claim& claim, const std::vector<PublishedMfu>& published) {
  ClaimAudit out;
  out.claim = claim;
  out.rate = claim.rate();
  out.peak = claim.on.accelerator.peak(peak_dtype(claim));
  const double per_device = out.rate / claim.on.devices;
  const auto share = [&](double flops) { return flops * per_device / out.peak; };
  const double standard = model::flops_per_token(claim.model, claim.sequence_length).value;
  out.mfu = share(standard);
  const bool again = claim.recompute == program::Recompute::layer;
  out.hfu = share(standard + (again ? model::recompute_flops_per_token(claim.model, claim.sequence_length).value : 0));
  out.least = share(least_flops(claim));
  const auto& matmul = claim.on.accelerator.matmul_flops;
  if (const auto at = matmul.find(peak_dtype(claim)); at != matmul.end()) out.matmul = at->second / out.peak;
  for (const Convention convention : model::all_conventions())
    if (applies(convention, claim.model))
      out.conventions.emplace_back(convention, share(model::flops_per_token(claim.model, claim.sequence_length, convention).value));
  out.published = band(claim, published);
  out.verdict = judge(out.mfu, out.least, out.matmul, out.published);
  out.why = reason(out);
  if (claim.model.experts.count > 0) out.why += "; all published runs of the table are of dense models";
  return out;
}

/// Other readings of the claim's number, each as the factor by which its rate would be another.
class Readings {
 public:
  Readings(const ClaimAudit& audit, const std::vector<PublishedMfu>& published)
      : audit_(audit), claim_(audit.claim), published_(published) {}

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
  const std::vector<PublishedMfu>& published_;
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

/// The same rate against the fp8 peak and among fp8 runs.
void Readings::precision() {
  if (claim_.precision == "fp8" || audit_.verdict == Verdict::low || !claim_.on.accelerator.peak_flops.contains("fp8")) return;
  Claim in_fp8 = claim_;
  in_fp8.precision = "fp8";
  if (!row_for(in_fp8, published_, "step")) return;
  if (const ClaimAudit read = judged(in_fp8, published_); read.verdict == Verdict::plausible)
    out_.push_back({"matrix products in fp8, against the fp8 peak", read.mfu});
}

}  // namespace

std::string_view name(Verdict verdict) {
  constexpr std::array<std::string_view, 5> kNames{"impossible", "implausible", "unusual", "plausible", "low"};
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
  ClaimAudit out = judged(claim, published);
  if (out.verdict != Verdict::plausible) out.readings = Readings(out, published).plausible();
  return out;
}

}  // namespace longhaul::evidence
