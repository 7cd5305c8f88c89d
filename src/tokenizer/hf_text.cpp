#include "tokenizer/hf_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "tokenizer/pretokenizer.h"
#include "units/error.h"

namespace longhaul::tokenizer {
namespace {

using HfJson = nlohmann::json;
using HfOrderedJson = nlohmann::ordered_json;

constexpr const char* kDigitEach = R"(\p{N})";
constexpr const char* kDigitRuns = R"(\p{N}+)";
constexpr const char* kPunctuationEach = R"([!-/:-@\[-`{-~\p{P}])";
constexpr const char* kPunctuationRuns = R"([!-/:-@\[-`{-~\p{P}]+)";
constexpr const char* kMetaspaceWords = "▁[^▁]*|[^▁]+";

bool flag_of(const HfJson& object, const char* key, bool missing) {
  const auto found = object.find(key);
  return found == object.end() || !found->is_boolean() ? missing : found->get<bool>();
}

// A string as an expression that matches it.
std::string escaped_expression(const std::string& text) {
  std::string expression;
  for (const char c : text) {
    if (std::string_view(R"(\^$.[]|()?*+{}-#)").find(c) != std::string_view::npos) expression += '\\';
    expression += c;
  }
  return expression;
}

class HfTextReader {
 public:
  explicit HfTextReader(const std::string& name) : name_(name) {}

  void read_normalizer(const HfJson& value) {
    if (value.is_null()) return;
    const std::string type = text_under(value, "type");
    if (type == "Sequence") {
      for (const HfJson& step : list_of(value, "normalizers", "normalizer")) read_normalizer(step);
    } else if (type == "NFC") {
      text_.rules.normalizer.push_back({NormalizerStep::Kind::nfc, "", ""});
    } else if (type == "Prepend") {
      text_.rules.normalizer.push_back({NormalizerStep::Kind::prepend, "", text_under(value, "prepend")});
    } else if (type == "Replace") {
      const auto pattern = value.find("pattern");
      const std::string from = pattern == value.end() ? "" : text_under(*pattern, "String");
      if (from.empty())
        fail("normalizer Replace has the pattern " + (pattern == value.end() ? "none" : shown_json(*pattern)) +
             "; implemented: {\"String\": …}");
      text_.rules.normalizer.push_back({NormalizerStep::Kind::replace, from, text_under(value, "content")});
    } else {
      fail(fmt::format("normalizer {} is not implemented; implemented: NFC, Prepend, Replace of a string, a Sequence of them",
                       type.empty() ? shown_json(value) : type));
    }
  }

  void read_pre_tokenizer(const HfJson& value) {
    if (value.is_null()) return;
    const std::string type = text_under(value, "type");
    if (type == "Sequence") {
      for (const HfJson& step : list_of(value, "pretokenizers", "pre_tokenizer")) read_pre_tokenizer(step);
      return;
    }
    if (text_.byte_level) fail("pre_tokenizer " + type + " follows ByteLevel, whose byte names it would cut; allowed: ByteLevel last");
    if (type == "ByteLevel") {
      read_byte_level(value);
    } else if (type == "Split") {
      read_split(value);
    } else if (type == "Digits") {
      steps_.push_back({flag_of(value, "individual_digits", false) ? kDigitEach : kDigitRuns});
    } else if (type == "Punctuation") {
      read_punctuation(value);
    } else if (type == "Metaspace") {
      read_metaspace(value);
    } else {
      fail(fmt::format(
          "pre_tokenizer {} is not implemented; implemented: ByteLevel, Split, Digits, Punctuation, Metaspace, a Sequence of them",
          type.empty() ? shown_json(value) : type));
    }
    seen_a_step_ = true;
  }

  HfText finish() {
    text_.pattern = Pattern(std::move(steps_));
    return std::move(text_);
  }

 private:
  [[noreturn]] void fail(const std::string& what) const { throw DataError(name_ + ": " + what); }

  const HfJson& list_of(const HfJson& value, const char* key, const char* what) const {
    const auto found = value.find(key);
    if (found == value.end() || !found->is_array()) fail(fmt::format("{} is a Sequence without a list '{}'", what, key));
    return *found;
  }

  void read_byte_level(const HfJson& value) {
    text_.byte_level = true;
    if (flag_of(value, "add_prefix_space", false)) {
      if (seen_a_step_)
        fail(
            "pre_tokenizer ByteLevel has add_prefix_space behind another step, where every piece would get a space; allowed: as the only "
            "step");
      text_.rules.prefix_space = true;
    }
    if (flag_of(value, "use_regex", true)) steps_.push_back(Pattern::gpt2.steps().front());  // a missing one counts as true
  }

  void read_split(const HfJson& value) {
    const auto pattern = value.find("pattern");
    const std::string regex = pattern == value.end() ? "" : text_under(*pattern, "Regex");
    const std::string string = pattern == value.end() ? "" : text_under(*pattern, "String");
    const std::string behavior = text_under(value, "behavior");
    const bool invert = flag_of(value, "invert", false);
    if (regex.empty() && string.empty()) fail("pre_tokenizer Split has no pattern {\"Regex\": …} or {\"String\": …}: " + shown_json(value));
    if (is_replaced_before(string)) return;  // Gemma: splits at spaces, of which the normalizer leaves none
    if (behavior != "Isolated" && !(behavior == "Removed" && invert)) {
      fail(fmt::format("pre_tokenizer Split has behavior {} with invert {}; implemented: Isolated, and Removed with invert true", behavior,
                       invert));
    }
    steps_.push_back({regex.empty() ? escaped_expression(string) : regex, behavior == "Isolated"});
  }

  bool is_replaced_before(const std::string& string) const {
    return !string.empty() && std::ranges::any_of(text_.rules.normalizer, [&](const NormalizerStep& step) {
      return step.kind == NormalizerStep::Kind::replace && step.from == string && step.to.find(string) == std::string::npos;
    });
  }

  void read_punctuation(const HfJson& value) {
    const std::string behavior = value.contains("behavior") ? text_under(value, "behavior") : "Isolated";
    if (behavior != "Isolated" && behavior != "Contiguous") {
      fail("pre_tokenizer Punctuation has behavior " + behavior + "; implemented: Isolated, Contiguous");
    }
    steps_.push_back({behavior == "Isolated" ? kPunctuationEach : kPunctuationRuns});
  }

  void read_metaspace(const HfJson& value) {
    if (seen_a_step_) fail("pre_tokenizer Metaspace follows another step; allowed: Metaspace first");
    if (const std::string mark = text_under(value, "replacement"); mark != kMetaspace) {
      fail("pre_tokenizer Metaspace has the replacement '" + mark + "'; implemented: ▁ (U+2581)");
    }
    const std::string scheme = value.contains("prepend_scheme")           ? text_under(value, "prepend_scheme")
                               : flag_of(value, "add_prefix_space", true) ? "always"
                                                                          : "never";
    if (scheme != "always" && scheme != "first" && scheme != "never")
      fail("pre_tokenizer Metaspace has the prepend_scheme '" + scheme + "'; allowed: always, first, never");
    text_.rules.metaspace = scheme == "always" ? Metaspace::always : scheme == "first" ? Metaspace::first : Metaspace::never;
    if (flag_of(value, "split", true)) steps_.push_back({kMetaspaceWords});
  }

  const std::string& name_;
  HfText text_;
  std::vector<CutStep> steps_;
  bool seen_a_step_ = false;
};

HfOrderedJson byte_level_json(bool use_regex, bool prefix_space) {
  return {{"type", "ByteLevel"}, {"add_prefix_space", prefix_space}, {"trim_offsets", true}, {"use_regex", use_regex}};
}

HfOrderedJson replace_json(std::string_view from, std::string_view to) {
  return {{"type", "Replace"}, {"pattern", {{"String", from}}}, {"content", to}};
}

// The list itself where it has one element, null where it has none.
HfOrderedJson sequence_json(const char* key, HfOrderedJson steps) {
  if (steps.empty()) return nullptr;
  if (steps.size() == 1) return steps[0];
  return {{"type", "Sequence"}, {key, std::move(steps)}};
}

}  // namespace

std::string shown_json(const nlohmann::json& value) {
  const std::string text = value.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
  return text.size() > 60 ? text.substr(0, 60) + "…" : text;
}

std::string text_under(const nlohmann::json& object, const char* key) {
  if (!object.is_object()) return "";
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

HfText read_hf_text(const nlohmann::json& root, const std::string& name) {
  HfTextReader reader(name);
  if (const auto normalizer = root.find("normalizer"); normalizer != root.end()) reader.read_normalizer(*normalizer);
  const auto pre_tokenizer = root.find("pre_tokenizer");
  if (pre_tokenizer == root.end()) throw DataError(name + ": pre_tokenizer is missing");
  reader.read_pre_tokenizer(*pre_tokenizer);
  return reader.finish();
}

nlohmann::ordered_json write_normalizer(const TextRules& rules) {
  HfOrderedJson steps = HfOrderedJson::array();
  for (const NormalizerStep& step : rules.normalizer) {
    if (step.kind == NormalizerStep::Kind::nfc) steps.push_back({{"type", "NFC"}});
    if (step.kind == NormalizerStep::Kind::prepend) steps.push_back({{"type", "Prepend"}, {"prepend", step.to}});
    if (step.kind == NormalizerStep::Kind::replace) steps.push_back(replace_json(step.from, step.to));
  }
  return sequence_json("normalizers", std::move(steps));
}

nlohmann::ordered_json write_pre_tokenizer(const TextRules& rules, const Pattern& pattern, Units units) {
  if (units == Units::bytes && pattern.kind() == PatternKind::gpt2) return byte_level_json(true, rules.prefix_space);
  HfOrderedJson steps = HfOrderedJson::array();
  if (rules.metaspace != Metaspace::none) {
    const char* const scheme = rules.metaspace == Metaspace::always ? "always" : rules.metaspace == Metaspace::first ? "first" : "never";
    steps.push_back({{"type", "Metaspace"}, {"replacement", kMetaspace}, {"prepend_scheme", scheme}, {"split", false}});
  }
  for (const CutStep& step : pattern.steps()) {
    steps.push_back({{"type", "Split"},
                     {"pattern", {{"Regex", step.expression}}},
                     {"behavior", step.keeps_between ? "Isolated" : "Removed"},
                     {"invert", !step.keeps_between}});
  }
  if (units == Units::bytes) steps.push_back(byte_level_json(false, rules.prefix_space));
  return sequence_json("pretokenizers", std::move(steps));
}

nlohmann::ordered_json write_decoder(const TextRules& rules, Units units) {
  if (units == Units::bytes) {
    return {{"type", "ByteLevel"}, {"add_prefix_space", true}, {"trim_offsets", true}, {"use_regex", true}};
  }
  HfOrderedJson steps = HfOrderedJson::array({replace_json(kMetaspace, " "), {{"type", "ByteFallback"}}, {{"type", "Fuse"}}});
  if (rules.adds_a_space()) steps.push_back({{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}});
  return {{"type", "Sequence"}, {"decoders", std::move(steps)}};
}

}  // namespace longhaul::tokenizer
