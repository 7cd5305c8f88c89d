// Finding a model's file by name: executable-relative, so that a build or an installation can be moved.
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <set>

#include "config/options.h"
#include "config/resolve.h"
#include "units/error.h"
#include "units/nearest.h"

namespace longhaul::config {

namespace fs = std::filesystem;

namespace {

// A build tree keeps the executable at most this deep below the source tree (build/apps/longhaul/longhaul).
constexpr int kFoldersUp = 4;

std::vector<fs::path> model_folders() {
  std::vector<fs::path> folders;
  if (const char* examples = std::getenv("LONGHAUL_EXAMPLES")) folders.push_back(fs::path(examples) / "models");
  std::error_code error;
  fs::path folder = fs::read_symlink("/proc/self/exe", error).parent_path();
  if (!error) {
    folders.push_back(folder.parent_path() / "share/longhaul/models");
    for (int i = 0; i <= kFoldersUp && folder.has_relative_path(); ++i, folder = folder.parent_path()) {
      folders.push_back(folder / "examples/models");
    }
  }
  return folders;
}

bool is_file(const fs::path& path) {
  std::error_code error;
  return fs::is_regular_file(path, error);
}

}  // namespace

std::vector<std::string> model_names() {
  std::set<std::string> names;
  for (const fs::path& folder : model_folders()) {
    std::error_code error;
    for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
      if (entry->path().extension() == ".toml") names.insert(entry->path().stem().string());
    }
  }
  return {names.begin(), names.end()};
}

std::string find_model_file(const std::string& name, const std::string& folder) {
  const fs::path given = fs::path(folder) / name;
  if (!name.empty() && is_file(given)) return given.lexically_normal().string();
  if (name.find('/') != std::string::npos) throw UsageError("no model file " + given.lexically_normal().string());
  for (const fs::path& models : model_folders()) {
    const fs::path path = models / (name + ".toml");
    if (is_file(path)) return path.lexically_normal().string();
  }
  const std::vector<std::string> names = model_names();
  if (names.empty()) {
    throw UsageError("no model named '" + name +
                     "': no folder examples/models was found beside the program; set LONGHAUL_EXAMPLES to the examples folder");
  }
  throw UsageError("no model named '" + name + "'; nearest: " + std::string(nearest(name, names)) + " (" + std::to_string(names.size()) +
                   " models in examples/models)");
}

}  // namespace longhaul::config
