// train/ranks.h — the ranks of a job as threads of this process: started together, ended together.
#pragma once

#include <functional>

#include "comm/communicator.h"
#include "program/layout.h"

namespace longhaul::train {

/// Runs `work` once for each rank of the layout, each on a thread of its own, and returns when all have ended; a layout of one rank runs on
/// the calling thread. Where the usable processors suffice, each rank is bound to `threads` of them. When a rank throws, the others end at
/// their next transfer.
/// @throws what the first rank that failed threw, with its number and place before the message unless it is rank 0
void run_ranks(const program::Layout& layout, int threads, const std::function<void(comm::Communicator&)>& work);

}  // namespace longhaul::train
