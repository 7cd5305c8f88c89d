// plan/search_space.h — which layouts a search considers: every combination of a few values for each key of a layout.
//
// A restriction is written "tp=4+8,zero=1,micro_batch=1+2": keys of a layout (program/layout.h) and `micro_batch`, each with the values it
// may take. Data parallelism takes what devices are left.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "cost/run_shape.h"

namespace longhaul::plan {

/// Values by key, as a layout's text has them.
using Restriction = std::map<std::string, std::vector<std::string>, std::less<>>;
/// Throws UsageError that names the key or value that cannot be.
Restriction parse_restriction(std::string_view text);

/// The values considered where neither `user` nor the framework (cost/framework.h) says otherwise: tp by powers of two inside a node, pp
/// over the divisors of the devices up to the layers, cp 1, ep by powers of two up to the experts, every ZeRO stage over all ranks or one
/// node's, 1 to 8 chunks, every recomputation and schedule, micro-batches of 1 to 8 sequences.
Restriction search_space(const cost::RunShape& base, const Restriction& user);

/// Every layout of a space for `base.devices`, each once: what means nothing is left out of it (a schedule without stages, sequence
/// parallelism without tensor parallelism, ZeRO over one rank). Chunks that do not divide the layers (or, where embedding and head
/// count as layers, these) are not considered, contradictions are.
std::vector<cost::RunShape> enumerate(const cost::RunShape& base, const Restriction& space);

}  // namespace longhaul::plan
