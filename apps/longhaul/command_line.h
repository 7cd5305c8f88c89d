// apps/longhaul/command_line.h — a verb's options: declared with the variable that each fills, then parsed once.
//
//   CommandLine line("longhaul eval", "Held-out loss of …\nExample: longhaul eval examples/demo.toml");
//   std::int64_t max_tokens = 0;
//   line.option("--max-tokens", max_tokens, "tokens to read at most").non_negative();
//   if (const std::optional<int> code = line.parse(argc, argv)) return *code;
//
// CLI11 does the work and is seen by command_line.cpp alone: its headers cost ten seconds of compiling in every file that includes them.
// A name without dashes is a positional argument. The variables must live until after parse(), which leaves those that were not given
// unchanged. Options hold std::string, std::filesystem::path, int, std::int64_t, std::uint64_t, double, and std::vector<std::string> for
// one that may be repeated.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace longhaul::app {

/// A declared option, to say more about it. Each function returns the option, so that they can be written in a row.
class Option {
 public:
  explicit Option(CLI::Option* option) : option_(option) {}
  Option required() const;
  Option non_negative() const;
  Option positive() const;
  Option between(double low, double high) const;  ///< both ends included
  Option one_of(const std::vector<std::string>& values) const;
  Option not_empty() const;
  Option excludes(Option other) const;  ///< giving both is a mistake
  Option needs(Option other) const;     ///< giving this one without the other is a mistake
  Option one_value_each_time() const;   ///< of a vector: `--set a=1 RUN.toml` leaves RUN.toml to the positional argument
  Option show_default() const;          ///< the variable's value at this moment is part of the help

 private:
  CLI::Option* option_;  // of the CommandLine that declared it
};

/// The arguments of a verb, or of one of the verbs below it. Copies are the same command line.
class CommandLine {
 public:
  /// @param name as the usage line shows it; @param help what it does, what it costs, and an example
  CommandLine(const std::string& name, const std::string& help);

  template <typename T>
  Option option(const std::string& names, T& value, const std::string& help);
  Option flag(const std::string& name, bool& value, const std::string& help);

  /// A verb below this one; when there are any, exactly one must be given.
  CommandLine verb(const std::string& name, const std::string& help);
  /// Whether this verb was given.
  bool parsed() const;

  /// Help goes to stdout, mistakes to stderr.
  /// @return the code to exit with when nothing is left to do: 0 after help, 2 after a mistake
  std::optional<int> parse(int argc, char** argv);

 private:
  explicit CommandLine(std::shared_ptr<CLI::App> app) : app_(std::move(app)) {}
  std::shared_ptr<CLI::App> app_;  // a verb below shares the ownership of the whole
};

}  // namespace longhaul::app
