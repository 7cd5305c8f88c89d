// evidence/claim.h — somebody's claim of a training speed, judged: utilisation by each published convention, beside what published runs
// reached.
//
// A speed is a number of tokens a second; what people print are FLOP/s, device-hours and step times, each by a convention of its own. All
// are brought to tokens a second, and the verdict is by accounting D1 (docs/accounting.md). Work that no implementation can leave out (the
// `exact` convention: causal attention, plus the recomputation that the claim says) bounds what is possible; examples/published/mfu.csv,
// made from published measurements by tools/published_runs, says what is plausible. Where another reading of the same number (a node's rate
// for a device's, a utilisation of the sparse peak, recomputation counted as work …) would be plausible, that reading is named.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "cluster/catalogue.h"
#include "files/csv.h"
#include "model/flops.h"
#include "program/layout.h"

namespace longhaul::evidence {

/// MFU (0..1, accounting D1) of published runs on one accelerator: of each model and size of cluster the best layout.
struct PublishedMfu {
  std::string accelerator, precision;  ///< "h100" or "any"; "bf16", "fp8"
  std::string kind;                    ///< "step": steady steps; "whole": a run's device-hours with all that they hold
  std::int64_t runs = 0;
  double lowest = 0, lower_quartile = 0, median = 0, best = 0;
  std::string best_run, sources;
};
/// Throws UsageError naming line and column.
std::vector<PublishedMfu> read_published(const files::Csv& csv);
/// The table that comes with the program.
std::vector<PublishedMfu> shipped_published();

/// What a claim's number is of.
enum class ClaimKind : std::uint8_t {
  tokens_per_second,  ///< of all devices
  tokens_per_second_per_device,
  flops_per_device,  ///< FLOP/s of one device, counted by `convention`
  device_hours,      ///< for `tokens`
  step,              ///< seconds for `global_batch` sequences
};

struct Claim {
  model::ModelSpec model;
  std::int64_t sequence_length = 0;
  cluster::Cluster on;
  std::string precision = "bf16";  ///< bf16, fp16, fp8
  program::Recompute recompute = program::Recompute::none;
  ClaimKind kind{};
  double number = 0;  ///< tokens/s, FLOP/s, hours or seconds
  model::Convention convention = model::Convention::standard;
  double tokens = 0;        ///< with device_hours
  double global_batch = 0;  ///< sequences, with step

  /// Tokens a second of all devices.
  double rate() const;
};

/// What a claim is set beside. Few whole runs are published, so their hours are compared with steady steps too: what is in the range of
/// either is neither low nor too high.
struct PublishedBand {
  PublishedMfu of_kind;               ///< of the claim's kind, or of the other where the accelerator has only that
  std::optional<PublishedMfu> steps;  ///< beside whole runs

  const PublishedMfu& highest() const { return steps && steps->best > of_kind.best ? *steps : of_kind; }
  const PublishedMfu& lowest() const { return steps && steps->lower_quartile < of_kind.lower_quartile ? *steps : of_kind; }
};

/// unusual: as implausible, where the runs it is set beside are too few to say so.
enum class Verdict : std::uint8_t { impossible, implausible, unusual, plausible, low };
std::string_view name(Verdict verdict);

/// The same number read otherwise.
struct Reading {
  std::string what;
  double mfu = 0;
};

struct ClaimAudit {
  Claim claim;
  double rate = 0;               ///< tokens/s of all devices
  double peak = 0;               ///< FLOP/s of one device in the claim's precision, dense
  double mfu = 0;                ///< accounting D1
  double hfu = 0;                ///< with the recomputation that the claim says
  double least = 0;              ///< share of the peak for work that cannot be left out
  std::optional<double> matmul;  ///< best measured matmul as a share of the peak
  std::vector<std::pair<model::Convention, double>> conventions;
  PublishedBand published;  ///< what the verdict is by
  Verdict verdict{};
  std::string why;
  std::vector<Reading> readings;  ///< that would be plausible; only where the claim is not
};

/// @throws UsageError for a precision that the hardware does not have
ClaimAudit audit(const Claim& claim, const std::vector<PublishedMfu>& published);

nlohmann::json to_json(const ClaimAudit& audit);
std::string to_text(const ClaimAudit& audit);

}  // namespace longhaul::evidence
