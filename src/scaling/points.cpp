#include "scaling/points.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>

#include "units/error.h"

namespace longhaul::scaling {
namespace {

/// A figure of a point: names of its column in lower case without spaces and marks, and the range in which a value is believed. The
/// largest runs published are below 1e13 parameters, 1e14 tokens and 1e26 FLOPs; six orders above nothing is meant.
struct Figure {
  std::string_view what;
  std::vector<std::string_view> names;
  double least, most;
};
const std::array<Figure, 4>& figures() {
  static const std::array<Figure, 4> kFigures{{
      {"parameters",
       {"n", "params", "parameters", "nparams", "nparameters", "numparams", "numparameters", "modelsize", "modelparams", "modelparameters",
        "nonembeddingparameters", "nonembeddingparams", "nonembparams", "size"},
       1,
       1e19},
      {"tokens",
       {"d", "tokens", "ntokens", "numtokens", "trainingtokens", "traintokens", "tokensseen", "datasetsize", "datasettokens", "data"},
       1,
       1e20},
      {"FLOPs",
       {"c", "flop", "flops", "compute", "trainingflop", "trainingflops", "trainflop", "trainflops", "trainingcompute", "totalflops",
        "totalflop"},
       1,
       1e32},
      {"loss",
       {"loss", "l", "finalloss", "valloss", "validationloss", "evalloss", "testloss", "trainloss", "trainingloss", "nll"},
       1e-3,
       100},
  }};
  return kFigures;
}
enum Which : std::size_t { kParameters, kTokens, kFlops, kLoss };

constexpr std::size_t kMostPoints = 100'000;
/// 6·N·D leaves out attention, embeddings or the head, as the authors chose; three times is beyond any of that.
constexpr double kContradiction = 3;

std::string letters_of(std::string_view header) {
  std::string out;
  for (const char c : header)
    if (std::isalnum(static_cast<unsigned char>(c))) out += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

/// The column of each figure, empty where the table has none; of several the one whose name stands first in the list.
std::array<std::string, 4> columns_of(const files::Csv& csv) {
  std::array<std::string, 4> out;
  for (std::size_t f = 0; f < out.size(); ++f) {
    const auto& names = figures()[f].names;
    auto best = names.end();
    for (const std::string& column : csv.columns())
      if (const auto found = std::find(names.begin(), names.end(), letters_of(column)); found < best) best = found, out[f] = column;
  }
  return out;
}

std::size_t sizes_in(const std::array<std::string, 4>& columns) {
  return static_cast<std::size_t>(!columns[kParameters].empty()) + !columns[kTokens].empty() + !columns[kFlops].empty();
}

double figure(const files::Csv& csv, std::size_t row, const std::string& column, Which which) {
  const Figure& about = figures()[which];
  const std::optional<double> value = csv.number(row, column);
  if (!value) csv.fail(row, column, fmt::format("must be given: each point needs its {}", about.what));
  if (!(*value >= about.least && *value <= about.most))
    csv.fail(row, column,
             fmt::format("must be {} from {:g} to {:g}{}", about.what, about.least, about.most,
                         which == kLoss ? " nats per token" : " (a billion is 1e9)"));
  return *value;
}

template <class Of>
Range range_of(const std::vector<Point>& points, const Of& of) {
  Range out{of(points.front()), of(points.front())};
  for (const Point& p : points) out.low = std::min(out.low, of(p)), out.high = std::max(out.high, of(p));
  return out;
}

}  // namespace

TableKind kind_of(const files::Csv& csv) {
  const auto columns = columns_of(csv);
  if (!columns[kLoss].empty() && sizes_in(columns) >= 2) return TableKind::points;
  // What every table of runs has (evidence/runs.h) and no table of points.
  if (csv.has("layers") && csv.has("hidden")) return TableKind::runs;
  throw UsageError(fmt::format(
      "{}: neither points of a scaling law nor measured runs. Points need a column loss and two of parameters, tokens and flops "
      "(here: {}); runs need those of docs/formats.md, with layers and hidden. The file has: {}",
      csv.label(),
      !columns[kLoss].empty() ? fmt::format("loss, and of the others {}", sizes_in(columns)) : "no column named loss, val_loss or the like",
      fmt::join(csv.columns(), ", ")));
}

std::vector<Point> read_points(const files::Csv& csv) {
  const auto columns = columns_of(csv);
  if (columns[kLoss].empty() || sizes_in(columns) < 2) (void)kind_of(csv);
  if (csv.rows() > kMostPoints) throw UsageError(fmt::format("{}: {} points; at most {} are read", csv.label(), csv.rows(), kMostPoints));
  std::vector<Point> out;
  for (std::size_t row = 0; row < csv.rows(); ++row) {
    std::array<double, 3> size{};
    for (const Which w : {kParameters, kTokens, kFlops})
      if (!columns[w].empty()) size[w] = figure(csv, row, columns[w], w);
    if (columns[kParameters].empty()) size[kParameters] = size[kFlops] / (kFlopsPerParameterToken * size[kTokens]);
    if (columns[kTokens].empty()) size[kTokens] = size[kFlops] / (kFlopsPerParameterToken * size[kParameters]);
    const Allocation at{size[kParameters], size[kTokens]};
    if (columns[kFlops].empty()) size[kFlops] = at.flops();
    if (const double ratio = size[kFlops] / at.flops(); ratio > kContradiction || ratio < 1 / kContradiction)
      csv.fail(
          row, columns[kFlops],
          fmt::format("{:.3g} contradicts 6 · parameters · tokens = {:.3g}; leave one of the three columns out", size[kFlops], at.flops()));
    if (at.parameters < 1 || at.tokens < 1)
      csv.fail(
          row, columns[kFlops],
          fmt::format("{:.3g} FLOPs make {:.3g} parameters on {:.3g} tokens: too few to be meant", size[kFlops], at.parameters, at.tokens));
    out.push_back({at, figure(csv, row, columns[kLoss], kLoss), size[kFlops], row});
  }
  if (out.empty()) throw UsageError(fmt::format("{}: no points below the header", csv.label()));
  return out;
}

Range parameters_of(const std::vector<Point>& points) {
  return range_of(points, [](const Point& p) { return p.at.parameters; });
}
Range tokens_of(const std::vector<Point>& points) {
  return range_of(points, [](const Point& p) { return p.at.tokens; });
}
Range flops_of(const std::vector<Point>& points) {
  return range_of(points, [](const Point& p) { return p.flops; });
}

}  // namespace longhaul::scaling
