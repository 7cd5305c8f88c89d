// The whole run: tokens, time, money, checkpoints and failures; ranks, and how many devices it takes at least.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "plan/devices_needed.h"
#include "plan/explain/lines.h"
#include "units/format.h"

namespace longhaul::plan {
namespace {

void derive_ranks(const OnCluster& given, Derivation& out) {
  const program::Layout& l = given.run().layout;
  out.let("dp", l.dp, Unit::number, "data-parallel ranks")
      .let("tp", l.tp, Unit::number, "tensor-parallel ranks")
      .let("pp", l.pp, Unit::number, "pipeline ranks")
      .let("cp", l.cp, Unit::number, "context-parallel ranks")
      .is("dp · tp · pp · cp")
      .note("expert parallelism folds into dp·cp·tp: it does not multiply the ranks (accounting C1)");
}

void derive_tokens_per_step(const OnCluster& given, Derivation& out) {
  const cost::RunShape& run = given.run();
  out.let("micro_batch", real(run.micro_batch), Unit::number, "sequences")
      .let("sequence_length", real(run.sequence_length), Unit::tokens, "of a sequence")
      .let("dp", run.layout.dp, Unit::number, "data-parallel ranks")
      .let("accumulation", run.micro_batches(), Unit::number, "micro-batches of a rank in a step")
      .is("micro_batch · sequence_length · dp · accumulation")
      .note("every position counts, masked or not; tp, pp and cp do not multiply it");
}

void derive_run_flops(const OnCluster& given, Derivation& out) {
  out.let("flops_per_token", given.plan.flops_per_token.value, Unit::flops, "flops.per_token")
      .let("tokens", real(given.plan.facts.tokens.value), Unit::tokens, "of the run")
      .is("flops_per_token · tokens")
      .note(fmt::format("6·N·D alone would say {}",
                        format(6 * real(given.plan.parameters.active.value) * real(given.plan.facts.tokens.value), Unit::flops)));
}

void derive_time(const OnCluster& given, Derivation& out) {
  out.let("tokens", real(given.plan.facts.tokens.value), Unit::tokens, "of the run")
      .let("tokens_per_s", given.plan.tokens_per_second(), Unit::tokens_per_second, "step.tokens_per_s")
      .is("tokens ÷ tokens_per_s")
      .note("without saves, validation and failures: goodput has their share");
}

void derive_device_hours(const OnCluster& given, Derivation& out) {
  out.let("seconds", given.plan.run().value, Unit::seconds, "run.time")
      .let("devices", given.run().devices, Unit::number, "ranks")
      .is("seconds ÷ 3600 · devices");
}

void derive_money(const OnCluster& given, Derivation& out) {
  out.let("device_hours", given.plan.device_hours(), Unit::number, "run.device_hours")
      .let("price", *given.plan.facts.device_hours_price, Unit::dollars, "a device-hour (--price)")
      .is("device_hours · price");
  if (given.plan.goodput)
    out.note(
        fmt::format("with saves and failures {}: divided by the useful share, {}",
                    format(given.plan.device_hours() * *given.plan.facts.device_hours_price / given.plan.goodput->useful, Unit::dollars),
                    format(given.plan.goodput->useful, Unit::share)));
}

void derive_tokens_per_parameter(const OnCluster& given, Derivation& out) {
  const double tokens = real(given.plan.facts.tokens.value), work = 6 * real(given.plan.parameters.active.value) * tokens;
  out.let("tokens", tokens, Unit::tokens, "of the run")
      .let("parameters", real(given.plan.parameters.active.value), Unit::parameters, "parameters.active")
      .is("tokens ÷ parameters")
      .note(fmt::format("training alone is cheapest at about 20 (Hoffmann et al. 2022): with this run's {} that is {} and {}; a model that "
                        "will serve many tokens is better smaller and trained longer (accounting D5, D7)",
                        format(work, Unit::flops), format(Params(std::llround(std::sqrt(work / 120)))),
                        format(Tokens(std::llround(20 * std::sqrt(work / 120))))))
      .note(
          "the often-copied N = 0.7·√C, D = 1.4·√C is wrong twice: 6·N·D is 5.88·C, so it overspends, and its 2 tokens a parameter are ten "
          "times too few: never plan by it (accounting D6)");
}

void derive_epochs(const OnCluster& given, Derivation& out) {
  out.let("tokens", real(given.plan.facts.tokens.value), Unit::tokens, "of the run")
      .let("unique", real(given.plan.facts.unique_tokens->value), Unit::tokens, "of the data")
      .is("tokens ÷ unique")
      .note(fmt::format("up to {:.0f} a repeated token teaches nearly as much as a new one", cost::kManyEpochs));
}

void derive_checkpoint(const OnCluster& given, Derivation& out) {
  out.let("parameters", real(given.plan.parameters.total.value), Unit::parameters, "parameters.total")
      .is("(2 + 4 + 8) · parameters")
      .note("16-bit weights 2, fp32 master weights 4, two moments 8 bytes a parameter (BLOOM's format); gradients are not saved");
}

void let_failures(const OnCluster& given, Derivation& out) {
  out.let("save", given.plan.facts.save->value, Unit::seconds, "a checkpoint stops the run (--save-seconds)")
      .let("mtbf", given.plan.facts.mtbf->value, Unit::seconds, "mean time between failures of the whole job (--mtbf-hours)");
}

void derive_interval(const OnCluster& given, Derivation& out) {
  let_failures(given, out);
  const Seconds save = *given.plan.facts.save, mtbf = *given.plan.facts.mtbf;
  if (save.value < 2 * mtbf.value)
    out.is("sqrt(2 · save · mtbf) · (1 + sqrt(save ÷ (2 · mtbf)) ÷ 3 + save ÷ (18 · mtbf)) − save");
  else
    out.is("mtbf");
  out.note(fmt::format("Young's first-order √(2·save·mtbf) says {}; a job's mtbf is a device's divided by the number of devices",
                       format(cost::young_interval(save, mtbf).value, Unit::seconds)));
}

void derive_overhead(const OnCluster& given, Derivation& out) {
  out.let("save", given.plan.facts.save->value, Unit::seconds, "a checkpoint stops the run")
      .let("every", given.plan.save_every->value, Unit::seconds, "of steps between saves (checkpoint.interval)")
      .is("save ÷ (every + save)");
}

void derive_goodput(const OnCluster& given, Derivation& out) {
  let_failures(given, out);
  const cost::Goodput& g = *given.plan.goodput;
  out.let("restart", given.plan.facts.restart.value, Unit::seconds, "from a failure to the next step")
      .let("every", given.plan.save_every->value, Unit::seconds, "checkpoint.interval")
      .define("period", "every + save", Unit::seconds, "of work and its save")
      .define("wall", "mtbf · exp(restart ÷ mtbf) · (exp(period ÷ mtbf) − 1)", Unit::seconds, "a period takes on average, with failures")
      .is("every ÷ wall")
      .note(fmt::format("the rest: {} saving, {} lost work, {} restarting; the four add up", format(g.saving, Unit::share),
                        format(g.lost, Unit::share), format(g.restarting, Unit::share)));
}

std::optional<DevicesNeeded> needed(const OnCluster& given) {
  const auto& memory = given.plan.cluster.accelerator.memory;
  return memory ? devices_needed(given.run(), given.calibration, real(memory->value)) : std::nullopt;
}

void derive_devices_needed(const OnCluster& given, Derivation& out) {
  const DevicesNeeded found = *needed(given);
  const double device = real(given.plan.cluster.accelerator.memory->value);
  out.let("found", found.devices, Unit::number, fmt::format("fewest devices on which a layout fits: {}", to_text(found.layout)))
      .let("at_least", least_devices(given.run(), given.calibration, device), Unit::number,
           "devices that weights, gradients and optimizer fill alone, all of them sharded")
      .is("max(found, at_least)");
  out.note(fmt::format("its fullest rank needs {} of {}; micro_batch = {} and global_batch = {} were kept",
                       format(found.fit.needed, Unit::bytes), format(found.fit.available, Unit::bytes), given.run().micro_batch,
                       given.run().global_batch));
  out.note(fmt::format(
      "there is no shortcut: \"batch · seq · params · 0.5 GB\" of activations says {:.0f} GB for one micro-batch here, as it says 28,672 "
      "GB for 7 B "
      "at 4 × 2,048: wrong by orders of magnitude, since activations grow with the hidden size times the layers (accounting D9)",
      real(given.run().micro_batch * given.run().sequence_length) * real(given.plan.parameters.total.value) / 1e9 * 0.5));
}

}  // namespace

std::vector<ForecastLine> run_lines() {
  using enum LeverKind;
  const std::string failures = "give --mtbf-hours and --save-seconds";
  const std::vector<LeverKind> speed{tensor, pipeline, micro_batch, recompute, devices};
  const auto optional = [](const std::optional<Seconds>& value) { return value ? std::optional(value->value) : std::nullopt; };
  return {
      {"ranks",
       "ranks of the layout",
       Unit::number,
       "/cluster/devices",
       "accounting C1",
       [](const OnCluster& g) { return static_cast<double>(g.run().layout.world()); },
       derive_ranks,
       {},
       ""},
      {"tokens_per_step",
       "tokens of an optimizer step",
       Unit::tokens,
       "/tokens/per_step",
       "accounting A5, G",
       [](const OnCluster& g) { return real(g.run().tokens_per_step()); },
       derive_tokens_per_step,
       {global_batch, sequence_length},
       ""},
      {"run.flops",
       "work of the whole run",
       Unit::flops,
       "/flops/run",
       "accounting D1",
       [](const OnCluster& g) { return g.plan.flops_per_token.value * real(g.plan.facts.tokens.value); },
       derive_run_flops,
       {tokens, sequence_length},
       ""},
      {"run.tokens_per_parameter",
       "how long the model is trained for its size",
       Unit::number,
       "",
       "Hoffmann et al. 2022; accounting D5–D7",
       [](const OnCluster& g) { return real(g.plan.facts.tokens.value) / real(g.plan.parameters.active.value); },
       derive_tokens_per_parameter,
       {tokens},
       ""},
      {"run.epochs",
       "times that the run reads its data",
       Unit::number,
       "/run/epochs",
       "Muennighoff et al. 2023; accounting E1",
       [](const OnCluster& g) {
         const JobFacts& facts = g.plan.facts;
         return facts.unique_tokens ? std::optional(cost::epochs(facts.tokens, *facts.unique_tokens)) : std::nullopt;
       },
       derive_epochs,
       {tokens},
       "give --unique-tokens, or a run file with a prepared dataset"},
      {"run.time", "time of the run", Unit::seconds, "/run/seconds", "accounting D8", [](const OnCluster& g) { return g.plan.run().value; },
       derive_time, speed, ""},
      {"run.device_hours", "device-hours of the run", Unit::number, "/run/device_hours", "accounting D8",
       [](const OnCluster& g) { return g.plan.device_hours(); }, derive_device_hours, speed, ""},
      {"run.money",
       "what the device-hours cost",
       Unit::dollars,
       "/run/dollars",
       "accounting D8",
       [](const OnCluster& g) {
         return g.plan.facts.device_hours_price
                    ? std::optional(cost::dollars(Seconds(g.plan.device_hours() * 3600), *g.plan.facts.device_hours_price))
                    : std::nullopt;
       },
       derive_money,
       {price, tokens, tensor, pipeline, micro_batch, recompute, devices},
       "give --price"},
      {"checkpoint.bytes",
       "size of a checkpoint",
       Unit::bytes,
       "/checkpoint/bytes",
       "BigScience, tr11-176B (14 bytes a parameter)",
       [](const OnCluster& g) { return real(g.plan.checkpoint.value); },
       derive_checkpoint,
       {},
       ""},
      {"checkpoint.interval",
       "best time between saves",
       Unit::seconds,
       "/checkpoint/save_every_seconds",
       "Daly 2006 eq. 37; accounting F2",
       [optional](const OnCluster& g) { return optional(g.plan.save_every); },
       derive_interval,
       {mtbf, save},
       failures},
      {"checkpoint.overhead",
       "share of the time that saves take, without failures",
       Unit::share,
       "",
       "accounting F1",
       [](const OnCluster& g) {
         const cost::StepEstimate& step = g.plan.step;
         return g.plan.save_every ? std::optional(cost::checkpoint_overhead(Seconds(step.seconds), *g.plan.facts.save,
                                                                            g.plan.save_every->value / step.seconds))
                                  : std::nullopt;
       },
       derive_overhead,
       {mtbf, save},
       failures},
      {"goodput",
       "share of the wall time that goes into steps that stay",
       Unit::share,
       "/goodput/useful",
       "Daly 2006 eq. 20; accounting F3",
       [](const OnCluster& g) { return g.plan.goodput ? std::optional(g.plan.goodput->useful) : std::nullopt; },
       derive_goodput,
       {mtbf, save},
       failures},
      {"devices_needed",
       "fewest devices that hold the run",
       Unit::number,
       "",
       "accounting D9: the memory model, layout by layout",
       [](const OnCluster& g) {
         const auto found = needed(g);
         return found ? std::optional<double>(found->devices) : std::nullopt;
       },
       derive_devices_needed,
       {micro_batch, sequence_length},
       "no layout fits on up to 65,536 devices, or the catalogue has no memory of this device; a smaller batch.micro_batch or "
       "batch.sequence_length needs less"},
  };
}

}  // namespace longhaul::plan
