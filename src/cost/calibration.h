// cost/calibration.h — the cost model's parameters: what was fitted to measurements, for which hardware and framework, and to which rows.
//
// A parameter belongs to an (accelerator, link tier, framework, dtype), each of which may be "*": never to a row, a model or a table.
// The files examples/calibration/*.toml hold the values with their provenance. One entry:
//
//   [[parameter]]
//   name = "memory.optimizer"
//   framework = "nanotron"     # and accelerator, link, dtype; what is not said is "*"
//   value = 12.4
//   prior = 12                 # with spread: fitted as log(value ÷ prior) ~ spread; without both a constant
//   spread = 0.15
//   unit = "B per parameter"
//   meaning = "fp32 master copy and two moments"
#pragma once

#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "cost/parameter_key.h"

namespace longhaul::cost {

struct Parameter {
  double value = 0;
  double prior = 0, spread = 0;  ///< fitted as log(value ÷ prior) ~ spread; spread 0: a constant, not fitted
  std::string unit, meaning;
};

class Calibration {
 public:
  /// (name, key); a name alone finds all its keys, without building one.
  using Id = std::pair<std::string, ParameterKey>;
  struct Order {
    using is_transparent = void;
    bool operator()(const Id& a, const Id& b) const { return a < b; }
    bool operator()(const Id& a, std::string_view name) const { return a.first < name; }
    bool operator()(std::string_view name, const Id& b) const { return name < b.first; }
  };

  /// The value with the most specific key that matches the run's: the one with most fields that are not "*"; of those equal in number,
  /// framework counts before accelerator, link, dtype. A framework "torchtitan+compile" is matched by its own key and, less closely, by
  /// "torchtitan"; "megatron-lm" by its own and, less closely, by "megatron". Throws UsageError for a name that no matching key has.
  double operator()(std::string_view name, const ParameterKey& run) const;
  bool has(std::string_view name, const ParameterKey& run) const { return find(name, run) != nullptr; }
  const std::pair<const Id, Parameter>* find(std::string_view name, const ParameterKey& run) const;  ///< null where no key matches

  std::map<Id, Parameter, Order> parameters;
  /// Errors of one kind of run (evidence/interval.h), as log(measured ÷ predicted), on rows that the fit had not seen.
  struct Residuals {
    std::string kind;
    double median_abs = 0;
    double low = 0, high = 0;  ///< ends of the 80 % interval
    std::size_t rows = 0;
    std::string rests_on = {};  ///< what the errors are of, where the kind's name does not say it; not written to files
  };
  std::vector<Residuals> time, memory;
  /// Of own runs (evidence/own_runs.h) that measured times alone: of these (accelerator, framework) nothing is known of the memory. Not
  /// written.
  std::set<std::pair<std::string, std::string>> timed_only;
  std::string source;                            ///< file of runs and its hash
  std::set<std::string, std::less<>> seen_rows;  ///< ids of the rows that a fit has seen: they are scored apart
};

/// A fitted value as it is kept: no fit knows more than four significant digits.
double four_digits(double value);

/// Reads a file, or all files *.toml of a folder together. Throws UsageError naming file, line and field.
Calibration read_calibration(const std::filesystem::path& path);
/// The files that come with the program: examples/calibration.
Calibration shipped_calibration();
std::string to_toml(const Calibration& calibration);

}  // namespace longhaul::cost
