// checkpoint/safetensors.h — reading and writing safetensors, Hugging Face's data-only tensor file.
//
// u64 length, JSON header {"name": {"dtype", "shape", "data_offsets": [begin, end]}, "__metadata__": {string: string}}, padded with spaces
// to a multiple of 8, then the tensors, row-major, little-endian, without holes or overlaps (https://github.com/huggingface/safetensors).
// The reader trusts nothing: header at most 100 MB, starting with '{', valid UTF-8, no repeated key, known dtypes, sizes without overflow,
// offsets that tile the file exactly. It allocates in proportion to the length of the header, never to a number in it; data are mapped.
// The writer orders tensors as the format's own does: by element size, largest first, then by name.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "files/disk.h"
#include "files/read.h"
#include "units/element_type.h"

namespace longhaul::checkpoint {

inline constexpr std::uint64_t kMaxHeaderBytes = 100'000'000;

struct TensorInfo {
  std::string name;
  ElementType dtype = ElementType::f32;
  std::vector<std::int64_t> shape;
  std::uint64_t begin = 0, end = 0;  ///< bytes from the start of the data
};

struct Header {
  std::vector<TensorInfo> tensors;  ///< in the order of the data
  std::map<std::string, std::string> metadata;
  std::uint64_t data_start = 0;  ///< 8 + header length
};
/// Checks and decodes the header of a whole file in memory. `what` names the file in errors.
/// @throws CheckpointError with the tensor and what is wrong
Header parse_header(std::span<const std::byte> file, const std::string& what);

/// A tensor to write; the bytes are borrowed.
struct TensorView {
  std::string name;
  ElementType dtype = ElementType::f32;
  std::vector<std::int64_t> shape;
  std::span<const std::byte> bytes;
};
/// Writes a new file, fsynced. The caller owns the name: write to a temporary one and rename. @throws files::FileError
files::FileDigest write_safetensors(const files::Disk& disk, const std::filesystem::path& path, std::vector<TensorView> tensors,
                                    const std::map<std::string, std::string>& metadata = {});

/// A file opened for reading; spans stay valid as long as it lives.
class SafetensorsFile {
 public:
  /// @throws files::FileError, CheckpointError
  explicit SafetensorsFile(const std::filesystem::path& path);
  const std::vector<TensorInfo>& tensors() const { return header_.tensors; }
  const std::map<std::string, std::string>& metadata() const { return header_.metadata; }
  /// nullptr if there is none of this name.
  const TensorInfo* find(std::string_view name) const;
  std::span<const std::byte> bytes(const TensorInfo& tensor) const;

 private:
  files::MappedFile file_;
  Header header_;
  std::map<std::string, std::size_t, std::less<>> index_;
};

}  // namespace longhaul::checkpoint
