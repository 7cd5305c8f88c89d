#include "scaling/law_file.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "config/options.h"
#include "files/examples.h"
#include "files/read.h"
#include "files/toml.h"
#include "units/error.h"
#include "units/nearest.h"

namespace longhaul::scaling {
namespace {

constexpr std::int64_t kVersion = 1;
constexpr std::size_t kMostDraws = 10'000;
constexpr std::size_t kMostPairs = 1'000;
/// Coefficients and their ranges; exponents apart. Nothing published is near either end, and products of them stay finite.
constexpr double kMost = 1e120, kLeast = 1e-120;
/// Kaplan's alpha_N is a ratio times alpha_D: a fit may end at 5 · 3 (loss_form.cpp).
constexpr double kMostExponent = 15, kLeastExponent = 1e-4;

/// One law's file, field by field; errors name file, line and field.
class Reader {
 public:
  Reader(std::string_view text, const std::string& label) : label_(label), root_(files::parse_toml(text, label)) {}

  Law read() {
    known(root_, "",
          {"version", "title", "source", "trust", "embeddings", "caveats", "form", "coefficients", "standard_error", "interval_95", "line",
           "range", "bootstrap"});
    if (root_["version"].value<std::int64_t>() != kVersion) fail(root_, root_["version"].node(), "version", fmt::format("{}", kVersion));
    Law law;
    law.id = std::filesystem::path(label_).stem().string();
    law.title = text("title"), law.source = text("source");
    law.trust = trust();
    law.embeddings = boolean("embeddings");
    if (const toml::array* caveats = array_or_none(root_, "caveats", ""))
      for (const toml::node& caveat : *caveats) law.caveats.push_back(text_of(caveat, "caveats"));
    law.form = form();
    if (law.form == Form::line) {
      law.line = read_line(table("line"));
    } else {
      read_coefficients(law);
      read_draws(law);
    }
    if (root_["range"]) read_ranges(law);
    return law;
  }

 private:
  [[noreturn]] void fail(const toml::table& in, const toml::node* node, const std::string& key, const std::string& allowed) const {
    const auto line = node ? node->source().begin.line : std::max<toml::source_index>(1, in.source().begin.line);
    throw UsageError(fmt::format("{}:{}: {} must be {}", label_, line, key, allowed));
  }
  void known(const toml::table& in, const std::string& where, const std::vector<std::string>& names) const {
    for (const auto& [key, node] : in)
      if (std::find(names.begin(), names.end(), key.str()) == names.end())
        throw UsageError(fmt::format("{}:{}: {}{} is unknown here; known: {}; nearest: {}", label_, node.source().begin.line, where,
                                     key.str(), fmt::join(names, ", "), nearest(key.str(), names)));
  }
  std::string text_of(const toml::node& node, const std::string& key) const {
    const auto value = node.value<std::string>();
    if (!value || value->empty()) fail(root_, &node, key, "a text");
    return *value;
  }
  std::string text(const char* key) const {
    if (!root_[key]) fail(root_, nullptr, key, "given, as a text");
    return text_of(*root_[key].node(), key);
  }
  bool boolean(const char* key) const {
    const auto value = root_[key].value_exact<bool>();
    if (!value) fail(root_, root_[key].node(), key, "true or false");
    return *value;
  }
  Trust trust() const {
    const std::string given = text("trust");
    for (const Trust t : {Trust::verified, Trust::secondary, Trust::fitted, Trust::rule})
      if (given == name(t)) return t;
    fail(root_, root_["trust"].node(), "trust", "verified, secondary, fitted or rule");
  }
  Form form() const {
    try {
      return parse_form(text("form"));
    } catch (const UsageError& error) {
      throw UsageError(fmt::format("{}:{}: {}", label_, root_["form"] ? root_["form"].node()->source().begin.line : 1, error.what()));
    }
  }
  const toml::table& table(const char* key) const {
    if (!root_[key].is_table()) fail(root_, root_[key].node(), key, "a table");
    return *root_[key].as_table();
  }
  const toml::array* array_or_none(const toml::table& in, const char* key, const std::string& where) const {
    if (!in[key]) return nullptr;
    if (!in[key].is_array()) fail(in, in[key].node(), where + key, "a list");
    return in[key].as_array();
  }
  double number(const toml::node& node, const std::string& key, double least, double most) const {
    const auto value = node.value<double>();
    if (!value || !std::isfinite(*value) || *value < least || *value > most)
      fail(root_, &node, key, fmt::format("a number from {:g} to {:g}", least, most));
    return *value;
  }
  double number(const toml::table& in, const char* key, const std::string& where, double least, double most) const {
    if (!in[key]) fail(in, nullptr, where + key, "given");
    return number(*in[key].node(), where + key, least, most);
  }
  std::optional<Range> range(const toml::table& in, const char* key, const std::string& where, double least, double most) const {
    const toml::array* ends = array_or_none(in, key, where);
    if (!ends) return std::nullopt;
    if (ends->size() != 2) fail(in, ends, where + key, "two numbers: [low, high]");
    const Range out{number(*ends->get(0), where + key, least, most), number(*ends->get(1), where + key, least, most)};
    if (!(out.low <= out.high)) fail(in, ends, where + key, "two numbers, the lower first");
    return out;
  }

  /// Limits of a coefficient by its name.
  static Range limits(const std::string& name) {
    if (name.starts_with("alpha") || name == "beta") return {kLeastExponent, kMostExponent};
    if (name == "E" || name == "L_inf") return {0, 100};
    return {kLeast, kMost};
  }
  void read_coefficients(Law& law) const {
    const toml::table& in = table("coefficients");
    const std::vector<std::string> names = coefficient_names(law.form);
    known(in, "coefficients.", names);
    for (const std::string& name : names)
      law.coefficients.push_back(number(in, name.c_str(), "coefficients.", limits(name).low, limits(name).high));
    require_finite(law);
    if (root_["standard_error"]) {
      known(table("standard_error"), "standard_error.", names);
      for (const auto& [key, node] : table("standard_error"))
        law.standard_errors[std::string(key.str())] = number(node, fmt::format("standard_error.{}", key.str()), 0, kMost);
    }
    if (root_["interval_95"]) {
      known(table("interval_95"), "interval_95.", names);
      for (const auto& [key, node] : table("interval_95"))
        law.intervals[std::string(key.str())] = *range(table("interval_95"), std::string(key.str()).c_str(), "interval_95.", -kMost, kMost);
    }
  }
  /// Coefficients that make no loss at budgets from a laptop's to beyond any, each allowed alone.
  void require_finite(const Law& law) const {
    const auto surface = law.surface();
    if (!surface) return;
    for (const double flops : {1e12, 1e30}) {
      const Allocation at = surface->optimum(flops);
      if (!std::isfinite(at.parameters) || !std::isfinite(at.tokens) || !std::isfinite(surface->loss(at)))
        fail(root_, root_["coefficients"].node(), "coefficients",
             "such that the optimum and its loss are finite; check exponents and units");
    }
  }
  void read_draws(Law& law) const {
    if (!root_["bootstrap"]) return;
    const toml::table& in = table("bootstrap");
    known(in, "bootstrap.", {"draws"});
    const toml::array* draws = array_or_none(in, "draws", "bootstrap.");
    if (!draws) return;
    const std::vector<std::string> names = coefficient_names(law.form);
    if (draws->size() > kMostDraws) fail(in, draws, "bootstrap.draws", fmt::format("a list of at most {} draws", kMostDraws));
    for (const toml::node& draw : *draws) {
      const toml::array* values = draw.as_array();
      if (!values || values->size() != names.size())
        fail(in, &draw, "each of bootstrap.draws", fmt::format("{} numbers: {}", names.size(), fmt::join(names, ", ")));
      std::vector<double>& out = law.draws.emplace_back();
      for (std::size_t i = 0; i < names.size(); ++i)
        out.push_back(number(*values->get(i), "bootstrap.draws: " + names[i], limits(names[i]).low, limits(names[i]).high));
    }
  }

  Line read_line(const toml::table& in) const {
    const bool ratio = in.contains("tokens_per_parameter"), pairs = in.contains("pairs"), direct = in.contains("value");
    if (ratio + pairs + direct != 1)
      fail(root_, &in, "line", "given by exactly one of pairs, tokens_per_parameter, and value with at_flops and exponent");
    std::vector<std::string> names{"exponent_interval_80", "pivot_flops"};
    if (direct)
      names.insert(names.end(), {"of", "value", "at_flops", "exponent"});
    else
      names.emplace_back(pairs ? "pairs" : "tokens_per_parameter");
    known(in, "line.", names);
    Line line;
    if (ratio) {
      // D = r·N and C = 6·N·D: N = √(C/6r).
      const double r = number(in, "tokens_per_parameter", "line.", 1e-6, 1e9);
      line.value = std::sqrt(1 / (kFlopsPerParameterToken * r)), line.exponent = 0.5;
    } else if (pairs) {
      line = line_through(read_pairs(in));
    } else {
      const auto of = in["of"].value<std::string>();
      if (of != "parameters" && of != "tokens") fail(in, in["of"].node(), "line.of", "\"parameters\" or \"tokens\"");
      line.of = of == "tokens" ? Line::Of::tokens : Line::Of::parameters;
      line.value = number(in, "value", "line.", kLeast, kMost);
      line.at_flops = number(in, "at_flops", "line.", 1, 1e40);
      line.exponent = number(in, "exponent", "line.", 0, 1);
    }
    line.exponent_interval = range(in, "exponent_interval_80", "line.", 0, 1);
    if (line.exponent_interval) line.pivot_flops = number(in, "pivot_flops", "line.", 1, 1e40);
    return line;
  }
  std::vector<Allocation> read_pairs(const toml::table& in) const {
    const toml::array* list = array_or_none(in, "pairs", "line.");
    std::vector<Allocation> out;
    if (list->size() > kMostPairs) fail(in, list, "line.pairs", fmt::format("a list of at most {} pairs", kMostPairs));
    for (const toml::node& pair : *list) {
      const toml::array* values = pair.as_array();
      if (!values || values->size() != 2) fail(in, &pair, "each of line.pairs", "[parameters, tokens]");
      out.push_back({number(*values->get(0), "line.pairs", 1, 1e18), number(*values->get(1), "line.pairs", 1, 1e20)});
    }
    const auto same = [&](const Allocation& p) { return std::abs(std::log(p.flops() / out.front().flops())) < 1e-3; };
    if (std::all_of(out.begin(), out.end(), same)) fail(in, list, "line.pairs", "two pairs at least, of different parameters · tokens");
    return out;
  }
  void read_ranges(Law& law) const {
    const toml::table& in = table("range");
    known(in, "range.", {"parameters", "tokens", "flops"});
    law.parameters = range(in, "parameters", "range.", 1, 1e40);
    law.tokens = range(in, "tokens", "range.", 1, 1e40);
    law.flops = range(in, "flops", "range.", 1, 1e40);
  }

  std::string label_;
  toml::table root_;
};

std::string numbers(const std::vector<double>& values) {
  std::vector<std::string> texts;
  // Six digits: refits to resampled points know no more.
  for (const double v : values) texts.push_back(fmt::format("{:.6g}", v));
  return fmt::format("[{}]", fmt::join(texts, ", "));
}

std::string line_toml(const Line& line) {
  std::string out = fmt::format("\n[line]\nof = \"{}\"\nvalue = {}\nat_flops = {}\nexponent = {}\n",
                                line.of == Line::Of::tokens ? "tokens" : "parameters", line.value, line.at_flops, line.exponent);
  if (line.exponent_interval)
    out += fmt::format("exponent_interval_80 = [{}, {}]\npivot_flops = {}\n", line.exponent_interval->low, line.exponent_interval->high,
                       line.pivot_flops);
  return out;
}

}  // namespace

Law parse_law(std::string_view toml, const std::string& label) { return Reader(toml, label).read(); }

std::vector<Law> published_laws() {
  std::vector<Law> out;
  for (const std::string& name : files::example_names("laws")) out.push_back(find_law(name));
  return out;
}

Law find_law(const std::string& name) {
  if (is_copied_square_root(name)) throw UsageError(why_not_copied_square_root());
  const std::filesystem::path path = files::find_example("laws", "law", name);
  return parse_law(files::read_file(path), path.string());
}

std::string to_toml(const Law& law) {
  std::string out = fmt::format("version = {}\ntitle = {}\nsource = {}\ntrust = \"{}\"\nembeddings = {}\nform = \"{}\"\n", kVersion,
                                config::quoted(law.title), config::quoted(law.source), name(law.trust), law.embeddings, name(law.form));
  if (!law.caveats.empty()) {
    out += "caveats = [\n";
    for (const std::string& caveat : law.caveats) out += fmt::format("  {},\n", config::quoted(caveat));
    out += "]\n";
  }
  const std::vector<std::string> names = coefficient_names(law.form);
  if (!names.empty()) out += "\n[coefficients]\n";
  for (std::size_t i = 0; i < names.size(); ++i) out += fmt::format("{} = {}\n", names[i], law.coefficients[i]);
  if (!law.standard_errors.empty()) out += "\n[standard_error]\n";
  for (const auto& [key, value] : law.standard_errors) out += fmt::format("{} = {}\n", key, value);
  if (!law.intervals.empty()) out += "\n[interval_95]\n";
  for (const auto& [key, value] : law.intervals) out += fmt::format("{} = [{}, {}]\n", key, value.low, value.high);
  if (law.line) out += line_toml(*law.line);
  if (law.parameters || law.tokens || law.flops) out += "\n[range]\n";
  for (const auto& [key, value] : {std::pair("parameters", law.parameters), {"tokens", law.tokens}, {"flops", law.flops}})
    if (value) out += fmt::format("{} = [{}, {}]\n", key, value->low, value->high);
  if (!law.draws.empty()) out += "\n[bootstrap]\ndraws = [\n";
  for (const std::vector<double>& draw : law.draws) out += "  " + numbers(draw) + ",\n";
  if (!law.draws.empty()) out += "]\n";
  return out;
}

bool is_copied_square_root(std::string_view name) {
  std::string letters;
  for (const char c : name)
    if (std::isalnum(static_cast<unsigned char>(c)) || c == '.') letters += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return letters.find("sqrt") != std::string::npos &&
         (letters.find("0.7") != std::string::npos || letters.find("1.4") != std::string::npos || letters.find("07") != std::string::npos ||
          letters.find("14") != std::string::npos);
}

std::string why_not_copied_square_root() {
  return "N = 0.7·√C with D = 1.4·√C is not offered: 6·N·D is then 5.88·C, so it spends nearly six times the budget, and D/N is 2: at the "
         "compute it really spends, 3.2 times too few tokens for 3.2 times too many parameters beside D = 20·N. Use --law "
         "twenty-tokens-per-parameter, N = √(C/120), or a fitted law such as epoch-2024";
}

}  // namespace longhaul::scaling
