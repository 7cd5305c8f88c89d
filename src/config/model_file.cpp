#include "config/model_file.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "config/options.h"
#include "files/read.h"
#include "units/error.h"
#include "units/one_line.h"

namespace longhaul::config {

namespace fs = std::filesystem;

bool is_hf_file(std::string_view path) { return path.ends_with(".json"); }

model::HfModel read_hf_file(const std::string& path) {
  const std::string text = files::read_file(path);
  nlohmann::json config;
  try {
    config = files::parse_json(text, path);
  } catch (const Error& error) {
    throw UsageError(error.what());
  }
  return model::read_hf_config(config, path);
}

std::string model_name_of(const std::string& path) {
  const fs::path file = fs::absolute(path).lexically_normal();
  const std::string stem = file.stem().string();
  const std::string folder = file.parent_path().filename().string();
  return stem == "config" && !folder.empty() ? folder : stem;
}

nlohmann::json model_json(const model::ModelSpec& spec) {
  RunConfig config;
  config.model = spec;
  nlohmann::json out;
  for (const Option& option : options())
    if (option.table == "model" && option.key != "name") out[std::string(option.key)] = to_json_value(option, config);
  return out;
}

std::string model_toml(const model::ModelSpec& spec, const std::string& comment) {
  static constexpr std::array<std::string_view, 7> kSizes{"layers", "width", "heads", "kv_heads", "head_dim", "ffn_width", "vocab"};
  RunConfig given, usual;
  given.model = spec;
  std::string text = "# " + one_line(comment) + "\n[model]\n";
  for (const Option& option : options()) {
    if (option.table != "model" || option.key == "name") continue;
    const bool size = std::find(kSizes.begin(), kSizes.end(), option.key) != kSizes.end();
    const std::string value = to_text(option, given);
    if (size || value != to_text(option, usual)) text += std::string(option.key) + " = " + value + "\n";
  }
  return text;
}

}  // namespace longhaul::config
