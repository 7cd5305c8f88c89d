// config/model_file.h — models as files: a Hugging Face config.json read, and a ModelSpec written as examples/models/NAME.toml are.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "model/hf_reader.h"

namespace longhaul::config {

/// Whether a model's file is taken for a Hugging Face configuration: its name ends in .json.
bool is_hf_file(std::string_view path);
/// @throws UsageError for a file that is no JSON within the limits of files/read.h or no model that can be read, files::FileError
model::HfModel read_hf_file(const std::string& path);
/// A name for a model that was found by path: its file's, or its folder's for a file called config.json.
std::string model_name_of(const std::string& path);

/// The [model] table of a spec: its sizes, and each axis that has not its default. Reading it back gives the same spec.
/// @param comment  the file's first line, without "# "
std::string model_toml(const model::ModelSpec& spec, const std::string& comment);

/// Every axis of a spec by its key in [model].
nlohmann::json model_json(const model::ModelSpec& spec);

}  // namespace longhaul::config
