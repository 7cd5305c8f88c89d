// files/read.h — reads files: whole up to a size limit, mapped, hashed; and JSON under the limits of all input.
//
// No allocation depends on a number inside a file: sizes come from the file system and are limited first. JSON is at most 16 MiB and 64
// levels deep and may not repeat a key, so a hostile document can exhaust neither memory nor stack, and has one meaning.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <string_view>

#include "files/file_error.h"
#include "files/hash.h"

namespace longhaul::files {

inline constexpr std::uint64_t kMaxDocumentBytes = 16u << 20;  ///< JSON, TOML
inline constexpr int kMaxDocumentDepth = 64;

/// The whole file. @throws FileError if it cannot be read, Error if it is larger than `max_bytes` or no regular file
std::string read_file(const std::filesystem::path& path, std::uint64_t max_bytes = kMaxDocumentBytes);

/// The same of a file that a user names: if it cannot be read, that is a usage error. @throws UsageError; FileError when the disk
/// fails
std::string read_input(const std::filesystem::path& path, std::uint64_t max_bytes = kMaxDocumentBytes);

/// A file mapped read-only. If another process truncates it meanwhile the kernel ends ours with SIGBUS: verify first, map then.
class MappedFile {
 public:
  explicit MappedFile(const std::filesystem::path& path);
  MappedFile(MappedFile&&) noexcept;
  MappedFile& operator=(MappedFile&&) noexcept;
  ~MappedFile();
  std::span<const std::byte> bytes() const { return bytes_; }

 private:
  std::span<const std::byte> bytes_;
};

/// Streams the file through SHA-256 in constant memory. from_disk: drops the page cache's copy first, so that the device is read.
FileDigest digest_file(const std::filesystem::path& path, bool from_disk = false);

/// Parses JSON under the limits above. `what` names the document in errors ("manifest step-…/manifest.json").
/// @throws Error with position and reason
nlohmann::json parse_json(std::string_view text, const std::string& what);

/// The one serialisation of a value: keys sorted, no spaces, integers as digits, doubles as the shortest text that reads back to the same
/// bits (always with '.' or 'e', so they stay doubles); non-finite doubles are the strings "nan", "inf", "-inf". Equal values, equal bytes.
std::string canonical_json(const nlohmann::json& value);
/// Reads a double that canonical_json may have written as "nan", "inf" or "-inf". @throws Error when it is no number
double json_double(const nlohmann::json& value);

/// The 16 hexadecimal digits of a double's bits and back, for state that must be exact including NaN payloads and signed zeros.
std::string double_bits(double value);
double double_from_bits(std::string_view hex);

}  // namespace longhaul::files
