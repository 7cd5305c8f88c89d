#include "command_line.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "units/error.h"
#include "units/nearest.h"

namespace longhaul::app {

namespace {

/// CLI11's own checks print the largest double in 309 digits.
template <class Good>
CLI::Validator number_that(const std::string& allowed, const Good& good) {
  return CLI::Validator(
      [allowed, good](std::string& text) {
        double value = 0;
        if (!CLI::detail::lexical_cast(text, value) || !std::isfinite(value)) return "'" + text + "' is not a number";
        return good(value) ? std::string() : text + " is not allowed; allowed: " + allowed;
      },
      allowed);
}

/// Names the verb that was meant; CLI11 would say that one is required.
void check_verb(const CLI::App& app, int argc, char** argv) {
  std::vector<std::string> verbs;
  for (const CLI::App* below : app.get_subcommands(nullptr)) verbs.push_back(below->get_name());
  const std::string_view written = argc > 1 ? argv[1] : "-";
  if (verbs.empty() || written.starts_with('-') || std::find(verbs.begin(), verbs.end(), written) != verbs.end()) return;
  throw UsageError(
      fmt::format("there is no verb '{}'; allowed: {}; nearest: {}", written, fmt::join(verbs, ", "), nearest(written, verbs)));
}

}  // namespace

Option Option::required() const { return Option(option_->required()); }
Option Option::non_negative() const {
  return Option(option_->check(number_that("≥ 0", [](double v) { return v >= 0; })));
}
Option Option::positive() const {
  return Option(option_->check(number_that("> 0", [](double v) { return v > 0; })));
}
Option Option::between(double low, double high) const {
  return Option(option_->check(number_that(fmt::format("{} to {}", low, high), [=](double v) { return v >= low && v <= high; })));
}
Option Option::not_empty() const {
  return Option(
      option_->check(CLI::Validator([](std::string& text) { return text.empty() ? std::string("is empty") : std::string(); }, "")));
}
Option Option::needs(Option other) const { return Option(option_->needs(other.option_)); }
Option Option::one_of(const std::vector<std::string>& values) const { return Option(option_->check(CLI::IsMember(values))); }
Option Option::excludes(Option other) const { return Option(option_->excludes(other.option_)); }
Option Option::one_value_each_time() const { return Option(option_->allow_extra_args(false)); }
Option Option::show_default() const { return Option(option_->capture_default_str()); }

CommandLine::CommandLine(const std::string& name, const std::string& help) : app_(std::make_shared<CLI::App>(help, name)) {}

template <typename T>
Option CommandLine::option(const std::string& names, T& value, const std::string& help) {
  return Option(app_->add_option(names, value, help));
}

template Option CommandLine::option(const std::string&, int&, const std::string&);
template Option CommandLine::option(const std::string&, std::int64_t&, const std::string&);
template Option CommandLine::option(const std::string&, std::uint64_t&, const std::string&);
template Option CommandLine::option(const std::string&, double&, const std::string&);
template Option CommandLine::option(const std::string&, std::string&, const std::string&);
template Option CommandLine::option(const std::string&, std::filesystem::path&, const std::string&);
template Option CommandLine::option(const std::string&, std::vector<std::string>&, const std::string&);

Option CommandLine::flag(const std::string& name, bool& value, const std::string& help) {
  return Option(app_->add_flag(name, value, help));
}

CommandLine CommandLine::verb(const std::string& name, const std::string& help) {
  CLI::App* below = app_->add_subcommand(name, help);
  app_->require_subcommand(1);
  return CommandLine(std::shared_ptr<CLI::App>(app_, below));
}

bool CommandLine::parsed() const { return app_->parsed(); }

std::optional<int> CommandLine::parse(int argc, char** argv) {
  try {
    check_verb(*app_, argc, argv);
    app_->parse(argc, argv);
    return std::nullopt;
  } catch (const CLI::ParseError& error) {
    return app_->exit(error) == 0 ? 0 : static_cast<int>(ExitCode::usage);
  }
}

}  // namespace longhaul::app
