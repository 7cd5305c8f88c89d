// Vocabulary files from anyone: a tokenizer or a DataError, never a crash, endless work or memory beyond the file's measure.
// rooms: data
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#include "tokenizer/tokenizer.h"
#include "units/error.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using longhaul::tokenizer::Tokenizer;
  const std::string contents(reinterpret_cast<const char*>(bytes), size);
  try {
    const Tokenizer tokenizer =
        Tokenizer::parse(contents, "fuzzed", contents.starts_with('{') ? std::nullopt : std::optional(longhaul::tokenizer::Pattern::gpt2));
    // What loads must work, and the saved form must mean the same. (A file may normalise, or drop what an expression does not match, so
    // text need not come back.)
    const std::string text = "the  end's 123 \n\n\xC3\xA9\x65\xCC\x81 \xE2\x96\x81<0x0A>\xE6\xBC\xA2";
    const Tokenizer again = Tokenizer::parse(tokenizer.to_json(), "saved");
    if (again.fingerprint() != tokenizer.fingerprint()) std::abort();
    const std::vector<std::int32_t> ids = tokenizer.encode_ordinary(text);
    if (again.encode_ordinary(text) != ids) std::abort();
    (void)tokenizer.decode(ids);
  } catch (const longhaul::Error&) {
  }
  return 0;
}
