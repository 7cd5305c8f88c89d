// report/heat_map.h — values of many rows over the steps as colours on a logarithmic scale, in a page (report/plot.h).
#pragma once

#include <string>
#include <vector>

namespace longhaul::report {

struct HeatMap {
  std::string title;
  std::string x_label;                      ///< of the columns, with unit
  std::vector<std::string> rows;            ///< names, from top to bottom
  std::vector<double> columns;              ///< rising
  std::vector<std::vector<double>> values;  ///< by row, one a column; what is not above 0 is not drawn
};

/// A tensor's name as a row of a plot has it: "model.layers.3.mlp.up_proj.weight" is "L3 mlp.up_proj".
std::string short_tensor_name(const std::string& name);

/// <figure>…</figure>; empty when no value is above 0. Of many columns some are drawn, the last among them.
std::string to_svg(const HeatMap& map);

}  // namespace longhaul::report
