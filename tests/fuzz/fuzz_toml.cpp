// Run files: any bytes either resolve, and then their resolved form reads back to the same run, or are refused with a UsageError.
// rooms: config
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "config/resolve.h"
#include "units/error.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace longhaul;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  // The bytes after a zero byte are an override, so that both entrances are reached.
  const std::size_t zero = text.find('\0');
  config::Overrides sets;
  if (zero != std::string_view::npos) sets.emplace_back(text.substr(zero + 1));
  try {
    const config::ResolvedConfig resolved = config::resolve_text(text.substr(0, zero), "fuzz.toml", "/", sets);
    const config::ResolvedConfig again = config::resolve_text(config::to_toml(resolved, true), "again.toml", "/");
    if (config::config_hash(again.config) != config::config_hash(resolved.config)) std::abort();
    (void)config::to_json(resolved);
  } catch (const UsageError&) {
    return 0;
  }
  return 0;
}
