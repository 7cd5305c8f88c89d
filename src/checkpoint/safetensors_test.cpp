#include "checkpoint/safetensors.h"

#include <gtest/gtest.h>

#include <bit>
#include <cstring>

#include "files/testing.h"

namespace longhaul::checkpoint {
namespace {

using namespace files::testing;

std::string with_header(const std::string& header, std::size_t data_bytes = 0) {
  const std::uint64_t length = header.size();
  std::string file(sizeof length, '\0');
  std::memcpy(file.data(), &length, sizeof length);
  return file + header + std::string(data_bytes, 'd');
}

Header parse(const std::string& file) { return parse_header(std::as_bytes(std::span(file)), "f"); }

TEST(Safetensors, WritesTheBytesOfTheFormatsOwnWriter) {
  const TemporaryDirectory dir;
  const std::vector<float> floats = {1, 2, 3, 4, 5, 6};
  const std::vector<std::uint16_t> halves = {0x3f80, 0xc000, 0x1234};
  const std::vector<std::int64_t> longs = {-1};
  const std::vector<TensorView> tensors = {{"b", ElementType::f32, {2, 3}, std::as_bytes(std::span(floats))},
                                           {"half", ElementType::bf16, {3}, std::as_bytes(std::span(halves))},
                                           {"a", ElementType::f32, {6}, std::as_bytes(std::span(floats))},
                                           {"step", ElementType::i64, {}, std::as_bytes(std::span(longs))}};
  const files::FileDigest digest = write_safetensors({}, dir.path() / "f", tensors, {{"format", "pt"}});
  const std::string file = slurp(dir.path() / "f");
  // From Python: safetensors.torch.save({...the same four...}, metadata={"format": "pt"}), safetensors 0.8.
  const std::string header =
      R"({"__metadata__":{"format":"pt"},"step":{"dtype":"I64","shape":[],"data_offsets":[0,8]},)"
      R"("a":{"dtype":"F32","shape":[6],"data_offsets":[8,32]},"b":{"dtype":"F32","shape":[2,3],"data_offsets":[32,56]},)"
      R"("half":{"dtype":"BF16","shape":[3],"data_offsets":[56,62]}})";
  std::uint64_t length = 0;
  std::memcpy(&length, file.data(), sizeof length);
  EXPECT_EQ(length % 8, 0u);
  EXPECT_EQ(file.substr(8, header.size()), header);
  EXPECT_EQ(file.substr(8 + header.size(), length - header.size()), std::string(length - header.size(), ' '));
  EXPECT_EQ(file.size(), 8 + length + 62);
  EXPECT_EQ(digest, files::digest_file(dir.path() / "f"));
  EXPECT_EQ(digest.sha256, "a286d0b5db375c3045a7c673338d9c40404deb6877de06e0709c5777ed1d8650");

  const SafetensorsFile read(dir.path() / "f");
  EXPECT_EQ(read.metadata().at("format"), "pt");
  ASSERT_EQ(read.tensors().size(), 4u);
  for (const TensorView& tensor : tensors) {
    const TensorInfo* info = read.find(tensor.name);
    ASSERT_NE(info, nullptr);
    EXPECT_EQ(info->dtype, tensor.dtype);
    EXPECT_EQ(info->shape, tensor.shape);
    EXPECT_TRUE(std::ranges::equal(read.bytes(*info), tensor.bytes));
  }
  EXPECT_EQ(read.find("absent"), nullptr);
}

TEST(Safetensors, EveryElementTypeComesBack) {
  const TemporaryDirectory dir;
  const std::vector<std::byte> bytes(24, std::byte{1});
  std::vector<TensorView> tensors;
  for (std::size_t i = 0; i < kElementTypes; ++i) {
    const auto dtype = static_cast<ElementType>(i);
    tensors.push_back({std::string(name(dtype)), dtype, {3}, std::span(bytes).first(3 * size_of(dtype))});
  }
  tensors.push_back({"empty", ElementType::f32, {0, 5}, {}});
  write_safetensors({}, dir.path() / "f", tensors);
  const SafetensorsFile read(dir.path() / "f");
  for (const TensorView& tensor : tensors) EXPECT_EQ(read.find(tensor.name)->dtype, tensor.dtype);
  EXPECT_TRUE(read.bytes(*read.find("empty")).empty());
}

TEST(Safetensors, AcceptsWhatTheFormatAllows) {
  EXPECT_TRUE(parse(with_header("{}")).tensors.empty());
  EXPECT_TRUE(parse(with_header("{}   \n ")).tensors.empty());
  const Header header = parse(with_header(R"({"x":{"shape":[2],"data_offsets":[4,6],"dtype":"U8"},"é\n":{"dtype":"F32","shape":[],)"
                                          R"("data_offsets":[0,4]}})",
                                          6));
  ASSERT_EQ(header.tensors.size(), 2u);
  EXPECT_EQ(header.tensors[0].name, "é\n");
  EXPECT_EQ(header.tensors[1].begin, 4u);
}

struct Hostile {
  std::string file, complaint;
};

TEST(Safetensors, HostileHeadersAreRefusedWithAReason) {
  const auto tensor = [](const std::string& fields) { return "{\"x\":{" + fields + "}}"; };
  std::string huge = with_header("{}");
  huge[4] = 1;  // a header of 4 GiB
  std::string over = with_header("{}");
  const std::uint64_t limit = kMaxHeaderBytes + 1;
  std::memcpy(over.data(), &limit, sizeof limit);
  std::string long_header = with_header("{}");
  long_header[0] = 3;
  const Hostile cases[] = {
      {"", "shorter than the 8 bytes"},
      {"1234567", "shorter than the 8 bytes"},
      {huge, "at most 100 MB"},
      {over, "at most 100 MB"},
      {long_header, "longer than the file"},
      {with_header(""), "does not start with '{'"},
      {with_header(" {}"), "does not start with '{'"},
      {with_header("[]"), "does not start with '{'"},
      {with_header("{"), "not valid JSON"},
      {with_header("{}x"), "not valid JSON"},
      {with_header("{\"\xff\":1}"), "not valid JSON"},
      {with_header("{\"\\ud800\":1}"), "not valid JSON"},
      {with_header("{\"x\":" + std::string(5000, '[')), "expected an object, found an array"},
      {with_header("{\"x\":1}"), "expected an object, found a number"},
      {with_header("{\"x\":null}"), "expected an object, found null"},
      {with_header(tensor(R"("dtype":"F32","shape":[])")), "\"data_offsets\" is missing"},
      {with_header(tensor(R"("dtype":"F32","data_offsets":[0,4])"), 4), "\"shape\" is missing"},
      {with_header(tensor(R"("shape":[],"data_offsets":[0,4])"), 4), "\"dtype\" is missing"},
      {with_header(tensor(R"("dtype":"F31","shape":[],"data_offsets":[0,4])"), 4), "unknown dtype \"F31\""},
      {with_header(tensor(R"("dtype":7,"shape":[],"data_offsets":[0,4])"), 4), "dtype cannot be a number"},
      {with_header(tensor(R"("dtype":"F32","dtype":"F32","shape":[],"data_offsets":[0,4])"), 4), "\"dtype\" appears twice"},
      {with_header(tensor(R"("dtype":"F32","shape":[],"data_offsets":[0,4],"code":"x")"), 4), "unknown field \"code\""},
      {with_header(tensor(R"("dtype":"F32","shape":[-1],"data_offsets":[0,4])"), 4), "shape cannot be a negative number"},
      {with_header(tensor(R"("dtype":"F32","shape":[1.0],"data_offsets":[0,4])"), 4), "shape cannot be a fraction"},
      {with_header(tensor(R"("dtype":"F32","shape":["1"],"data_offsets":[0,4])"), 4), "shape cannot be a string"},
      {with_header(tensor(R"("dtype":"F32","shape":[[1]],"data_offsets":[0,4])"), 4), "shape cannot be an array"},
      {with_header(tensor(R"("dtype":"F32","shape":[9223372036854775808],"data_offsets":[0,4])"), 4), "impossible extent"},
      {with_header(tensor(R"("dtype":"F32","shape":[99999999999999999999],"data_offsets":[0,4])"), 4), "shape cannot be a fraction"},
      {with_header(tensor(R"("dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0])")), "more bytes than 64 bits"},
      {with_header(tensor(R"("dtype":"F32","shape":[4611686018427387904],"data_offsets":[0,0])")), "more bytes than 64 bits"},
      {with_header(tensor("\"dtype\":\"U8\",\"shape\":[" +
                          [] {
                            std::string ones = "1";
                            for (int i = 0; i < 64; ++i) ones += ",1";
                            return ones;
                          }() +
                          "],\"data_offsets\":[0,1]"),
                   1),
       "more than 64 dimensions"},
      {with_header(tensor(R"("dtype":"F32","shape":[1],"data_offsets":[0])"), 4), "must be [begin, end]"},
      {with_header(tensor(R"("dtype":"F32","shape":[1],"data_offsets":[0,4,4])"), 4), "more than two numbers"},
      {with_header(tensor(R"("dtype":"F32","shape":[2],"data_offsets":[0,4])"), 4), "do not hold the 8 bytes"},
      {with_header(tensor(R"("dtype":"F32","shape":[1],"data_offsets":[4,0])"), 4), "do not hold the 4 bytes"},
      {with_header(tensor(R"("dtype":"F32","shape":[1],"data_offsets":[4,8])"), 8), "leaves a hole before byte 4"},
      {with_header(tensor(R"("dtype":"F32","shape":[1],"data_offsets":[0,4])"), 3), "the file has 3 (truncated?)"},
      {with_header(tensor(R"("dtype":"F32","shape":[1],"data_offsets":[0,4])"), 5), "need 4 bytes of data, the file has 5"},
      {with_header(R"({"x":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"y":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}})", 3),
       "overlaps"},
      {with_header(R"({"x":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"x":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})", 2),
       "the tensor \"x\" appears twice"},
      {with_header(R"({"__metadata__":{"a":1}})"), "expected a string, found a number"},
      {with_header(R"({"__metadata__":{"a":"1","a":"2"}})"), "appears twice"},
      {with_header(R"({"__metadata__":{},"__metadata__":{}})"), "appears twice"},
      {with_header(R"({"__metadata__":{"a":{}}})"), "expected a string, found an object"},
  };
  for (const Hostile& hostile : cases) {
    const std::string message = message_of<CheckpointError>([&] { parse(hostile.file); });
    EXPECT_NE(message.find(hostile.complaint), std::string::npos)
        << "expected '" << hostile.complaint << "', got '" << message << "' for " << hostile.file.substr(0, 200);
    EXPECT_LT(message.size(), 600u);
  }
}

TEST(Safetensors, EveryTruncationIsRefused) {
  const std::string file = with_header(R"({"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 8);
  EXPECT_NO_THROW(parse(file));
  for (std::size_t length = 0; length < file.size(); ++length) EXPECT_THROW(parse(file.substr(0, length)), CheckpointError) << length;
}

}  // namespace
}  // namespace longhaul::checkpoint
