// plan/explain/expression.h — formulas as text: evaluated with numbers for their symbols, or printed with the numbers in their place.
//
// The text that explains a figure (explain.h) is what computes it in the test: an explanation cannot drift from the plan.
// Grammar: numbers, symbols [a-zA-Z_][a-zA-Z0-9_]*, + − · ÷ ^ and parentheses; functions max(a, b), min(a, b), sqrt, exp, log2, ceil.
// · and ÷ are left-associative, ^ binds strongest and to the right; - and / are − and ÷, a² is a^2.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace longhaul::plan {

/// @param value of a symbol
/// @throws std::logic_error for text that is no expression: formulas are written by programmers
double evaluate(std::string_view expression, const std::function<double(std::string_view)>& value);

/// Each symbol replaced by what `written` gives for it; functions stay.
std::string substitute(std::string_view expression, const std::function<std::string(std::string_view)>& written);

/// Symbols in the order of their first use.
std::vector<std::string> symbols(std::string_view expression);

}  // namespace longhaul::plan
