// data/pattern.h — the regular expressions that cut text into pieces before byte-pair encoding, by name (data/pretokenizer.h).
#pragma once

#include <cstdint>

namespace longhaul::data {

/// Which expression cuts the text. A vocabulary belongs to exactly one.
enum class Pattern : std::uint8_t { gpt2, cl100k_base };

}  // namespace longhaul::data
