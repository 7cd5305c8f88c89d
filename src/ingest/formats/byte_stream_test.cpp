#include "ingest/formats/byte_stream.h"

#include <bzlib.h>
#include <gtest/gtest.h>
#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>

#include "units/test_directory.h"

namespace longhaul::ingest {
namespace {

class StringStream final : public ByteStream {
 public:
  explicit StringStream(std::string text) : text_(std::move(text)) {}
  std::size_t read(char* into, std::size_t size) override {
    const std::size_t count = std::min({size, text_.size() - at_, std::size_t{1000}});
    std::memcpy(into, text_.data() + at_, count);
    at_ += count;
    return count;
  }

 private:
  std::string text_;
  std::size_t at_ = 0;
};

std::string read_all(const std::string& file, std::size_t piece = 4096) {
  const auto stream = decompressed(std::make_unique<StringStream>(file), "f.gz");
  std::string text, buffer(piece, '\0');
  for (std::size_t count = 1; count > 0;) {
    count = stream->read(buffer.data(), buffer.size());
    text.append(buffer, 0, count);
  }
  return text;
}

std::string gzip(const std::string& text) {
  z_stream stream{};
  EXPECT_EQ(::deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string out(::deflateBound(&stream, text.size()) + 100, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(::deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  ::deflateEnd(&stream);
  return out;
}

std::string zstd(const std::string& text) {
  std::string out(::ZSTD_compressBound(text.size()), '\0');
  const std::unique_ptr<ZSTD_CCtx, decltype(&::ZSTD_freeCCtx)> context(::ZSTD_createCCtx(), &::ZSTD_freeCCtx);
  ::ZSTD_CCtx_setParameter(context.get(), ZSTD_c_checksumFlag, 1);
  out.resize(::ZSTD_compress2(context.get(), out.data(), out.size(), text.data(), text.size()));
  return out;
}

std::string xz(const std::string& text) {
  std::string out(::lzma_stream_buffer_bound(text.size()), '\0');
  std::size_t size = 0;
  EXPECT_EQ(::lzma_easy_buffer_encode(1, LZMA_CHECK_CRC64, nullptr, reinterpret_cast<const std::uint8_t*>(text.data()), text.size(),
                                      reinterpret_cast<std::uint8_t*>(out.data()), &size, out.size()),
            LZMA_OK);
  out.resize(size);
  return out;
}

std::string bzip2(const std::string& text) {
  std::string out(text.size() + text.size() / 50 + 700, '\0');
  auto size = static_cast<unsigned>(out.size());
  EXPECT_EQ(::BZ2_bzBuffToBuffCompress(out.data(), &size, const_cast<char*>(text.data()), static_cast<unsigned>(text.size()), 9, 0, 0),
            BZ_OK);
  out.resize(size);
  return out;
}

struct Compression {
  const char* name;
  std::string (*compress)(const std::string&);
};
const Compression kAll[] = {{"gzip", gzip}, {"zstd", zstd}, {"xz", xz}, {"bzip2", bzip2}};

/// Text that does not compress to nothing.
std::string sample_text(std::size_t size) {
  std::string text;
  for (std::uint32_t state = 7; text.size() < size; state = state * 1664525 + 1013904223)
    text += "word" + std::to_string(state >> 12) + " ";
  text.resize(size);
  return text;
}

TEST(ByteStream, EachCompressionIsToldByItsBytesAndReadInAnyPieces) {
  const std::string text = sample_text(300000);
  for (const Compression& compression : kAll) {
    const std::string file = compression.compress(text);
    EXPECT_EQ(compression_of(file), compression.name);
    for (const std::size_t piece : {1u, 977u, 1u << 20}) EXPECT_TRUE(read_all(file, piece) == text) << compression.name << " " << piece;
    EXPECT_EQ(read_all(compression.compress("")), "") << compression.name;
  }
  EXPECT_EQ(read_all(text), text);
  EXPECT_EQ(read_all("x"), "x");
  EXPECT_EQ(read_all(""), "");
}

TEST(ByteStream, MembersOneAfterAnotherAreOneStream) {
  for (const Compression& compression : kAll) {
    const std::string two = compression.compress("one, ") + compression.compress("two");
    EXPECT_EQ(read_all(two), "one, two") << compression.name;
    EXPECT_EQ(read_all(two + std::string(512, '\0')), "one, two") << compression.name << ", padded";
  }
}

TEST(ByteStream, TruncatedAndDamagedDataAreNamed) {
  const std::string text = sample_text(100000);
  for (const Compression& compression : kAll) {
    const std::string file = compression.compress(text);
    for (std::size_t size = 20; size < file.size(); size += file.size() / 37 + 1) {
      const std::string message = message_of<DataError>([&] { read_all(file.substr(0, size)); });
      EXPECT_TRUE(contains(message, "f.gz: its " + std::string(compression.name) + " data end in the middle")) << size << message;
    }
    std::string flipped = file;
    flipped[file.size() / 2] = static_cast<char>(flipped[file.size() / 2] ^ 0x10);
    EXPECT_TRUE(contains(message_of<DataError>([&] { EXPECT_NE(read_all(flipped), text); }), std::string(compression.name) + " data"))
        << compression.name;
    EXPECT_TRUE(contains(message_of<DataError>([&] { read_all(file + "behind the end"); }), "are damaged")) << compression.name;
  }
}

TEST(ByteStream, DataThatGrowBeyondMeasureAreRefused) {
  const std::string zeros(static_cast<std::size_t>(kFreeBytes) + (32u << 20), '\0');
  for (const Compression& compression : {kAll[0], kAll[1], kAll[2]})
    EXPECT_TRUE(contains(message_of<DataError>([&] { read_all(compression.compress(zeros), 1u << 20); }), "grow to more than 500 times"))
        << compression.name;
}

TEST(ByteStream, EndingsOfCompressedFilesAreLeftOut) {
  EXPECT_EQ(without_compression_ending("a.jsonl.GZ"), "a.jsonl");
  EXPECT_EQ(without_compression_ending("a.txt.zst"), "a.txt");
  EXPECT_EQ(without_compression_ending("a.txt"), "a.txt");
  EXPECT_EQ(without_compression_ending(".gz"), ".gz");
}

}  // namespace
}  // namespace longhaul::ingest
