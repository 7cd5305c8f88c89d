// Vocabulary files from anyone: a tokenizer or a DataError, never a crash, endless work or memory beyond the file's measure.
// rooms: data
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "data/tokenizer.h"
#include "units/error.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using longhaul::data::Tokenizer;
  const std::string contents(reinterpret_cast<const char*>(bytes), size);
  try {
    const Tokenizer tokenizer = Tokenizer::parse(contents, "fuzzed", longhaul::data::Pattern::gpt2);
    // What loads must work: text comes back, and the saved form means the same.
    if (tokenizer.decode(tokenizer.encode_ordinary("the end \n\xC3\xA9")) != "the end \n\xC3\xA9") std::abort();
    if (Tokenizer::parse(tokenizer.to_json(), "saved").fingerprint() != tokenizer.fingerprint()) std::abort();
  } catch (const longhaul::Error&) {
  }
  return 0;
}
