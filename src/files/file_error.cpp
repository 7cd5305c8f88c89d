#include "files/file_error.h"

#include <cerrno>
#include <string>
#include <system_error>

namespace longhaul::files {
namespace {

std::string describe(std::string_view action, const std::filesystem::path& path, int errno_value) {
  std::string text = path.string() + ": cannot " + std::string(action) + ": " + std::generic_category().message(errno_value);
  if (errno_value == ENOSPC || errno_value == EDQUOT) text += " (free some space, or let the run write elsewhere)";
  return text;
}

}  // namespace

FileError::FileError(std::string_view action, const std::filesystem::path& path, int error_number)
    : Error(describe(action, path, error_number)), errno_value(error_number) {}

}  // namespace longhaul::files
