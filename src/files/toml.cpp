#include "files/toml.h"

#include "units/error.h"

namespace longhaul::files {
namespace {

constexpr std::size_t kMaxBytes = 16u << 20;
constexpr int kMaxDotsPerLine = 32;

[[noreturn]] void fail(const std::string& label, std::size_t line, const std::string& what) {
  throw UsageError(label + ":" + std::to_string(line) + ": " + what);
}

void check_limits(std::string_view text, const std::string& label) {
  if (text.size() > kMaxBytes) fail(label, 1, "larger than 16 MiB, which no TOML file of longhaul is");
  std::size_t line = 1;
  int dots = 0;
  char last = '\n';
  for (const char c : text) {
    // Names are never empty, so neighbouring dots are decoration or text, not nesting.
    if (c == '.' && last != '.' && ++dots > kMaxDotsPerLine)
      fail(label, line, "more than 32 dots on a line: a run file has table.key = value");
    if (c == '\n') ++line, dots = 0;
    last = c;
  }
}

}  // namespace

toml::table parse_toml(std::string_view text, const std::string& label) {
  check_limits(text, label);
  try {
    return toml::parse(text, std::string_view(label));
  } catch (const toml::parse_error& error) {
    fail(label, error.source().begin.line, std::string(error.description()));
  } catch (const std::logic_error&) {
    fail(label, 1, "not TOML: is every byte of it UTF-8?");
  }
}

}  // namespace longhaul::files
