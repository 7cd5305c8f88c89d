#include "cost/gemm_shape.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace longhaul::cost {
namespace {

/// A tile and its speed relative to the largest one: smaller tiles read more operand bytes for each product.
struct Tile {
  double m, n, speed;
};
constexpr std::array<Tile, 8> kTiles{
    {{256, 128, 1}, {128, 256, 1}, {128, 128, .95}, {256, 64, .85}, {64, 256, .85}, {128, 64, .8}, {64, 128, .8}, {64, 64, .6}}};

/// Ways to split k over units, whose partial results must be added.
struct Split {
  double parts, speed;
};
constexpr std::array<Split, 3> kSplits{{{1, 1}, {2, .97}, {4, .94}}};
constexpr double kLeastDepth = 1024;  ///< of a part of k that is worth a unit of its own

}  // namespace

double tile_waste(double m, double n, double k, int units) {
  double least = std::numeric_limits<double>::infinity();
  for (const Tile& tile : kTiles) {
    const double tiles = std::ceil(m / tile.m) * std::ceil(n / tile.n);
    for (const Split& split : kSplits) {
      if (split.parts > 1 && k < kLeastDepth * split.parts) continue;
      const double waves = std::ceil(tiles * split.parts / units);
      least = std::min(least, waves * units * tile.m * tile.n / split.parts / (m * n) / tile.speed / split.speed);
    }
  }
  return least;
}

}  // namespace longhaul::cost
