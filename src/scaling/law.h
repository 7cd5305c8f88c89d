// scaling/law.h — scaling laws: what loss a model of N parameters reaches on D tokens, and how a budget of compute is best split.
//
// A law is a surface of the loss, a line of optimal sizes, or both. Surfaces are Chinchilla's L = E + A/N^α + B/D^β (Hoffmann et al. 2022
// eq. 2; accounting D4) and Kaplan's L = [(Nc/N)^(αN/αD) + Dc/D]^αD (Kaplan et al. 2020 eq. 1.5), which are one form with an outer
// exponent, so that one optimum serves both. Training costs C = 6·N·D FLOPs throughout (accounting D1, six_n). Loss is in nats per token
// of the law's own data and tokenizer: losses of two laws say nothing of each other. Whether N counts embeddings is the law's convention.
// Laws are files, examples/laws/*.toml (scaling/law_file.h), with source, uncertainty and caveats.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace longhaul::scaling {

/// Training FLOPs of one parameter and one token: 2 forward, 4 backward.
inline constexpr double kFlopsPerParameterToken = 6;
/// Serving: the forward pass alone.
inline constexpr double kServingFlopsPerParameterToken = 2;

/// N and D of a run.
struct Allocation {
  double parameters = 0, tokens = 0;
  double flops() const { return kFlopsPerParameterToken * parameters * tokens; }
  double tokens_per_parameter() const { return tokens / parameters; }
};

/// Two ends, both included.
struct Range {
  double low = 0, high = 0;
  bool contains(double x) const { return low <= x && x <= high; }
};

/// L(N, D) = E + (A/N^α + B/D^β)^γ: Chinchilla's with γ = 1; Kaplan's with E = 0, α = αN/αD, A = Nc^α, B = Dc, β = 1, γ = αD.
struct Surface {
  double irreducible = 0;                    ///< E, nats
  double a = 0, alpha = 0, b = 0, beta = 0;  ///< A, α, B, β
  double outer = 1;                          ///< γ

  /// Nats per token. @param parameters, tokens above 0
  double loss(double parameters, double tokens) const;
  double loss(const Allocation& at) const { return loss(at.parameters, at.tokens); }
  /// The N and D of least loss with 6·N·D = `flops`: N = G(C/6)^(β/(α+β)), D = (1/G)(C/6)^(α/(α+β)), G = (αA/βB)^(1/(α+β)).
  Allocation optimum(double flops) const;
  /// N grows as C to this power, β/(α+β); D to the rest of 1.
  double parameters_exponent() const { return beta / (alpha + beta); }
  /// Tokens with which a model of `parameters` reaches `loss`; nothing where no number of tokens is enough.
  std::optional<double> tokens_for(double loss, double parameters) const;
};
Surface kaplan_surface(double nc, double dc, double alpha_n, double alpha_d);

/// A loss of one variable (FLOPs, parameters or tokens): L(x) = L∞ + a·x^−α (accounting D3).
struct PowerLaw {
  double irreducible = 0, a = 0, alpha = 0;
  double loss(double x) const;
};

/// N or D as a power of the compute: `value`·(C/at_flops)^exponent. The other is C/(6·it).
struct Line {
  enum class Of { parameters, tokens } of = Of::parameters;
  double value = 0, at_flops = 1, exponent = 0;
  std::optional<Range> exponent_interval;  ///< 80 %, of `exponent`; it turns the line around `pivot_flops`
  double pivot_flops = 0;                  ///< the middle of the budgets that were trained (geometric)
  Allocation optimum(double flops) const;
};
/// The line of least squares through published pairs of N and D in logarithms, N over C = 6·N·D. At least two pairs of different compute.
Line line_through(const std::vector<Allocation>& pairs);

enum class Form { chinchilla, kaplan, power_flops, power_parameters, power_tokens, line };
std::string_view name(Form form);
/// Throws UsageError with the nearest name.
Form parse_form(std::string_view text);
/// A form of one variable: power_….
bool of_one_variable(Form form);
/// Coefficients of a form by the names that papers give them, in their order: E, A, B, alpha, beta …
std::vector<std::string> coefficient_names(Form form);

/// How sure the figures of a law are.
enum class Trust {
  verified,   ///< read in the authors' own text, code or data
  secondary,  ///< read in others' copies of the paper, which agree
  fitted,     ///< fitted by this program to the points that `source` names
  rule,       ///< a rule of thumb
};
std::string_view name(Trust trust);

struct Law {
  std::string id;  ///< the file's name: "epoch-2024"
  std::string title, source;
  Trust trust = Trust::verified;
  bool embeddings = true;  ///< N counts them
  std::vector<std::string> caveats;
  Form form = Form::chinchilla;
  std::vector<double> coefficients;               ///< as coefficient_names(form) has them; empty for a line
  std::map<std::string, double> standard_errors;  ///< of coefficients, where published
  std::map<std::string, Range> intervals;         ///< 95 %, of coefficients, where published
  std::vector<std::vector<double>> draws;         ///< coefficients of refits to resampled points; may be empty
  std::optional<Line> line;
  std::optional<Range> parameters, tokens, flops;  ///< of the runs that the law rests on

  /// The surface of a form of two variables; nothing for a line or a form of one.
  std::optional<Surface> surface() const;
};
/// The surface that coefficients of a form describe.
std::optional<Surface> surface_of(Form form, const std::vector<double>& coefficients);
std::optional<PowerLaw> power_law_of(Form form, const std::vector<double>& coefficients);

/// What a law says of a budget. Intervals are 80 %: of the refits' optima where the law has draws (each at the same budget), of the
/// exponent's interval for a line; absent where the source gives nothing that can be carried forward.
struct Advice {
  Allocation at;
  std::optional<double> loss;
  std::optional<Range> parameters, tokens, tokens_per_parameter, loss_interval;
  std::optional<double> beyond;  ///< compute ÷ that of the law's largest run where above it, ÷ the smallest's where below; of N and D, the
                                 ///< farther, where compute is not known
};
/// @param flops 6·N·D, above 0. Throws UsageError for a law of one variable, which splits no budget.
Advice advise(const Law& law, double flops);

/// The loss of a run by a law, with its 80 % interval where the law has draws; nothing where the law has no surface.
struct LossEstimate {
  double loss = 0;
  std::optional<Range> interval;
};
std::optional<LossEstimate> estimate_loss(const Law& law, const Allocation& at);

/// Refits below which no interval is given: a tenth of fewer is not two of them.
inline constexpr std::size_t kFewestDraws = 20;
/// The range that holds four fifths of the values: their 10th and 90th percentiles, linearly interpolated. Not empty.
Range middle_80(std::vector<double> values);

}  // namespace longhaul::scaling
