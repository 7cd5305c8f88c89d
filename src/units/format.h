// units/format.h — prints quantities for people, always with the unit, and parses the sizes that people write.
//
// GB is 1e9 bytes, GiB is 2^30: the printed unit tells them apart. Three significant digits by default; format_count() prints all of them.
// Parsing accepts what formatting prints (and "1M", "1.5 GiB", "250k") and nothing else: it never rounds or ignores a part.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "units/units.h"

namespace longhaul {

enum class ByteUnits : std::uint8_t { si, binary };

/// "84.0 GB", "16.0 MiB", "512 B".
std::string format(Bytes bytes, ByteUnits units = ByteUnits::si);
/// "4.19 M tokens".
std::string format(Tokens tokens);
/// "124 M parameters".
std::string format(Params params);
/// "854 MFLOP"; beyond exa in powers of ten: "3.14e+23 FLOP".
std::string format(Flops flops);
/// "850 ms", "3.25 s", "3 min 20 s", "2 h 5 min", "14 d 3 h": two units above a minute.
std::string format(Seconds seconds);

/// Per second: "312 TFLOP/s", "12.3 k tokens/s", "204 GB/s".
std::string format_flops_rate(double flops_per_second);
std::string format_token_rate(double tokens_per_second);
std::string format_byte_rate(double bytes_per_second);
/// "124,439,808".
std::string format_count(std::int64_t count);

/// A whole number with an optional SI suffix: "1000", "1_000", "1,000", "250k", "1.5M", "2G", "2B" (billion), "1T". Nothing if it is not
/// one, is not whole or leaves 64 bits.
std::optional<std::int64_t> parse_count(std::string_view text);
/// Bytes with a unit: "512", "512 B", "16 MiB", "1.5GB". Nothing if it is not that.
std::optional<Bytes> parse_bytes(std::string_view text);

}  // namespace longhaul
