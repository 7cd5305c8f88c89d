#include "plan/explain/expression.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <stdexcept>

namespace longhaul::plan {
namespace {

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

constexpr std::array<std::string_view, 6> kFunctions{"max", "min", "sqrt", "exp", "log2", "ceil"};
bool is_function(std::string_view name) { return std::find(kFunctions.begin(), kFunctions.end(), name) != kFunctions.end(); }

/// The word that begins at `at`.
std::string_view word(std::string_view text, std::size_t at) {
  std::size_t end = at;
  while (end < text.size() && (is_letter(text[end]) || is_digit(text[end]))) ++end;
  return text.substr(at, end - at);
}

/// Calls `other` with each stretch of text between symbols and `symbol` with each symbol.
template <class Other, class Symbol>
void each_symbol(std::string_view text, const Other& other, const Symbol& symbol) {
  std::size_t from = 0;
  for (std::size_t i = 0; i < text.size();) {
    if (is_digit(text[i])) {  // so that 1e9 holds no symbol
      while (i < text.size() && (is_digit(text[i]) || is_letter(text[i]) || text[i] == '.')) ++i;
    } else if (is_letter(text[i])) {
      const std::string_view name = word(text, i);
      if (!is_function(name)) {
        other(text.substr(from, i - from));
        symbol(name);
        from = i + name.size();
      }
      i += name.size();
    } else {
      ++i;
    }
  }
  other(text.substr(from));
}

/// Recursive descent: sum → product → power → atom.
class Parser {
 public:
  Parser(std::string_view text, const std::function<double(std::string_view)>& value) : text_(text), value_(value) {}

  double whole() {
    const double out = sum();
    if (at_ < text_.size()) fail("the end");
    return out;
  }

 private:
  double sum() {
    double out = product();
    for (;;) {
      if (take("+"))
        out += product();
      else if (take("−") || take("-"))
        out -= product();
      else
        return out;
    }
  }
  double product() {
    double out = power();
    for (;;) {
      if (take("·"))
        out *= power();
      else if (take("÷") || take("/"))
        out /= power();
      else
        return out;
    }
  }
  double power() {
    const double base = atom();
    if (take("²")) return base * base;
    return take("^") ? std::pow(base, power()) : base;
  }
  double atom() {
    if (take("(")) {
      const double out = sum();
      expect(")");
      return out;
    }
    skip_spaces();
    if (at_ < text_.size() && is_digit(text_[at_])) return number();
    const std::string_view name = word(text_, at_);
    if (name.empty()) fail("a number or a symbol");
    at_ += name.size();
    return is_function(name) ? call(name) : value_(name);
  }
  double number() {
    double out = 0;
    const auto [end, error] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), out);
    if (error != std::errc{}) fail("a number");
    at_ = static_cast<std::size_t>(end - text_.data());
    return out;
  }
  double call(std::string_view name) {
    expect("(");
    const double first = sum();
    if (name == "max" || name == "min") {
      expect(",");
      const double second = sum();
      expect(")");
      return name == "max" ? std::max(first, second) : std::min(first, second);
    }
    expect(")");
    if (name == "sqrt") return std::sqrt(first);
    if (name == "exp") return std::exp(first);
    return name == "log2" ? std::log2(first) : std::ceil(first);
  }

  void skip_spaces() {
    while (at_ < text_.size() && text_[at_] == ' ') ++at_;
  }
  bool take(std::string_view token) {
    skip_spaces();
    if (!text_.substr(at_).starts_with(token)) return false;
    at_ += token.size();
    return true;
  }
  void expect(std::string_view token) {
    if (!take(token)) fail(token);
  }
  [[noreturn]] void fail(std::string_view wanted) const {
    throw std::logic_error("formula '" + std::string(text_) + "': " + std::string(wanted) + " expected at byte " + std::to_string(at_));
  }

  const std::string_view text_;
  const std::function<double(std::string_view)>& value_;
  std::size_t at_ = 0;
};

}  // namespace

double evaluate(std::string_view expression, const std::function<double(std::string_view)>& value) {
  return Parser(expression, value).whole();
}

std::string substitute(std::string_view expression, const std::function<std::string(std::string_view)>& written) {
  std::string out;
  each_symbol(
      expression, [&](std::string_view between) { out += between; }, [&](std::string_view name) { out += written(name); });
  return out;
}

std::vector<std::string> symbols(std::string_view expression) {
  std::vector<std::string> out;
  each_symbol(
      expression, [](std::string_view) {},
      [&](std::string_view name) {
        if (std::find(out.begin(), out.end(), name) == out.end()) out.emplace_back(name);
      });
  return out;
}

}  // namespace longhaul::plan
