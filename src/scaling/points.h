// scaling/points.h — losses of finished runs at different sizes: the table that a scaling law is fitted to.
//
// A CSV file with a column of losses and two of parameters, tokens and training FLOPs; the third follows from C = 6·N·D. Columns are
// recognised by their usual names whatever their case and spacing ("Model Size", "training_flop", "D" …); others are left
// alone. Loss is in nats per token.
#pragma once

#include <string>
#include <vector>

#include "files/csv.h"
#include "scaling/law.h"

namespace longhaul::scaling {

struct Point {
  Allocation at;
  double loss = 0;   ///< nats per token
  double flops = 0;  ///< as given, else 6·N·D
  std::size_t row = 0;
};

/// What a header says of a table that a verb was given.
enum class TableKind { points, runs };
/// Tells points (a loss and two of parameters, tokens, FLOPs) from measured runs (evidence/runs.h). Throws UsageError that says what either
/// needs and what the file has.
TableKind kind_of(const files::Csv& csv);

/// All rows. Throws UsageError naming file, line and column: a figure that is missing, not positive, or beyond anything that was ever
/// trained; two figures that contradict 6·N·D by more than a factor of three.
std::vector<Point> read_points(const files::Csv& csv);

/// Smallest and largest of the points, for the law that is fitted to them.
Range parameters_of(const std::vector<Point>& points);
Range tokens_of(const std::vector<Point>& points);
Range flops_of(const std::vector<Point>& points);

}  // namespace longhaul::scaling
