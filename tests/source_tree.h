// tests/source_tree.h — where the tests find files of the source tree: golden files, examples, documents.
//
// The path is in one generated object (tests/source_tree.cpp.in), so that the objects of the tests are the same in every clone.
#pragma once

#include <string>

namespace longhaul {

/// @param path   relative to the root of the source tree, e.g. "examples/gpt2-124m.toml"
/// @return       the absolute path
std::string source_tree(const std::string& path);

}  // namespace longhaul
