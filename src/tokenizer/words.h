// tokenizer/words.h — words of a text, as perplexity per word and fertility count them.
#pragma once

#include <cstdint>
#include <string_view>

namespace longhaul::tokenizer {

/// Words of valid UTF-8: maximal runs of characters that are not White_Space (Unicode 16.0).
std::int64_t count_words(std::string_view text);

}  // namespace longhaul::tokenizer
