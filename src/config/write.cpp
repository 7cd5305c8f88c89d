// A resolved configuration as a run file, as JSON and as a hash.
#include <nlohmann/json.hpp>

#include "config/options.h"
#include "config/resolve.h"
#include "files/read.h"
#include "units/one_line.h"

namespace longhaul::config {

namespace {

constexpr std::size_t kOriginColumn = 44;

constexpr std::string_view kEffects[] = {"none", "recorded", "result"};

/// Whether the option is part of this run's config hash: some are only under one schedule.
bool is_hashed(const Option& option, const RunConfig& config) {
  const LearningRateSchedule kind = config.schedule.kind;
  if (option.field(const_cast<RunConfig&>(config)) == Field(const_cast<std::int64_t*>(&config.run.steps))) {
    return kind != LearningRateSchedule::constant && kind != LearningRateSchedule::inverse_sqrt;
  }
  if (option.key == "decay_fraction" || option.key == "decay_shape") return kind == LearningRateSchedule::wsd;
  return option.effect != Effect::none;
}

}  // namespace

nlohmann::json to_json_value(const Option& option, const RunConfig& config) {
  const Field field = option.field(const_cast<RunConfig&>(config));
  if (auto* boolean = std::get_if<bool*>(&field)) return **boolean;
  if (auto* integer = std::get_if<std::int64_t*>(&field)) return **integer;
  if (auto* real = std::get_if<double*>(&field)) return **real;
  return plain_text(option, config);
}

std::string to_toml(const ResolvedConfig& resolved, bool with_origins) {
  const RunConfig& config = resolved.config;
  std::string text = "# A longhaul run file, resolved: every option, as docs/options.md describes it.\n";
  std::string_view table;
  for (const Option& option : options()) {
    if (option.table != table) text += "\n[" + std::string(table = option.table) + "]\n";
    const std::string name = option.name();
    // The length of a run is given once; reading back computes the other.
    if (name == "run.tokens" && config.run.tokens == 0) continue;
    std::string line =
        (name == "run.steps" && config.run.tokens > 0 ? "# " : "") + std::string(option.key) + " = " + to_text(option, config);
    if (with_origins) {
      line.append(line.size() < kOriginColumn ? kOriginColumn - line.size() : 1, ' ');
      line += "# " + one_line(resolved.origins.at(name));
    }
    text += line + "\n";
  }
  return text;
}

std::string to_json(const ResolvedConfig& resolved) {
  nlohmann::ordered_json document;
  for (const Option& option : options()) {
    document[std::string(option.table)][std::string(option.key)] = {{"value", to_json_value(option, resolved.config)},
                                                                    {"origin", resolved.origins.at(option.name())}};
  }
  document["config_hash"] = config_hash(resolved.config);
  document["warnings"] = resolved.warnings;
  return document.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

std::string options_json() {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  const auto or_null = [](std::string_view text) { return text.empty() ? nlohmann::ordered_json() : nlohmann::ordered_json(text); };
  for (const Option& option : options()) {
    list.push_back({{"table", option.table},
                    {"key", option.key},
                    {"default", option.computed.empty() ? nlohmann::ordered_json(option.fallback) : nlohmann::ordered_json()},
                    {"computed", or_null(option.computed)},
                    {"unit", or_null(option.unit)},
                    {"allowed", allowed(option)},
                    {"effect", kEffects[static_cast<std::size_t>(option.effect)]},
                    {"help", option.help}});
  }
  return nlohmann::ordered_json{{"options", list}}.dump(2);
}

std::string config_hash_text(const RunConfig& config) {
  std::string text;
  for (const Option& option : options()) {
    if (is_hashed(option, config)) text += option.name() + " = " + to_text(option, config) + "\n";
  }
  return text;
}

std::string config_hash(const RunConfig& config) { return files::sha256_hex(config_hash_text(config)); }

}  // namespace longhaul::config
