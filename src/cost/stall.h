// cost/stall.h — when a framework with blocking messages between stages is expected to stall on them, by what is known before the run.
//
// Two fifths of the measured nanotron runs that span nodes with pp > 1 take a quarter of a second more for every message, nearly whatever
// its size, and about as much again when repeated: a state of the software, not the link's speed. The columns of a run tell it apart in 85
// of 100 cases; the conditions are those that separate them, each with the sign one expects of a message that waits for other traffic,
// for the allocator, or for many peers.
#pragma once

#include <string>

#include "cost/run_shape.h"

namespace longhaul::cost {

struct Stall {
  bool messages = false;  ///< each message between stages stalls
  bool launches = false;  ///< launches are as slow as beside messages though there is one stage
  std::string why;        ///< for people; empty without any
};

/// @param first_stage_bytes peak memory of the first stage with gathered buffers; @param device_bytes what a device has
Stall expect_stall(const RunShape& run, double first_stage_bytes, double device_bytes);

}  // namespace longhaul::cost
