#include "config/resolved.h"

namespace longhaul::config {

std::string place(const ResolvedConfig& resolved, const std::string& option) {
  const auto origin = resolved.origins.find(option);
  if (origin != resolved.origins.end()) {
    if (origin->second == "--set") return "--set ";
    // "default" and "computed: …" have no line; a file's line ends in digits after a colon.
    if (origin->second != "default" && !origin->second.starts_with("computed")) return origin->second + ": ";
  }
  return resolved.label + ": ";
}

}  // namespace longhaul::config
