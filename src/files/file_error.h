// files/file_error.h — the error of an operation on a file: which operation, on what path, and errno's text.
#pragma once

#include <filesystem>
#include <string_view>

#include "units/error.h"

namespace longhaul::files {

/// An operation on a file that failed: which, on what path, and errno's text.
struct FileError : Error {
  FileError(std::string_view action, const std::filesystem::path& path, int errno_value);
  int errno_value;  ///< ENOSPC, EIO, …
};

}  // namespace longhaul::files
