// longhaul audit-claim: a published training speed, judged.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "cluster_arguments.h"
#include "command_line.h"
#include "config/resolve.h"
#include "console.h"
#include "evidence/claim.h"
#include "units/error.h"
#include "units/nearest.h"
#include "verbs.h"

namespace longhaul::app {
namespace {

struct ClaimArguments {
  std::string model, hardware, precision = "bf16", recompute = "none", convention, tokens;
  std::int64_t sequence = 0;
  double tokens_per_second = 0, tflops = 0, device_hours = 0, step_time = 0, global_batch = 0;
  bool per_device = false, json = false;
};

model::Convention convention_of(const std::string& text) {
  if (text.empty()) return model::Convention::standard;
  std::vector<std::string_view> names;
  for (const model::Convention each : model::all_conventions()) {
    if (name(each) == text) return each;
    names.push_back(name(each));
  }
  throw UsageError(fmt::format("--convention '{}': allowed are {}; nearest: {}", text, fmt::join(names, ", "), nearest(text, names)));
}

/// The one kind of number that was given.
void read_number(const ClaimArguments& a, evidence::Claim& claim) {
  using evidence::ClaimKind;
  const int given = (a.tokens_per_second > 0) + (a.tflops > 0) + (a.device_hours > 0) + (a.step_time > 0);
  if (given != 1)
    throw UsageError(
        fmt::format("{} of --tokens-per-second, --tflops, --device-hours and --step-time are given; a claim is one of them", given));
  if (a.tokens_per_second > 0) {
    claim.kind = a.per_device ? ClaimKind::tokens_per_second_per_device : ClaimKind::tokens_per_second;
    claim.number = a.tokens_per_second;
  } else if (a.tflops > 0) {
    claim.kind = ClaimKind::flops_per_device, claim.number = a.tflops * 1e12;
    claim.convention = convention_of(a.convention);
  } else if (a.device_hours > 0) {
    claim.kind = ClaimKind::device_hours, claim.number = a.device_hours;
    claim.tokens = static_cast<double>(tokens_of("--tokens", a.tokens).value);
  } else {
    claim.kind = ClaimKind::step, claim.number = a.step_time, claim.global_batch = a.global_batch;
  }
}

void declare(CommandLine& line, ClaimArguments& a) {
  line.option("--model", a.model, "NAME of examples/models, a model's file, or a Hugging Face config.json").required();
  line.option("--hardware", a.hardware, "NAME or NAMExDEVICES of the catalogue (`longhaul cluster list`)").required();
  line.option("--precision", a.precision, "bf16 (default), fp16, fp8: of the matrix products, decides the peak")
      .one_of({"bf16", "fp16", "fp8"});
  line.option("--recompute", a.recompute, "none (default) or layer: whether the layers' forward pass is run again; for HFU")
      .one_of({"none", "layer"});
  line.option("--sequence", a.sequence, "tokens of a sequence (default: the model's, at most 4096)").between(1, model::kLargestSize);
  const auto number = [&](const char* name, double& value, const char* help) { return line.option(name, value, help).between(1e-6, 1e18); };
  const Option rate = number("--tokens-per-second", a.tokens_per_second, "tokens/s of all devices");
  line.flag("--per-device", a.per_device, "--tokens-per-second is of one device").needs(rate);
  const Option tflops = number("--tflops", a.tflops, "10^12 FLOP/s of one device");
  line.option("--convention", a.convention, "how --tflops counts: standard (default), exact, causal_halved, six_n, palm …")
      .not_empty()
      .needs(tflops);
  const Option hours = number("--device-hours", a.device_hours, "device-hours of a run of --tokens");
  const Option tokens = line.option("--tokens", a.tokens, "of the run: 300B, 1.4T").not_empty().needs(hours);
  hours.needs(tokens);
  const Option step = number("--step-time", a.step_time, "seconds of a step of --global-batch");
  const Option batch = number("--global-batch", a.global_batch, "sequences of a step").needs(step);
  step.needs(batch);
  line.flag("--json", a.json, "one JSON document on stdout");
}

}  // namespace

int verb_audit_claim(int argc, char** argv) {
  CommandLine line(
      "longhaul audit-claim",
      "A claimed training speed, judged: MFU by each published FLOP convention, what published runs on such hardware reached,\n"
      "and, where the claim is not plausible, which other reading of the same number would be.\n"
      "Example: longhaul audit-claim --model llama-3-8b --hardware h100x64 --sequence 8192 --tflops 780\n"
      "         longhaul audit-claim --model llama-65b --hardware a100x2048 --sequence 2048 --device-hours 1022362 --tokens 1.4T");
  ClaimArguments arguments;
  declare(line, arguments);
  if (const std::optional<int> code = line.parse(argc, argv)) return *code;

  evidence::Claim claim;
  std::vector<std::string> sets;
  if (arguments.sequence > 0) sets.push_back(fmt::format("batch.sequence_length={}", arguments.sequence));
  const config::ResolvedConfig resolved = config::resolve_model(arguments.model, sets);
  for (const std::string& warning : resolved.warnings) fmt::print(stderr, "warning: {}\n", warning);
  claim.model = resolved.config.model;
  claim.sequence_length = resolved.config.batch.sequence_length;
  claim.on = cluster::find_cluster(arguments.hardware);
  claim.precision = arguments.precision;
  claim.recompute = arguments.recompute == "layer" ? program::Recompute::layer : program::Recompute::none;
  read_number(arguments, claim);
  const evidence::ClaimAudit audit = evidence::audit(claim, evidence::shipped_published());
  if (arguments.json)
    print_json(to_json(audit));
  else
    fmt::print("{}", to_text(audit));
  return 0;
}

}  // namespace longhaul::app
