// ingest/json_fault.h — what is wrong with a row that is no JSON document, in the words of its writer's mistake rather than a
// parser's: cut off, spread over several lines, several documents on one, half of a surrogate pair …
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace longhaul::ingest {

struct JsonFault {
  std::string reason;      ///< a few words, the same for all rows with this fault: what counts are kept under
  std::string what;        ///< a sentence without the place
  std::size_t offset = 0;  ///< of the byte that is wrong
};

/// The first fault of `row`, which the JSON parser has refused. Reads each byte once.
JsonFault find_json_fault(std::string_view row);

/// `row` with each escaped half of a surrogate pair replaced by U+FFFD; everything else as it was.
std::string replace_lone_surrogates(std::string_view row);

inline constexpr std::string_view kLoneSurrogate = "lone surrogate";
inline constexpr std::string_view kTruncatedRow = "cut off";

}  // namespace longhaul::ingest
