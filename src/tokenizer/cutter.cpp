#include "tokenizer/cutter.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <fmt/format.h>
#include <pcre2.h>

#include <algorithm>
#include <array>
#include <bitset>

#include "units/error.h"
#include "units/utf8.h"

namespace longhaul::tokenizer {
namespace {

constexpr std::uint32_t kFreeSteps = 4096;  // of one match, not counted: about the cost of entering PCRE2 a few times
constexpr std::uint32_t kMoreSteps = 8;     // times as many in the next try
constexpr std::uint64_t kStepsPerByte = 64, kStepsPerText = 1'000'000;
constexpr std::size_t kStackBytes = 64 << 20;  // taken as a match needs it

struct LaterCharacters {
  char32_t first, last, stand_in;
};

#include "tokenizer/later_characters.inc"

constexpr int kBlockShift = 8;
using Blocks = std::bitset<(0x110000 >> kBlockShift)>;

const Blocks& blocks_with_later_characters() {
  static const Blocks blocks = [] {
    Blocks set;
    for (const LaterCharacters& range : kLaterCharacters) {
      for (char32_t block = range.first >> kBlockShift; block <= range.last >> kBlockShift; ++block) set.set(block);
    }
    return set;
  }();
  return blocks;
}

char32_t stand_in_of(char32_t c) {
  const auto* const range = std::ranges::upper_bound(kLaterCharacters, c, {}, &LaterCharacters::first);
  return range != std::begin(kLaterCharacters) && c <= range[-1].last ? range[-1].stand_in : c;
}

// What stands for different things in PCRE2, Oniguruma's Ruby syntax (tokenizer.json) and Rust (tiktoken). Empty: nothing found.
std::string ambiguous_part(std::string_view expression) {
  bool in_class = false;
  for (std::size_t i = 0; i < expression.size(); ++i) {
    const char c = expression[i], next = i + 1 < expression.size() ? expression[i + 1] : '\0';
    if (c == '\\') {
      if (std::string_view("wWbBhHRXKGQEZCNoug").find(next) != std::string_view::npos || (next >= '0' && next <= '9'))
        return std::string("\\") + next;
      ++i;
    } else if (in_class) {
      if (c == '[') return "[ inside a class";
      if (c == '&' && next == '&') return "&& inside a class";
      in_class = c != ']';
    } else if (c == '[') {
      in_class = true;
      i += next == '^' ? 1 : 0;
    } else if (c == '$' || c == '^' || (c == '(' && next == '*')) {
      return c == '(' ? "(*" : std::string(1, c);
    }
  }
  return {};
}

[[noreturn]] void refuse(const std::string& origin, const std::string& expression, const std::string& why) {
  throw UsageError(fmt::format("{}: the expression '{}' {}", origin, expression, why));
}

std::string message_of_code(int code) {
  std::array<PCRE2_UCHAR, 256> text{};
  pcre2_get_error_message(code, text.data(), text.size());
  return reinterpret_cast<const char*>(text.data());
}

struct CodeDeleter {
  void operator()(pcre2_code* code) const { pcre2_code_free(code); }
};
struct MatchDeleter {
  void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
};
struct ContextDeleter {
  void operator()(pcre2_match_context* context) const { pcre2_match_context_free(context); }
};
struct StackDeleter {
  void operator()(pcre2_jit_stack* stack) const { pcre2_jit_stack_free(stack); }
};
using Code = std::unique_ptr<pcre2_code, CodeDeleter>;

// @param counted   every repetition can be given back, and then its steps are counted: of named patterns it is known what they need
Code compile(const std::string& expression, const std::string& origin, bool counted) {
  if (expression.empty()) refuse(origin, expression, "is empty");
  if (const std::string part = ambiguous_part(expression); !part.empty()) {
    refuse(origin, expression,
           fmt::format("has {}, which means different things in PCRE2, Oniguruma and Rust; write \\z for the end of the "
                       "text and classes of \\p{{…}}, \\s, \\d or characters",
                       part));
  }
  int error = 0;
  PCRE2_SIZE offset = 0;
  Code code(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(expression.data()), expression.size(),
                          PCRE2_UTF | PCRE2_UCP | PCRE2_DOLLAR_ENDONLY | (counted ? PCRE2_NO_AUTO_POSSESS : 0u), &error, &offset, nullptr));
  if (!code) refuse(origin, expression, fmt::format("does not compile at character {}: {}", offset, message_of_code(error)));
  pcre2_jit_compile(code.get(), PCRE2_JIT_COMPLETE);  // where there is none, matching is interpreted
  return code;
}

}  // namespace

std::string with_older_characters(std::string_view text) {
  const auto& blocks = blocks_with_later_characters();
  std::string older;
  std::size_t copied = 0;
  for (std::size_t offset = 0; offset < text.size();) {
    if (static_cast<unsigned char>(text[offset]) < 0xE0) {  // the table has only characters of three or four bytes
      ++offset;
      continue;
    }
    const std::size_t begin = offset;
    const char32_t c = next_code_point(text, offset);
    if (!blocks.test(c >> kBlockShift)) continue;
    const char32_t stand_in = stand_in_of(c);
    if (stand_in == c) continue;
    older.append(text.substr(copied, begin - copied));
    append_utf8(older, stand_in);
    copied = offset;
  }
  return copied == 0 ? older : older.append(text.substr(copied));
}

struct CompiledPattern::Codes {
  struct Step {
    Code code;
    bool keeps_between;
    std::string expression;
  };
  std::vector<Step> steps;
  std::string origin;
};

CompiledPattern::CompiledPattern(const Pattern& pattern, const std::string& origin) {
  auto codes = std::make_unique<Codes>();
  codes->origin = origin;
  for (const CutStep& step : pattern.steps())
    codes->steps.push_back({compile(step.expression, origin, pattern.kind() == PatternKind::other), step.keeps_between, step.expression});
  codes_ = std::move(codes);
}
CompiledPattern::~CompiledPattern() = default;

struct Cutter::State {
  std::unique_ptr<pcre2_match_data, MatchDeleter> match{pcre2_match_data_create(1, nullptr)};
  std::unique_ptr<pcre2_match_context, ContextDeleter> context{pcre2_match_context_create(nullptr)};
  std::unique_ptr<pcre2_jit_stack, StackDeleter> stack{pcre2_jit_stack_create(32 << 10, kStackBytes, nullptr)};
  std::vector<Range> pieces, before;
  std::uint64_t spent = 0, allowed = 0;  // steps of the text

  State() {
    pcre2_set_heap_limit(context.get(), kStackBytes >> 10);
    pcre2_jit_stack_assign(context.get(), nullptr, stack.get());
  }

  void add(std::size_t begin, std::size_t end) {
    if (begin < end) pieces.push_back({begin, end});
  }

  // The next match in [at, part.end) of the part, as offsets into the text.
  bool find(const CompiledPattern::Codes::Step& step, std::string_view text, Range part, std::size_t at, Range& found,
            const std::string& origin) {
    const auto* const subject = reinterpret_cast<PCRE2_SPTR>(text.data() + part.begin);
    int code = PCRE2_ERROR_MATCHLIMIT;
    for (std::uint32_t steps = kFreeSteps; code == PCRE2_ERROR_MATCHLIMIT && spent <= allowed; steps *= kMoreSteps) {
      pcre2_set_match_limit(context.get(), steps);
      code = pcre2_match(step.code.get(), subject, part.end - part.begin, at - part.begin, PCRE2_NO_UTF_CHECK, match.get(), context.get());
      if (code == PCRE2_ERROR_MATCHLIMIT) spent += steps;
      if (steps > UINT32_MAX / kMoreSteps) break;
    }
    if (code == PCRE2_ERROR_NOMATCH) return false;
    if (code < 0) {
      throw DataError(fmt::format("{}: the expression '{}' gives up at byte {} of a text ({}); allowed: {} steps a byte in all", origin,
                                  step.expression, at, message_of_code(code), kStepsPerByte));
    }
    const PCRE2_SIZE* const range = pcre2_get_ovector_pointer(match.get());
    found = {part.begin + range[0], part.begin + std::max(range[0], range[1])};  // \K is refused, so the order holds
    return true;
  }

  void cut(const CompiledPattern::Codes::Step& step, std::string_view text, Range part, const std::string& origin) {
    std::size_t done = part.begin;
    Range found;
    for (std::size_t at = part.begin; at < part.end && find(step, text, part, at, found, origin);) {
      if (step.keeps_between) add(done, found.begin);
      add(found.begin, found.end);
      done = at = found.end;
      if (found.begin == found.end && at < part.end) next_code_point(text, at);  // a match of nothing still ends a piece
    }
    if (step.keeps_between) add(done, part.end);
  }
};

Cutter::Cutter(std::shared_ptr<const CompiledPattern> pattern) : pattern_(std::move(pattern)), state_(std::make_unique<State>()) {}
Cutter::~Cutter() = default;
Cutter::Cutter(Cutter&&) noexcept = default;
Cutter& Cutter::operator=(Cutter&&) noexcept = default;

const std::vector<Range>& Cutter::cut(std::string_view text) {
  const std::string older = with_older_characters(text);
  if (!older.empty()) text = older;  // the offsets are the same
  State& state = *state_;
  state.pieces.clear();
  state.spent = 0;
  state.allowed = kStepsPerText + kStepsPerByte * text.size();
  state.add(0, text.size());
  for (const CompiledPattern::Codes::Step& step : pattern_->codes_->steps) {
    std::swap(state.before, state.pieces);
    state.pieces.clear();
    for (const Range& part : state.before) state.cut(step, text, part, pattern_->codes_->origin);
  }
  return state.pieces;
}

}  // namespace longhaul::tokenizer
