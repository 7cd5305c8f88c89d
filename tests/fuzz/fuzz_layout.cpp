// Layouts as a user writes them: any text either parses, and then its printed form reads back to the same layout and its contradictions
// with a model can be told, or is refused with a UsageError.
// rooms: program
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "program/layout.h"
#include "units/error.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace longhaul;
  static const model::ModelSpec spec = model::with_usual_values({.layers = 32, .width = 4096, .heads = 32, .kv_heads = 8, .vocab = 32000});
  try {
    const program::Layout layout = program::parse_layout({reinterpret_cast<const char*>(data), size});
    if (program::parse_layout(program::to_text(layout)) != layout) std::abort();
    for (const int micro_batches : {0, 1, 48}) (void)program::contradictions(spec, layout, 4096, micro_batches);
  } catch (const UsageError&) {
  }
  return 0;
}
