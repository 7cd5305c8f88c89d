// ingest/formats/parquet_codec.h — Parquet's compressions of pages: none, snappy, gzip, zstd.
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>

namespace longhaul::ingest {

class PageDecompressor {
 public:
  PageDecompressor();
  ~PageDecompressor();
  /// Whether the codec (CompressionCodec of parquet.thrift) is one of these.
  static bool reads(int codec);
  /// Fills `into` with what `page` decompresses to. False when it is damaged, or has another size.
  bool run(int codec, std::string_view page, char* into, std::size_t size);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace longhaul::ingest
