// Points of a scaling law and law files: any bytes are points with figures in their ranges, or a law whose optimum is finite and which
// reads back as it is written, or are refused with a UsageError.
//
// Few inputs begin with a header that names the columns or the fields, so each is also tried below right ones.
// rooms: scaling
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "scaling/fit_law.h"
#include "scaling/law_file.h"
#include "scaling/points.h"
#include "units/error.h"

namespace {

using namespace longhaul::scaling;

void check(bool holds) {
  if (!holds) std::abort();
}

void points(const std::string& text) {
  try {
    const longhaul::files::Csv csv = longhaul::files::Csv::parse(text, "fuzz.csv");
    (void)kind_of(csv);
    const std::vector<Point> points = read_points(csv);
    for (const Point& p : points)
      check(p.at.parameters >= 1 && p.at.tokens >= 1 && p.flops >= 1 && p.loss > 0 && std::isfinite(p.at.flops()) && std::isfinite(p.loss));
    if (points.size() > 64) return;  // a descent takes time that looks like a hang
    FitLawOptions options;
    options.starts = 1, options.bootstrap = 1;
    for (const double c : fit_law(points, options).values()) check(std::isfinite(c) && c > 0);
  } catch (const longhaul::UsageError&) {
  }
}

void law(const std::string& text) {
  try {
    const Law law = parse_law(text, "fuzz.toml");
    const Law again = parse_law(to_toml(law), "fuzz.toml");
    check(again.coefficients == law.coefficients && again.draws.size() == law.draws.size());
    if (of_one_variable(law.form)) return;
    const Advice at = advise(law, 1e21);
    check(at.at.parameters > 0 && std::isfinite(at.at.parameters) && at.at.tokens > 0 && std::isfinite(at.at.tokens));
    check(!at.loss || std::isfinite(*at.loss));
  } catch (const longhaul::UsageError&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  points(text);
  points("Model Size,Training FLOP,loss\n" + text);
  law(text);
  const std::string head = "version = 1\ntitle = \"t\"\nsource = \"s\"\ntrust = \"fitted\"\nembeddings = true\nform = ";
  law(head + "\"chinchilla\"\n[coefficients]\nE = 1.8\nA = 480\nB = 2100\nalpha = 0.35\n" + text);
  law(head + "\"kaplan\"\n[coefficients]\nNc = 6e13\nDc = 2e13\nalpha_N = 0.076\n" + text);
  law(head + "\"line\"\n[line]\n" + text);
  return 0;
}
