// plan/trace.h — the forecast's step as a timeline: Chrome trace-event JSON, which Perfetto and chrome://tracing open.
//
// The pipeline's schedule is played turn by turn (cost/pipeline.h) with the costs that the step's estimate used, so the trace ends when the
// step does. Each pipeline rank is a process of it: turns, inside them layers and their work under the ids of docs/program.md
// (mb3/s0/L11/attn.fwd, s the virtual stage), messages, after the pipeline the exchange of gradients that nothing hides, the optimizer and
// the rest; beside them counters of micro-batches in flight and of memory.
//
// A layer's work is drawn one after another, stretched alike to fill the layer: what each would take alone is in its arguments (alone_us).
// Layers and work are drawn for the first micro-batches alone where all of them would make a file too large to look at.
#pragma once

#include <string>

#include "plan/forecast.h"

namespace longhaul::plan {

struct Trace {
  std::string json;
  std::size_t events = 0;
  int detailed = 0;  ///< micro-batches whose layers and work are drawn: the first ones
};

/// @throws UsageError when the schedule has more than a million turns
Trace trace(const Forecast& forecast, const cost::Calibration& calibration);

}  // namespace longhaul::plan
