#include "units/format.h"

#include <fmt/format.h>

#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <span>
#include <utility>

namespace longhaul {

namespace {

/// Three significant digits without an exponent for 1 ≤ |x| < 1000 or so: "4.19", "41.9", "419".
std::string three_digits(double x) {
  const double size = std::abs(x);
  const int decimals = size < 9.995 ? 2 : size < 99.95 ? 1 : 0;
  return fmt::format("{:.{}f}", x, decimals);
}

/// x in the largest unit that leaves it at least 1; whole numbers below the first unit stay whole.
std::string scaled(double x, double base, std::span<const std::string_view> prefixes, std::string_view unit) {
  std::size_t step = 0;
  // 999.5 would print as 1000: it belongs to the next unit.
  while (std::abs(x) >= base * 0.9995 && step + 1 < prefixes.size()) x /= base, ++step;
  const bool whole = step == 0 && x == std::floor(x);
  return fmt::format("{} {}{}", whole ? fmt::format("{:.0f}", x) : three_digits(x), prefixes[step], unit);
}

constexpr std::array<std::string_view, 7> kSi = {"", "k", "M", "G", "T", "P", "E"};
constexpr std::array<std::string_view, 7> kBinary = {"", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"};
constexpr std::array<std::string_view, 5> kCount = {"", "k ", "M ", "B ", "T "};

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.front()))) text.remove_prefix(1);
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back()))) text.remove_suffix(1);
  return text;
}

struct Number {
  std::int64_t digits = 0;  ///< with the decimal point removed
  int decimals = 0;
  std::string_view suffix;
};

/// "1_000.25 GiB" → 100025, 2, "GiB". Decimal arithmetic, so that 0.1M is exactly 100,000.
std::optional<Number> split_number(std::string_view text) {
  text = trimmed(text);
  Number number;
  bool point = false, any = false;
  std::size_t i = 0;
  for (; i < text.size(); ++i) {
    const char c = text[i];
    if (c >= '0' && c <= '9') {
      if (number.digits > (INT64_MAX - 9) / 10) return std::nullopt;
      number.digits = number.digits * 10 + (c - '0');
      number.decimals += point;
      any = true;
    } else if (c == '.' && !point) {
      point = true;
    } else if ((c == '_' || c == ',') && any && !point) {
      continue;
    } else {
      break;
    }
  }
  if (!any) return std::nullopt;
  number.suffix = trimmed(text.substr(i));
  return number;
}

/// digits · factor / 10^decimals when that is a whole number inside 64 bits.
std::optional<std::int64_t> times(const Number& number, std::int64_t factor) {
  __extension__ typedef __int128 wide;  // the product of two 64-bit numbers
  wide value = static_cast<wide>(number.digits) * factor;
  for (int i = 0; i < number.decimals; ++i) {
    if (value % 10 != 0) return std::nullopt;
    value /= 10;
  }
  if (value > INT64_MAX) return std::nullopt;
  return static_cast<std::int64_t>(value);
}

constexpr std::int64_t kK = 1000, kM = kK * kK, kG = kM * kK, kT = kG * kK, kP = kT * kK;

}  // namespace

std::string format(Bytes bytes, ByteUnits units) {
  const double value = static_cast<double>(bytes.value);
  return units == ByteUnits::si ? scaled(value, 1000, kSi, "B") : scaled(value, 1024, kBinary, "B");
}

std::string format(Tokens tokens) { return scaled(static_cast<double>(tokens.value), 1000, kCount, "tokens"); }
std::string format(Params params) { return scaled(static_cast<double>(params.value), 1000, kCount, "parameters"); }

std::string format(Flops flops) {
  return flops.value < 1e21 ? scaled(flops.value, 1000, kSi, "FLOP") : fmt::format("{:.2e} FLOP", flops.value);
}

std::string format(Seconds seconds) {
  const double s = seconds.value;
  if (!std::isfinite(s) || s < 0) return fmt::format("{} s", s);
  if (s == 0) return "0 s";
  if (s < 0.9995e-3) return three_digits(s * 1e6) + " µs";
  if (s < 0.9995) return three_digits(s * 1e3) + " ms";
  if (s < 59.95) return three_digits(s) + " s";
  const std::int64_t whole = std::llround(s);
  if (whole < 3600) return fmt::format("{} min {} s", whole / 60, whole % 60);
  const std::int64_t minutes = std::llround(s / 60);
  if (minutes < 24 * 60) return fmt::format("{} h {} min", minutes / 60, minutes % 60);
  const std::int64_t hours = std::llround(s / 3600);
  return fmt::format("{} d {} h", hours / 24, hours % 24);
}

std::string format_flops_rate(double rate) { return scaled(rate, 1000, kSi, "FLOP/s"); }
std::string format_token_rate(double rate) { return scaled(rate, 1000, kCount, "tokens/s"); }
std::string format_byte_rate(double rate) { return scaled(rate, 1000, kSi, "B/s"); }

std::string format_count(std::int64_t count) {
  std::string digits = std::to_string(count);
  const std::ptrdiff_t first = count < 0 ? 1 : 0;
  for (std::ptrdiff_t i = std::ssize(digits) - 3; i > first; i -= 3) digits.insert(static_cast<std::size_t>(i), 1, ',');
  return digits;
}

std::optional<std::int64_t> parse_count(std::string_view text) {
  const auto number = split_number(text);
  if (!number) return std::nullopt;
  const std::string_view suffix = number->suffix;
  if (suffix.empty()) return times(*number, 1);
  if (suffix == "k" || suffix == "K") return times(*number, kK);
  if (suffix == "M") return times(*number, kM);
  if (suffix == "G" || suffix == "B") return times(*number, kG);
  if (suffix == "T") return times(*number, kT);
  return std::nullopt;
}

std::optional<Bytes> parse_bytes(std::string_view text) {
  const auto number = split_number(text);
  if (!number) return std::nullopt;
  static constexpr std::pair<std::string_view, std::int64_t> kUnits[] = {
      {"", 1},    {"B", 1},           {"kB", kK},         {"MB", kM},         {"GB", kG},         {"TB", kT},
      {"PB", kP}, {"KiB", 1LL << 10}, {"MiB", 1LL << 20}, {"GiB", 1LL << 30}, {"TiB", 1LL << 40}, {"PiB", 1LL << 50}};
  for (const auto& [unit, factor] : kUnits) {
    if (number->suffix != unit) continue;
    const auto value = times(*number, factor);
    if (value) return Bytes(*value);
  }
  return std::nullopt;
}

}  // namespace longhaul
