// files/examples.h — the data files that come with the program: examples/models, examples/clusters … found by name.
//
// Looked for in $LONGHAUL_EXAMPLES, then examples/ beside or up to four folders above the executable, then ../share/longhaul: so that a
// build or an installation can be moved.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace longhaul::files {

/// Where files of a kind ("models", "clusters") may lie, first choice first; not all exist.
std::vector<std::filesystem::path> example_folders(std::string_view kind);
/// Names without ".toml" of all files of a kind, sorted.
std::vector<std::string> example_names(std::string_view kind);
/// The file as given (relative to `folder`), else NAME.toml of a kind. `what` is the kind in the singular, for messages.
/// Throws UsageError with the nearest name.
std::filesystem::path find_example(std::string_view kind, std::string_view what, const std::string& name,
                                   const std::filesystem::path& folder = ".");

}  // namespace longhaul::files
