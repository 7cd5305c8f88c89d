// An audited claim as JSON and as text.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "evidence/claim.h"
#include "units/format.h"

namespace longhaul::evidence {

namespace {

nlohmann::json to_json(const PublishedMfu& row) {
  return {{"accelerator", row.accelerator},
          {"precision", row.precision},
          {"kind", row.kind},
          {"runs", row.runs},
          {"lowest", row.lowest},
          {"lower_quartile", row.lower_quartile},
          {"median", row.median},
          {"best", row.best},
          {"best_run", row.best_run},
          {"sources", row.sources}};
}

std::string to_text(const PublishedMfu& row) {
  return fmt::format("{} published runs ({}, {}, {}): lowest {:.1f} %, lower quartile {:.1f} %, median {:.1f} %, best {:.1f} %\n", row.runs,
                     row.accelerator == "any" ? "any accelerator" : row.accelerator, row.precision,
                     row.kind == "step" ? "steady steps" : "whole runs", 100 * row.lowest, 100 * row.lower_quartile, 100 * row.median,
                     100 * row.best);
}

}  // namespace

nlohmann::json to_json(const ClaimAudit& a) {
  nlohmann::json conventions, readings = nlohmann::json::array();
  for (const auto& [convention, mfu] : a.conventions) conventions[std::string(model::name(convention))] = mfu;
  for (const Reading& reading : a.readings) readings.push_back({{"reading", reading.what}, {"mfu", reading.mfu}});
  return {{"verdict", name(a.verdict)},
          {"why", a.why},
          {"tokens_per_s", a.rate},
          {"tokens_per_s_per_device", a.rate / a.claim.on.devices},
          {"sequence_length", a.claim.sequence_length},
          {"devices", a.claim.on.devices},
          {"peak_flops", a.peak},
          {"peak_source", a.claim.on.accelerator.source},
          {"mfu", a.mfu},
          {"hfu", a.hfu},
          {"least_share_of_peak", a.least},
          {"matmul_share_of_peak", a.matmul ? nlohmann::json(*a.matmul) : nlohmann::json()},
          {"mfu_by_convention", conventions},
          {"published", to_json(a.published.of_kind)},
          {"published_steps", a.published.steps ? to_json(*a.published.steps) : nlohmann::json()},
          {"readings", readings}};
}

std::string to_text(const ClaimAudit& a) {
  const Claim& claim = a.claim;
  std::string out = fmt::format("{} on {} x {}, sequences of {} tokens: {}, {} a device\npeak {} a device ({}, dense; {})\n\nutilisation\n",
                                claim.model.name, claim.on.devices, claim.on.accelerator.name, claim.sequence_length,
                                format_token_rate(a.rate), format_token_rate(a.rate / claim.on.devices), format_flops_rate(a.peak),
                                claim.precision == "fp8" ? "fp8" : "bf16", claim.on.accelerator.source);
  for (const auto& [convention, mfu] : a.conventions)
    out += fmt::format("  {:<18}{:>8.1f} %   {}\n", model::name(convention), 100 * mfu, model::formula(convention));
  if (claim.recompute == program::Recompute::layer)
    out += fmt::format("  {:<18}{:>8.1f} %   standard, and all layers once more\n", "HFU", 100 * a.hfu);
  out += "\n" + to_text(a.published.of_kind);
  if (a.published.steps) out += to_text(*a.published.steps) + "what lies within either is neither low nor too high\n";
  out += fmt::format("\nverdict: {}: {}\n", name(a.verdict), a.why);
  if (!a.readings.empty()) out += "\nthe same number would be plausible as\n";
  for (const Reading& reading : a.readings) out += fmt::format("  {} (MFU {:.1f} %)\n", reading.what, 100 * reading.mfu);
  return out;
}

}  // namespace longhaul::evidence
