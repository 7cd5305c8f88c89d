// train/step_trace.h — a step as it was measured, as a timeline: Chrome trace-event JSON, which Perfetto and chrome://tracing open.
//
// Each rank is a process of it with two tracks, its work and its transfers (waiting for other ranks included), under the ids of the plan
// (docs/program.md: mb3/s0/L11/attn.fwd). Times are µs from the first operation of any rank; ranks that are threads share a clock.
#pragma once

#include <string>

#include "train/engine.h"

namespace longhaul::train {

/// Of the engine's last step. All ranks call it together. @return on rank 0 the document, else nothing
std::string step_trace(Engine& engine);

}  // namespace longhaul::train
