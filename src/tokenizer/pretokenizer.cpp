#include "tokenizer/pretokenizer.h"

#include <algorithm>
#include <string>

#include "tokenizer/cutter.h"
#include "units/error.h"

namespace longhaul::tokenizer {
namespace {

struct PatternEntry {
  PatternKind kind;
  std::string_view name;
  std::vector<CutStep> steps;           ///< as first published; what a tokenizer.json carries
  std::vector<std::string> same;        ///< other expressions that give the same ids
  std::vector<std::string_view> alias;  ///< other names
};

// cl100k_base's expression with runs of at most `digits` numbers ("{1,3}"), as published and in the possessive form of tiktoken 0.14.
std::string cl100k_form(const std::string& digits) {
  return R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N})" + digits +
         R"(| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
}
std::string cl100k_possessive(const std::string& digits) {
  return R"('(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N})" + digits +
         R"(| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s)";
}

// o200k_base's: words that may begin with capitals, or consist of them; `suffix` are the contractions.
std::string o200k_form(const std::string& suffix, const std::string& digits) {
  const std::string upper = R"([\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}])", lower = R"([\p{Ll}\p{Lm}\p{Lo}\p{M}])";
  const std::string before = R"([^\r\n\p{L}\p{N}]?)";
  return before + upper + "*" + lower + "+" + suffix + "|" + before + upper + "+" + lower + "*" + suffix + R"(|\p{N})" + digits +
         R"(| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
}

const std::vector<PatternEntry>& known_patterns() {
  static const std::vector<PatternEntry> patterns = {
      {PatternKind::gpt2,
       "gpt2",
       {{R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)"}},
       {R"('(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s)"},
       {"r50k_base", "p50k_base"}},
      {PatternKind::cl100k_base, "cl100k_base", {{cl100k_form("{1,3}")}}, {cl100k_possessive("{1,3}+")}, {"llama3"}},
      {PatternKind::qwen2, "qwen2", {{cl100k_form("")}}, {cl100k_possessive("")}, {"qwen3", "qwen2.5"}},
      {PatternKind::nanochat, "nanochat", {{cl100k_form("{1,2}")}}, {cl100k_possessive("{1,2}+")}, {}},
      {PatternKind::o200k_base, "o200k_base", {{o200k_form("(?i:'s|'t|'re|'ve|'m|'ll|'d)?", "{1,3}")}}, {}, {"gpt4o", "o200k_harmony"}},
      {PatternKind::tekken, "tekken", {{o200k_form("", "")}}, {}, {}},
      {PatternKind::deepseek_v3,
       "deepseek_v3",
       {{R"(\p{N}{1,3})"},
        {"[一-龥\u3040-ゟ゠-ヿ]+"},
        {"[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\r\n]*"
         "|\\s*[\r\n]+|\\s+(?!\\S)|\\s+"}},
       {},
       {}},
      {PatternKind::whole, "whole", {}, {}, {}},
  };
  return patterns;
}

const PatternEntry& entry_of(PatternKind kind) {
  for (const PatternEntry& entry : known_patterns()) {
    if (entry.kind == kind) return entry;
  }
  throw UsageError("pattern number " + std::to_string(static_cast<int>(kind)) + " does not exist");
}

// Between the matches of a published expression lies nothing, so it does not matter whether that is kept.
bool same_steps(const std::vector<CutStep>& known, const std::vector<CutStep>& steps) {
  return std::equal(known.begin(), known.end(), steps.begin(), steps.end(),
                    [&](const CutStep& a, const CutStep& b) { return a.expression == b.expression && (known.size() == 1 || a == b); });
}

}  // namespace

constinit const Pattern Pattern::gpt2(PatternKind::gpt2);
constinit const Pattern Pattern::cl100k_base(PatternKind::cl100k_base);

Pattern::Pattern(std::vector<CutStep> steps) : kind_(PatternKind::other) {
  for (const PatternEntry& entry : known_patterns()) {
    const bool other_form = steps.size() == 1 && std::ranges::count(entry.same, steps[0].expression) > 0;
    if (same_steps(entry.steps, steps) || other_form) kind_ = entry.kind;
  }
  if (kind_ == PatternKind::other) steps_ = std::make_shared<const std::vector<CutStep>>(std::move(steps));
}

const std::vector<CutStep>& Pattern::steps() const { return kind_ == PatternKind::other ? *steps_ : entry_of(kind_).steps; }

bool Pattern::operator==(const Pattern& right) const {
  return kind_ == right.kind_ && (kind_ != PatternKind::other || *steps_ == *right.steps_);
}

std::string pattern_name(const Pattern& pattern) {
  if (pattern.kind() != PatternKind::other) return std::string(entry_of(pattern.kind()).name);
  std::string name;
  for (const CutStep& step : pattern.steps()) {
    name += (name.empty() ? "regex:" : " then regex:") + step.expression + (step.keeps_between ? "" : " (matches alone)");
  }
  return name;
}

Pattern pattern_from_name(std::string_view name) {
  constexpr std::string_view kRegex = "regex:";
  if (name.starts_with(kRegex)) {
    Pattern pattern(std::vector<CutStep>{{std::string(name.substr(kRegex.size()))}});
    if (pattern.kind() != PatternKind::other) return pattern;
    const CompiledPattern check(pattern, "--pattern");  // refuses what cannot be compiled or means different things elsewhere
    return pattern;
  }
  for (const PatternEntry& entry : known_patterns()) {
    if (entry.kind == PatternKind::whole) continue;
    if (entry.name == name || std::ranges::count(entry.alias, name) > 0) return entry.kind;
  }
  throw UsageError("pre-tokeniser pattern '" + std::string(name) + "' is not known; allowed: " + kPatternValues);
}

}  // namespace longhaul::tokenizer
