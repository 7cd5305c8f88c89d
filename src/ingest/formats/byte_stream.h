// ingest/formats/byte_stream.h — the bytes of a file, decompressed if they are compressed: gzip, zstd, xz and bzip2, told by their first
// bytes and not by the file's name.
//
// Streams are read in pieces of the caller's size; no more than a library's window is held in memory. Several members one after another
// (as `cat a.gz b.gz` makes them) are one stream. Data that end too early, are damaged, or grow by more than kMaxGrowth are errors that
// name the file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace longhaul::ingest {

class ByteStream {
 public:
  virtual ~ByteStream() = default;
  /// Reads up to `size` bytes; 0 only at the end. @throws DataError naming the file
  virtual std::size_t read(char* into, std::size_t size) = 0;
};

/// A decompressed stream may be so many times as long as the compressed one, once it is longer than kFreeBytes. Text compresses to a tenth,
/// the most repetitive logs to a hundredth; gzip can reach 1,032.
constexpr std::int64_t kMaxGrowth = 500;
constexpr std::int64_t kFreeBytes = std::int64_t{64} << 20;

/// The bytes of `input`, decompressed if its first bytes say that they are compressed.
/// @param file  its name, for errors
std::unique_ptr<ByteStream> decompressed(std::unique_ptr<ByteStream> input, const std::string& file);

/// "gzip", "zstd", "xz", "bzip2"; empty for data of another kind.
std::string_view compression_of(std::string_view head);

/// `name` without the ending of a compressed file (.gz, .zst, .xz, .bz2 …), in any case.
std::string_view without_compression_ending(std::string_view name);

}  // namespace longhaul::ingest
