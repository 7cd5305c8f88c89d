// cost/gemm_shape.h — how much of a matrix product's time its shape wastes: tiles at the edges, waves that do not fill the device.
//
// A kernel computes tiles of the result; each of the device's `units` (streaming multiprocessors, matrix cores …) takes one at a time, so
// the last wave may leave units idle, and a tile at an edge computes what nobody asked for. Libraries choose among tile shapes and may
// split k: so does this, the cheapest counts.
#pragma once

namespace longhaul::cost {

/// Executed ÷ useful work of an m × k by k × n product, at least about 1.
double tile_waste(double m, double n, double k, int units);

}  // namespace longhaul::cost
