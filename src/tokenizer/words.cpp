#include "tokenizer/words.h"

#include "tokenizer/unicode_tables.h"
#include "units/utf8.h"

namespace longhaul::tokenizer {

std::int64_t count_words(std::string_view text) {
  std::int64_t words = 0;
  bool inside = false;
  for (std::size_t at = 0; at < text.size();) {
    const bool space = class_of(next_code_point(text, at)) == CharClass::space;
    words += inside && space;
    inside = !space;
  }
  return words + inside;
}

}  // namespace longhaul::tokenizer
