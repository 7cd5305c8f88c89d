#include "units/format.h"

#include <gtest/gtest.h>

namespace longhaul {
namespace {

TEST(Format, BytesNameTheirConvention) {
  EXPECT_EQ(format(Bytes(84'000'000'000)), "84.0 GB");
  EXPECT_EQ(format(Bytes(std::int64_t{84} << 30), ByteUnits::binary), "84.0 GiB");
  EXPECT_EQ(format(Bytes(512)), "512 B");
  EXPECT_EQ(format(Bytes(0)), "0 B");
  EXPECT_EQ(format(Bytes(999'999)), "1.00 MB") << "never 1000 kB";
}

TEST(Format, CountsKeepThreeDigits) {
  EXPECT_EQ(format(Tokens(4'194'304)), "4.19 M tokens");
  EXPECT_EQ(format(Tokens(999)), "999 tokens");
  EXPECT_EQ(format(Params(124'439'808)), "124 M parameters");
  EXPECT_EQ(format(Params(174'604'259'328)), "175 B parameters");
  EXPECT_EQ(format_count(124'439'808), "124,439,808");
  EXPECT_EQ(format_count(-1234), "-1,234");
  EXPECT_EQ(format_count(100), "100");
}

TEST(Format, FlopsAndRates) {
  EXPECT_EQ(format(Flops(854'438'400)), "854 MFLOP");
  EXPECT_EQ(format(Flops(3.143e23)), "3.14e+23 FLOP");
  EXPECT_EQ(format_flops_rate(312e12), "312 TFLOP/s");
  EXPECT_EQ(format_token_rate(12'345), "12.3 k tokens/s");
  EXPECT_EQ(format_byte_rate(204.2e9), "204 GB/s");
}

TEST(Format, SecondsAsPeopleSayThem) {
  EXPECT_EQ(format(Seconds(0.00025)), "250 µs");
  EXPECT_EQ(format(Seconds(0.85)), "850 ms");
  EXPECT_EQ(format(Seconds(3.25)), "3.25 s");
  EXPECT_EQ(format(Seconds(59.99)), "1 min 0 s");
  EXPECT_EQ(format(Seconds(200)), "3 min 20 s");
  EXPECT_EQ(format(Seconds(2 * 3600 + 5 * 60 + 4)), "2 h 5 min");
  EXPECT_EQ(format(Seconds(3599.7)), "1 h 0 min");
  EXPECT_EQ(format(Seconds(14 * 86400 + 3 * 3600)), "14 d 3 h");
}

TEST(Parse, CountsAreExactOrNothing) {
  EXPECT_EQ(parse_count("1000"), 1000);
  EXPECT_EQ(parse_count(" 1_000 "), 1000);
  EXPECT_EQ(parse_count("1,000"), 1000);
  EXPECT_EQ(parse_count("250k"), 250'000);
  EXPECT_EQ(parse_count("0.1M"), 100'000);
  EXPECT_EQ(parse_count("2B"), 2'000'000'000);
  EXPECT_EQ(parse_count("1.5 T"), 1'500'000'000'000);
  for (const char* bad : {"", "k", "1.5", "0.0001k", "-1", "1e6", "1x", "1.2.3M", "99999999999999999999", "9999999999999T", "_1"}) {
    EXPECT_EQ(parse_count(bad), std::nullopt) << bad;
  }
}

TEST(Parse, BytesNeedAUnitTheyKnow) {
  EXPECT_EQ(parse_bytes("512"), Bytes(512));
  EXPECT_EQ(parse_bytes("16 MiB"), Bytes(16 << 20));
  EXPECT_EQ(parse_bytes("1.5GB"), Bytes(1'500'000'000));
  EXPECT_EQ(parse_bytes("0.5 KiB"), Bytes(512));
  for (const char* bad : {"", "GB", "1 gb", "1 mib", "0.3 B", "9999999999 GiB"}) EXPECT_EQ(parse_bytes(bad), std::nullopt) << bad;
}

}  // namespace
}  // namespace longhaul
