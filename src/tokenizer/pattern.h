// tokenizer/pattern.h — how text is cut into pieces before byte-pair encoding: the patterns of published vocabularies by name, or any
// regular expressions (tokenizer/pretokenizer.h has the names; tokenizer/cutter.h does the cutting by expression).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace longhaul::tokenizer {

/// The patterns that have a name. `whole`: text is not cut. `other`: expressions of a file or of the user's own.
enum class PatternKind : std::uint8_t { gpt2, cl100k_base, qwen2, nanochat, o200k_base, tekken, deepseek_v3, whole, other };

/// One step of cutting: every match is a piece, and so is what lies between two matches. The next step cuts each piece again.
struct CutStep {
  std::string expression;     ///< in PCRE2's syntax
  bool keeps_between = true;  ///< false: what lies between matches is dropped (Split with behavior Removed and invert)
  bool operator==(const CutStep&) const = default;
};

/// How text is cut. A vocabulary belongs to exactly one. A small value: copies share the expressions.
class Pattern {
 public:
  static const Pattern gpt2, cl100k_base;

  constexpr Pattern(PatternKind kind) : kind_(kind) {}  // NOLINT(google-explicit-constructor): a kind with a name is a pattern
  /// A named pattern where `steps` are those of one in any published form, else `other`; no step: `whole`.
  explicit Pattern(std::vector<CutStep> steps);

  PatternKind kind() const { return kind_; }
  const std::vector<CutStep>& steps() const;
  bool operator==(const Pattern& right) const;

 private:
  PatternKind kind_;
  std::shared_ptr<const std::vector<CutStep>> steps_;  // of `other`
};

}  // namespace longhaul::tokenizer
