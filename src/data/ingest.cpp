#include "data/ingest.h"

#include <xxhash.h>

#include <cmath>
#include <cstdint>
#include <memory>

namespace longhaul::data {

bool is_heldout(std::string_view text, std::string_view salt, double fraction) {
  const std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> state(XXH3_createState(), &XXH3_freeState);
  XXH3_64bits_reset(state.get());
  XXH3_64bits_update(state.get(), salt.data(), salt.size());
  XXH3_64bits_update(state.get(), text.data(), text.size());
  // Exact: a double holds fraction · 2⁶⁴ (a power of two), and 2⁶⁴ itself is never reached because fraction < 1.
  return XXH3_64bits_digest(state.get()) < static_cast<std::uint64_t>(std::ldexp(fraction, 64));
}

}  // namespace longhaul::data
