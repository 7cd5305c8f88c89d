// One rank of this machine (plan/account.h): memory by the program's buffers, time by measured rates.
#include <fmt/format.h>

#include <string_view>

#include "plan/explain/lines.h"

namespace longhaul::plan {
namespace {

using program::MemoryLine;

double line_of(const Account& account, MemoryLine line) { return real(account.memory->by_line[static_cast<std::size_t>(line)].value); }

/// What changes a line of the memory, and which way.
std::string_view lever_of(MemoryLine line) {
  switch (line) {
    case MemoryLine::gradients:
      return "batch.virtual_ranks = 1 keeps one accumulator, more ranks of the order up to log₂V + 1";
    case MemoryLine::average:
      return "optimizer.ema_beta = 0 keeps no average";
    case MemoryLine::operand_copies:
      return "precision fp32 keeps none";
    case MemoryLine::activations:
      return "parallel.recompute = \"layer\" keeps a layer's input alone; halving batch.micro_batch halves it";
    case MemoryLine::activation_gradients:
      return "halving batch.micro_batch halves it";
    case MemoryLine::logits:
      return "one block of tokens at a time: the vocabulary, not the batch, sets it (accounting B5)";
    case MemoryLine::workspace:
      return "run.threads and batch.sequence_length";
    case MemoryLine::gathered_weights:
    case MemoryLine::communication:
      return "one rank has none";
    case MemoryLine::weights:
    case MemoryLine::moments:
      return "parameters alone: the model's width and layers";
  }
  return "";
}

void derive_line(const OnMachine& given, Derivation& out, MemoryLine line) {
  const double value = line_of(given.plan, line);
  const double elements = real(model::ParamTable(given.config.model).padded_count());
  if (line == MemoryLine::weights || line == MemoryLine::moments)
    out.let("elements", elements, Unit::number, "fp32, of the flat buffer, in which tensors begin at multiples of 16")
        .let("buffers", line == MemoryLine::moments ? 2 : 1, Unit::number,
             line == MemoryLine::moments ? "AdamW's m and v" : "master weights")
        .is("4 · elements · buffers");
  else
    out.let("live", value, Unit::bytes,
            fmt::format("this line's buffers that live at {}: docs/program.md, Buffers", given.plan.memory->peak_operation))
        .is("live");
  out.note(std::string(lever_of(line)));
}

Line<OnMachine> memory_line(MemoryLine line) {
  const std::string name(program::name(line));
  return {"memory." + name,
          fmt::format("{} at the peak", name),
          Unit::bytes,
          fmt::format("/memory/lines_at_peak/{}_bytes", name),
          "lifetimes of the step's buffers (program/program.h); accounting B1, B5",
          [line](const OnMachine& g) { return line_of(g.plan, line); },
          [line](const OnMachine& g, Derivation& out) { derive_line(g, out, line); },
          {},
          ""};
}

void derive_arena_peak(const OnMachine& given, Derivation& out) {
  const MemoryAccount& m = *given.plan.memory;
  out.let("arena", real(m.arena.value), Unit::bytes,
          fmt::format("one allocation; {} of it live at {}", format(real(m.live_peak.value), Unit::bytes), m.peak_operation))
      .let("panels", real(m.outside.gemm_panels.value), Unit::bytes, "packing buffers of the GEMM, all threads")
      .let("batches", real(m.outside.batches.value), Unit::bytes, "in work and prefetched")
      .let("tables", real(m.outside.rotation_tables.value), Unit::bytes, "of rotary positions")
      .is("arena + panels + batches + tables")
      .note("the arena is packed from lifetimes: its peak is one moment's, not a sum of maxima (accounting B8)");
}

void derive_machine_step(const OnMachine& given, Derivation& out) {
  const TimeAccount& t = *given.plan.time;
  out.let("gemm", t.gemm.value, Unit::seconds, "matrix products, at rates measured at their shapes")
      .let("attention", t.attention.value, Unit::seconds, "at its own rate")
      .let("loss", t.loss.value, Unit::seconds, "head, cross-entropy and both gradients, by blocks of tokens")
      .let("memory_bound", t.memory_bound.value, Unit::seconds,
           "norms, rotations, activations, sums, the update: kernels that wait for memory")
      .is("gemm + attention + loss + memory_bound")
      .note(fmt::format("rates {}", t.rates));
}

void derive_machine_mfu(const OnMachine& given, Derivation& out) {
  out.let("flops_per_token", given.plan.flops_per_token.value, Unit::flops, "flops.per_token")
      .let("tokens_per_s", given.plan.tokens_per_second(), Unit::tokens_per_second, "tokens_per_step ÷ step.seconds")
      .let("peak", given.plan.time->peak_flops, Unit::flops_per_second, "register-only multiply-adds, measured")
      .is("flops_per_token · tokens_per_s ÷ peak");
}

void derive_machine_tokens_per_step(const OnMachine& given, Derivation& out) {
  out.let("global_batch", real(given.config.batch.global_batch), Unit::number, "sequences")
      .let("sequence_length", real(given.config.batch.sequence_length), Unit::tokens, "of a sequence")
      .is("global_batch · sequence_length");
}

void derive_run(const OnMachine& given, Derivation& out) {
  out.let("step", given.plan.time->step().value, Unit::seconds, "step.seconds")
      .let("steps", real(given.plan.steps), Unit::number, "of the run")
      .is("step · steps")
      .note("without validation and saves");
}

}  // namespace

std::vector<Line<OnMachine>> account_lines(const Account& account) {
  std::vector<Line<OnMachine>> out;
  out.push_back({"tokens_per_step",
                 "tokens of an optimizer step",
                 Unit::tokens,
                 "/tokens/per_step",
                 "accounting A5, G",
                 [](const OnMachine& g) { return real(g.plan.tokens_per_step.value); },
                 derive_machine_tokens_per_step,
                 {},
                 ""});
  if (account.memory) {
    for (int i = 0; i < program::kMemoryLines; ++i) out.push_back(memory_line(static_cast<MemoryLine>(i)));
    out.push_back({"memory.peak",
                   "peak memory of the rank",
                   Unit::bytes,
                   "/memory/peak_bytes_per_rank",
                   "accounting B8, G",
                   [](const OnMachine& g) { return real(g.plan.memory->peak_per_rank().value); },
                   derive_arena_peak,
                   {},
                   ""});
  }
  if (!account.time) return out;
  out.push_back({"step.seconds",
                 "one optimizer step",
                 Unit::seconds,
                 "/step/seconds",
                 "accounting F6",
                 [](const OnMachine& g) { return g.plan.time->step().value; },
                 derive_machine_step,
                 {},
                 ""});
  out.push_back({"mfu",
                 "model FLOPs utilisation",
                 Unit::share,
                 "/step/mfu",
                 "accounting D2",
                 [](const OnMachine& g) { return g.plan.mfu(); },
                 derive_machine_mfu,
                 {},
                 ""});
  out.push_back({"run.time",
                 "time of the run",
                 Unit::seconds,
                 "/run/seconds",
                 "accounting D8",
                 [](const OnMachine& g) { return g.plan.run().value; },
                 derive_run,
                 {},
                 ""});
  return out;
}

}  // namespace longhaul::plan
