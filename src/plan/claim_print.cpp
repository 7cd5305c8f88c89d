// An audited claim as JSON and as text.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "plan/claim.h"
#include "units/format.h"

namespace longhaul::plan {

nlohmann::json to_json(const ClaimAudit& a) {
  const PublishedMfu& p = a.published;
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
          {"published",
           {{"accelerator", p.accelerator},
            {"precision", p.precision},
            {"kind", p.kind},
            {"runs", p.runs},
            {"lowest", p.lowest},
            {"lower_quartile", p.lower_quartile},
            {"median", p.median},
            {"best", p.best},
            {"best_run", p.best_run},
            {"sources", p.sources}}},
          {"readings", readings}};
}

std::string to_text(const ClaimAudit& a) {
  const Claim& claim = a.claim;
  const PublishedMfu& p = a.published;
  std::string out = fmt::format("{} on {} x {}, sequences of {} tokens: {}, {} a device\npeak {} a device ({}, dense; {})\n\nutilisation\n",
                                claim.model.name, claim.on.devices, claim.on.accelerator.name, claim.sequence_length,
                                format_token_rate(a.rate), format_token_rate(a.rate / claim.on.devices), format_flops_rate(a.peak),
                                claim.precision == "fp8" ? "fp8" : "bf16", claim.on.accelerator.source);
  for (const auto& [convention, mfu] : a.conventions)
    out += fmt::format("  {:<18}{:>8.1f} %   {}\n", model::name(convention), 100 * mfu, model::formula(convention));
  if (claim.recompute == program::Recompute::layer)
    out += fmt::format("  {:<18}{:>8.1f} %   standard, and all layers once more\n", "HFU", 100 * a.hfu);
  out += fmt::format("\npublished runs ({}, {}, {}): lowest {:.1f} %, lower quartile {:.1f} %, median {:.1f} %, best {:.1f} %\n",
                     p.accelerator == "any" ? "any accelerator" : p.accelerator, p.precision,
                     p.kind == "step" ? "steady steps" : "whole runs, the range widened by steady steps", 100 * p.lowest,
                     100 * p.lower_quartile, 100 * p.median, 100 * p.best);
  out += fmt::format("\nverdict: {}: {}\n", name(a.verdict), a.why);
  if (!a.readings.empty()) out += "\nthe same number would be plausible as\n";
  for (const Reading& reading : a.readings) out += fmt::format("  {} (MFU {:.1f} %)\n", reading.what, 100 * reading.mfu);
  return out;
}

}  // namespace longhaul::plan
