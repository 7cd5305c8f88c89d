#include "cost/calibration.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "files/examples.h"
#include "files/read.h"
#include "files/toml.h"
#include "units/error.h"

namespace longhaul::cost {
namespace {

namespace fs = std::filesystem;

/// How closely a key's field matches a run's: 0 not at all, 1 as "*", 2 as the framework's family ("megatron" of "megatron-lm"), 3 as the
/// framework without its additions, 4 exactly.
int closeness(std::string_view key, std::string_view run, bool is_framework) {
  if (key == "*") return 1;
  if (key == run) return 4;
  if (!is_framework) return 0;
  return key == run.substr(0, run.find('+')) ? 3 : key == run.substr(0, run.find_first_of("+-")) ? 2 : 0;
}

/// Larger is closer; -1 where the key does not match. Fields named count first, then which.
int closeness(const ParameterKey& key, const ParameterKey& run) {
  int named = 0, which = 0;
  const auto matches = [&](const std::string& of_key, const std::string& of_run, bool is_framework) {
    const int field = closeness(of_key, of_run, is_framework);
    named += field > 1, which = which * 5 + field;
    return field > 0;
  };
  const bool all = matches(key.framework, run.framework, true) && matches(key.accelerator, run.accelerator, false) &&
                   matches(key.link, run.link, false) && matches(key.dtype, run.dtype, false);
  return all ? named * 1024 + which : -1;
}

/// One table of a file, field by field; what has not been asked for in the end is an unknown field.
class Fields {
 public:
  Fields(const toml::table& table, const fs::path& path, std::string where) : table_(table), path_(path), where_(std::move(where)) {}

  std::string text(const char* key, const char* usual = nullptr) {
    const auto value = take(key).value<std::string>();
    if (!value && (!usual || table_[key])) fail(key, "a text");
    return value.value_or(usual ? usual : "");
  }
  double number(const char* key, std::optional<double> usual = std::nullopt) {
    const auto value = take(key).value<double>();
    if ((!value && (!usual || table_[key])) || (value && !std::isfinite(*value))) fail(key, "a number");
    return value ? *value : *usual;
  }
  double from_zero(const char* key, std::optional<double> usual = std::nullopt) {
    const double value = number(key, usual);
    if (value < 0) fail(key, "a number from 0 up");
    return value;
  }
  void no_others() const {
    for (const auto& [key, node] : table_)
      if (std::find(known_.begin(), known_.end(), key.str()) == known_.end())
        throw UsageError(fmt::format("{}: {} is unknown here; known are {}", place(&node, key.str()), field(key.str()), known()));
  }
  [[noreturn]] void fail(std::string_view key, std::string_view allowed) const {
    throw UsageError(fmt::format("{}: {} must be {}", place(table_.get(key), key), field(key), allowed));
  }

 private:
  toml::node_view<const toml::node> take(const char* key) {
    known_.emplace_back(key);
    return table_[key];
  }
  std::string field(std::string_view key) const { return where_ + "." + std::string(key); }
  std::string place(const toml::node* node, std::string_view) const {
    return fmt::format("{}:{}", path_.string(), (node ? node->source() : table_.source()).begin.line);
  }
  std::string known() const {
    std::string out;
    for (const std::string& key : known_) out += (out.empty() ? "" : ", ") + key;
    return out;
  }

  const toml::table& table_;
  const fs::path& path_;
  std::string where_;
  std::vector<std::string> known_;
};

void add_parameter(Calibration& out, Fields fields) {
  const std::string name = fields.text("name");
  const ParameterKey key{fields.text("accelerator", "*"), fields.text("link", "*"), fields.text("framework", "*"),
                         fields.text("dtype", "*")};
  Parameter parameter;
  parameter.value = fields.number("value");
  parameter.prior = fields.number("prior", parameter.value);
  parameter.spread = fields.from_zero("spread", 0);
  parameter.unit = fields.text("unit");
  parameter.meaning = fields.text("meaning");
  fields.no_others();
  if (parameter.spread > 0 && !(parameter.value > 0 && parameter.prior > 0))
    fields.fail("value", "above 0, as its prior, since it is fitted in logarithms");
  if (!out.parameters.emplace(std::pair{name, key}, std::move(parameter)).second)
    fields.fail("name", fmt::format("new: \"{}\" has a value for this key already", name));
}

void add_residuals(Calibration& out, Fields fields) {
  Calibration::Residuals residuals;
  residuals.kind = fields.text("kind");
  residuals.median_abs = fields.from_zero("median_abs");
  residuals.low = fields.number("low");
  residuals.high = fields.number("high");
  residuals.rows = static_cast<std::size_t>(fields.from_zero("rows"));
  const std::string of = fields.text("of");
  fields.no_others();
  if (residuals.low > residuals.high) fields.fail("low", "at most high");
  if (of != "time" && of != "memory") fields.fail("of", "\"time\" or \"memory\"");
  (of == "time" ? out.time : out.memory).push_back(std::move(residuals));
}

/// Calls `each` with every table of the array of tables `key`.
void each_table(const toml::table& file, const fs::path& path, const char* key, const auto& each) {
  const toml::node* node = file.get(key);
  if (!node) return;
  const toml::array* array = node->as_array();
  if (!array || !array->is_homogeneous<toml::table>())
    throw UsageError(fmt::format("{}:{}: {} must be tables [[{}]]", path.string(), node->source().begin.line, key, key));
  for (const toml::node& table : *array) each(Fields(*table.as_table(), path, key));
}

void read_seen(Calibration& out, const toml::table& file, const fs::path& path) {
  const toml::node* node = file.get("seen_rows");
  if (!node) return;
  const toml::array* ids = node->as_array();
  if (!ids || (!ids->empty() && !ids->is_homogeneous<std::string>()))
    throw UsageError(fmt::format("{}:{}: seen_rows must be a list of row ids", path.string(), node->source().begin.line));
  for (const toml::node& id : *ids) out.seen_rows.insert(*id.value<std::string>());
}

void add_file(Calibration& out, const fs::path& path) {
  const toml::table file = files::parse_toml(files::read_input(path), path.string());
  for (const auto& [key, node] : file)
    if (key != "parameter" && key != "residuals" && key != "seen_rows" && key != "source")
      throw UsageError(fmt::format("{}:{}: {} is unknown here; known are [[parameter]], [[residuals]], seen_rows and source", path.string(),
                                   node.source().begin.line, key.str()));
  if (const toml::node* source = file.get("source")) {
    const auto text = source->value<std::string>();
    if (!text) throw UsageError(fmt::format("{}:{}: source must be a text", path.string(), source->source().begin.line));
    out.source += (out.source.empty() ? "" : "; ") + *text;
  }
  each_table(file, path, "parameter", [&](Fields fields) { add_parameter(out, std::move(fields)); });
  each_table(file, path, "residuals", [&](Fields fields) { add_residuals(out, std::move(fields)); });
  read_seen(out, file, path);
}

/// A TOML basic string.
std::string toml_text(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (static_cast<unsigned char>(c) < 0x20)
      out += fmt::format("\\u{:04x}", static_cast<int>(c));
    else
      out += c;
  }
  return out + '"';
}

std::string to_toml(const std::string& name, const ParameterKey& key, const Parameter& parameter) {
  std::string out = fmt::format("\n[[parameter]]\nname = {}\n", toml_text(name));
  const std::array<std::pair<const char*, const std::string*>, 4> fields{
      {{"accelerator", &key.accelerator}, {"link", &key.link}, {"framework", &key.framework}, {"dtype", &key.dtype}}};
  for (const auto& [field, value] : fields)
    if (*value != "*") out += fmt::format("{} = {}\n", field, toml_text(*value));
  out += fmt::format("value = {}\n", parameter.value);
  if (parameter.spread > 0) out += fmt::format("prior = {}\nspread = {}\n", parameter.prior, parameter.spread);
  return out + fmt::format("unit = {}\nmeaning = {}\n", toml_text(parameter.unit), toml_text(parameter.meaning));
}

}  // namespace

const std::pair<const Calibration::Id, Parameter>* Calibration::find(std::string_view name, const ParameterKey& run) const {
  const std::pair<const Id, Parameter>* best = nullptr;
  int closest = -1;
  const auto [first, last] = parameters.equal_range(name);
  for (auto at = first; at != last; ++at)
    if (const int close = closeness(at->first.second, run); close > closest) best = &*at, closest = close;
  return best;
}

double Calibration::operator()(std::string_view name, const ParameterKey& run) const {
  if (const auto* entry = find(name, run)) return entry->second.value;
  throw UsageError(
      fmt::format("the calibration has no parameter \"{}\" for accelerator {}, link {}, framework {}, dtype {}; add a "
                  "[[parameter]] of this name, for example without any of these fields",
                  name, run.accelerator, run.link, run.framework, run.dtype));
}

double four_digits(double value) { return std::stod(fmt::format("{:.4g}", value)); }

Calibration read_calibration(const fs::path& path) {
  Calibration out;
  if (!fs::is_directory(path)) return add_file(out, path), out;
  std::vector<fs::path> files;
  for (const fs::directory_entry& entry : fs::directory_iterator(path))
    if (entry.path().extension() == ".toml") files.push_back(entry.path());
  if (files.empty()) throw UsageError(fmt::format("{}: no file *.toml in this folder", path.string()));
  std::sort(files.begin(), files.end());
  for (const fs::path& file : files) add_file(out, file);
  return out;
}

Calibration shipped_calibration() {
  for (const fs::path& folder : files::example_folders("calibration"))
    if (fs::is_directory(folder)) return read_calibration(folder);
  throw UsageError("no folder examples/calibration was found beside the program; set LONGHAUL_EXAMPLES to the examples folder");
}

std::string to_toml(const Calibration& calibration) {
  std::string out =
      "# Parameters of the cost model, written by `longhaul fit`. With prior and spread a parameter is fitted, log(value / prior) ~ "
      "spread;\n"
      "# without, it is a constant. What a field does not name it holds for all. Form and sources: docs/planner.md, docs/formats.md.\n";
  if (!calibration.source.empty()) out += fmt::format("source = {}\n", toml_text(calibration.source));
  if (!calibration.seen_rows.empty()) {
    out += "seen_rows = [\n";
    for (const std::string& id : calibration.seen_rows) out += fmt::format("  {},\n", toml_text(id));
    out += "]\n";
  }
  for (const auto& [key, parameter] : calibration.parameters) out += to_toml(key.first, key.second, parameter);
  for (const auto& [of, list] : {std::pair{"time", &calibration.time}, std::pair{"memory", &calibration.memory}})
    for (const Calibration::Residuals& r : *list)
      out += fmt::format("\n[[residuals]]\nof = \"{}\"\nkind = {}\nmedian_abs = {:.5f}\nlow = {:.5f}\nhigh = {:.5f}\nrows = {}\n", of,
                         toml_text(r.kind), r.median_abs, r.low, r.high, r.rows);
  return out;
}

}  // namespace longhaul::cost
