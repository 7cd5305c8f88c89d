// Tables of measured runs: any bytes are a table whose every cell can be read and whose rows describe runs, or are refused with a
// UsageError.
//
// Few inputs begin with a header that names the columns, so each is also tried below a right one: that reaches the rows.
// rooms: evidence
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "evidence/runs.h"
#include "units/error.h"

namespace {

void read(std::string_view text) {
  try {
    const longhaul::files::Csv csv = longhaul::files::Csv::parse(text, "fuzz.csv");
    for (std::size_t row = 0; row < csv.rows(); ++row)
      for (const std::string& column : csv.columns()) (void)csv.text(row, column);
    for (const longhaul::evidence::MeasuredRun& run : longhaul::evidence::read_runs(csv)) {
      if (run.row >= csv.rows()) std::abort();
      for (const auto& figure : {run.step_seconds, run.tokens_per_s, run.memory_bytes})
        if (figure && !(*figure > 0 && std::isfinite(*figure))) std::abort();
      if (run.skipped.empty() && (run.shape.micro_batches() < 1 || run.shape.layout.world() != run.shape.devices)) std::abort();
    }
  } catch (const longhaul::UsageError&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  read(text);
  std::string table =
      "id,family,layers,hidden,heads,kv_heads,ffn,vocab,seq_len,global_batch,micro_batch,dp,tp,pp,vpp,cp,zero_stage,recompute,precision,"
      "framework,gpu,num_gpus,status,step_time_s,tokens_per_s_per_gpu,peak_memory_gib\n";
  read(table.append(text));
  return 0;
}
