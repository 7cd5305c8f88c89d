#include "files/examples.h"

#include <fmt/format.h>

#include <cstdlib>
#include <set>

#include "units/error.h"
#include "units/nearest.h"

namespace longhaul::files {

namespace fs = std::filesystem;

namespace {

// A build tree keeps the executable at most this deep below the source tree (build/apps/longhaul/longhaul).
constexpr int kFoldersUp = 4;

bool is_file(const fs::path& path) {
  std::error_code error;
  return fs::is_regular_file(path, error);
}

}  // namespace

std::vector<fs::path> example_folders(std::string_view kind) {
  std::vector<fs::path> folders;
  if (const char* examples = std::getenv("LONGHAUL_EXAMPLES")) folders.push_back(fs::path(examples) / kind);
  std::error_code error;
  fs::path folder = fs::read_symlink("/proc/self/exe", error).parent_path();
  if (error) return folders;
  const fs::path share = folder.parent_path() / "share/longhaul" / kind;
  for (int i = 0; i <= kFoldersUp && folder.has_relative_path(); ++i, folder = folder.parent_path())
    folders.push_back(folder / "examples" / kind);
  folders.push_back(share);
  return folders;
}

std::vector<std::string> example_names(std::string_view kind) {
  std::set<std::string> names;
  for (const fs::path& folder : example_folders(kind)) {
    std::error_code error;
    for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error))
      if (entry->path().extension() == ".toml") names.insert(entry->path().stem().string());
  }
  return {names.begin(), names.end()};
}

fs::path find_example(std::string_view kind, std::string_view what, const std::string& name, const fs::path& folder) {
  const fs::path given = folder / name;
  if (!name.empty() && is_file(given)) return given.lexically_normal();
  if (name.find('/') != std::string::npos || name.ends_with(".toml"))
    throw UsageError(fmt::format("no {} file {}", what, given.lexically_normal().string()));
  for (const fs::path& place : example_folders(kind)) {
    const fs::path path = place / (name + ".toml");
    if (is_file(path)) return path.lexically_normal();
  }
  const std::vector<std::string> names = example_names(kind);
  if (names.empty())
    throw UsageError(
        fmt::format("no {} named '{}': no folder examples/{} was found beside the program; set LONGHAUL_EXAMPLES to the examples folder",
                    what, name, kind));
  throw UsageError(fmt::format("no {} named '{}'; nearest: {} ({} in examples/{})", what, name, nearest(name, names), names.size(), kind));
}

}  // namespace longhaul::files
