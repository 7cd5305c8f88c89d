// SentencePiece models from anyone: a tokenizer or a DataError, never a crash or memory beyond the file's measure.
// rooms: data
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "tokenizer/sentencepiece_model.h"
#include "tokenizer/tokenizer.h"
#include "units/error.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using longhaul::tokenizer::Tokenizer;
  const std::string contents(reinterpret_cast<const char*>(bytes), size);
  try {
    const Tokenizer tokenizer(longhaul::tokenizer::parse_sentencepiece_model(contents, "fuzzed"));
    const std::string text = " the  end's\n\xC3\xA9\xE2\x96\x81<0x0A>";
    const Tokenizer again = Tokenizer::parse(tokenizer.to_json(), "saved");
    if (again.fingerprint() != tokenizer.fingerprint()) std::abort();
    (void)tokenizer.decode(tokenizer.encode_ordinary(text));
  } catch (const longhaul::Error&) {
  }
  return 0;
}
