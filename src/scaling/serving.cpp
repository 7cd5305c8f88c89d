#include "scaling/serving.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "units/error.h"

namespace longhaul::scaling {
namespace {

/// The place of the least of a function that falls and then rises, by golden section.
template <class F>
double least_of(double low, double high, const F& f) {
  const double golden = (std::sqrt(5) - 1) / 2;
  double left = high - golden * (high - low), right = low + golden * (high - low);
  double at_left = f(left), at_right = f(right);
  constexpr double kPrecise = 1e-9;
  while (high - low > kPrecise) {
    if (at_left < at_right) {
      high = right, right = left, at_right = at_left;
      left = high - golden * (high - low), at_left = f(left);
    } else {
      low = left, left = right, at_left = at_right;
      right = low + golden * (high - low), at_right = f(right);
    }
  }
  return (low + high) / 2;
}

}  // namespace

double lifetime_flops(const Allocation& at, const Serving& serving) {
  return at.flops() + serving.weight * kServingFlopsPerParameterToken * at.parameters * serving.tokens;
}

ServedOptimum cheapest_of_equal_loss(const Surface& surface, double training_flops, const Serving& serving) {
  const Allocation trained = surface.optimum(training_flops);
  const double loss = surface.loss(trained);
  // A/N^α alone must stay below what the loss leaves: the smallest model that any number of tokens brings there. log(N·D) is convex in
  // log N and so is N: the sum falls and then rises.
  const double smallest = std::log(surface.a / std::pow(loss - surface.irreducible, 1 / surface.outer)) / surface.alpha;
  const auto at = [&](double log_n) { return Allocation{std::exp(log_n), surface.tokens_for(loss, std::exp(log_n)).value_or(INFINITY)}; };
  const double log_n = serving.tokens > 0
                           ? least_of(smallest, std::log(trained.parameters), [&](double x) { return lifetime_flops(at(x), serving); })
                           : std::log(trained.parameters);
  const Allocation best = serving.tokens > 0 ? at(log_n) : trained;
  return {best, loss, lifetime_flops(best, serving) - best.flops()};
}

ServedOptimum best_within(const Surface& surface, double lifetime, const Serving& serving) {
  const double served = serving.weight * kServingFlopsPerParameterToken * serving.tokens;
  const double largest = served > 0 ? lifetime / served : INFINITY;  // nothing is left to train it with
  const Allocation unserved = surface.optimum(lifetime);
  if (!(largest > 1))
    throw UsageError(fmt::format("serving {:.3g} tokens takes more than the whole budget of {:.3g} FLOP for a model of any size",
                                 serving.tokens, lifetime));
  const auto at = [&](double log_n) {
    const double n = std::exp(log_n);
    return Allocation{n, std::max(0.0, (lifetime / n - served) / kFlopsPerParameterToken)};
  };
  const double high = std::min(std::log(unserved.parameters), std::log(largest));
  const double log_n = least_of(std::min(0.0, high - 1), high, [&](double x) {
    const Allocation a = at(x);
    return a.tokens > 0 ? surface.loss(a) : INFINITY;
  });
  const Allocation best = at(log_n);
  return {best, surface.loss(best), lifetime_flops(best, serving) - best.flops()};
}

}  // namespace longhaul::scaling
