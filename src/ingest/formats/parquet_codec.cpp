#include "ingest/formats/parquet_codec.h"

#include <snappy.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <cstring>
#include <limits>

#include "units/error.h"

namespace longhaul::ingest {

namespace {

enum Codec { kUncompressed = 0, kSnappy = 1, kGzip = 2, kZstd = 6 };

/// One or more members of gzip.
bool inflate_page(std::string_view page, char* into, std::size_t size) {
  if (page.size() > std::numeric_limits<uInt>::max() || size > std::numeric_limits<uInt>::max()) return false;
  z_stream stream{};
  if (::inflateInit2(&stream, 15 + 32) != Z_OK) throw Error("no memory to decompress gzip data");  // 32: with the header of gzip or zlib
  const std::unique_ptr<z_stream, decltype(&::inflateEnd)> end(&stream, &::inflateEnd);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(page.data()));
  stream.avail_in = static_cast<uInt>(page.size());
  stream.next_out = reinterpret_cast<Bytef*>(into);
  stream.avail_out = static_cast<uInt>(size);
  int result = ::inflate(&stream, Z_FINISH);
  while (result == Z_STREAM_END && stream.avail_in > 0 && ::inflateReset(&stream) == Z_OK) result = ::inflate(&stream, Z_FINISH);
  return result == Z_STREAM_END && stream.avail_out == 0;
}

}  // namespace

struct PageDecompressor::State {
  std::unique_ptr<ZSTD_DCtx, decltype(&::ZSTD_freeDCtx)> zstd{::ZSTD_createDCtx(), &::ZSTD_freeDCtx};
};

PageDecompressor::PageDecompressor() : state_(std::make_unique<State>()) {
  if (!state_->zstd) throw Error("no memory to decompress zstd data");
}
PageDecompressor::~PageDecompressor() = default;

bool PageDecompressor::reads(int codec) { return codec == kUncompressed || codec == kSnappy || codec == kGzip || codec == kZstd; }

bool PageDecompressor::run(int codec, std::string_view page, char* into, std::size_t size) {
  std::size_t length = 0;
  switch (codec) {
    case kUncompressed:
      if (page.size() != size) return false;
      std::copy(page.begin(), page.end(), into);
      return true;
    case kSnappy:
      return snappy::GetUncompressedLength(page.data(), page.size(), &length) && length == size &&
             snappy::RawUncompress(page.data(), page.size(), into);
    case kGzip:
      return inflate_page(page, into, size);
    case kZstd:
      return ::ZSTD_decompressDCtx(state_->zstd.get(), into, size, page.data(), page.size()) == size;
    default:
      return false;
  }
}

}  // namespace longhaul::ingest
