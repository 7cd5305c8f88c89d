// The rows of the option table for [run]. Columns: config/options.h.
#include "config/option_rows.h"

namespace longhaul::config {

std::span<const Option> run_options() {
  static constexpr Option kRows[] = {
      {"run", "directory", Kind::path, "", "run", "", "", kNone, kNone, kNoBits, "Where the run keeps its ledger, checkpoints and report.",
       [](RunConfig& c) { return Field(&c.run.directory); }},
      {"run", "seed", Kind::integer, "", "0", "", "", 0, 9e18, kReachesBits,
       "Key of all random numbers: initial weights, order of the data.", [](RunConfig& c) { return Field(&c.run.seed); }},
      {"run", "steps", Kind::integer, "steps", "", "tokens divided by tokens per step, rounded up", "", 1, kLargest, kReachesBits,
       "Length of the run in optimizer steps. Give this or tokens.", [](RunConfig& c) { return Field(&c.run.steps); }},
      {"run", "tokens", Kind::integer, "tokens", "", "0: steps were given", "", 0, kLargest, kNoBits,
       "Length of the run in tokens (\"100M\" works too). Give this or steps.", [](RunConfig& c) { return Field(&c.run.tokens); }},
      {"run", "threads", Kind::integer, "threads", "0", "", "", 0, 4096, kNoBits,
       "Threads that compute; 0 = one for each processor this process may use.", [](RunConfig& c) { return Field(&c.run.threads); }},
      {"run", "family", Kind::choice, "", "auto", "", "auto|avx2|avx512|avx512_bf16", kNone, kNone, kNoBits,
       "Instruction set of the kernels; auto = the fastest here. All give the same bits.",
       [](RunConfig& c) { return Field(&c.run.family); }},
      {"run", "overfit_one_batch", Kind::boolean, "", "false", "", "", kNone, kNone, kReachesBits,
       "Every step reads the first batch: a model that works drives its loss to 0.",
       [](RunConfig& c) { return Field(&c.run.overfit_one_batch); }},
  };
  return kRows;
}

}  // namespace longhaul::config
