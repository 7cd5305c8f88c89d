// config/resolve.h — from a run file and --set to one checked RunConfig that knows where each value came from.
//
// Precedence, strongest first: --set, the run file, the model's file (model.name), defaults; a few values are then computed from others
// (steps from tokens, virtual ranks, warm-up, order …). Errors are UsageError and name file, line, field, what is allowed and the nearest
// fix. Input limits: 16 MiB, nesting depth 64.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "config/resolved.h"

namespace longhaul::config {

/// One `--set table.key=value`; value is TOML, or a bare string.
using Overrides = std::vector<std::string>;

/// Reads a run file. Paths in it are taken relative to its folder; paths in --set relative to the working directory.
ResolvedConfig resolve_file(const std::string& path, const Overrides& sets = {});
/// A run of this model with defaults for everything else and a budget of 20 tokens per parameter (accounting D5).
/// name: a file, or NAME of a NAME.toml in the model folders (files/examples.h).
ResolvedConfig resolve_model(const std::string& name, const Overrides& sets = {});
/// A run file in memory; `label` stands for its path in messages, `folder` is what its paths are relative to.
ResolvedConfig resolve_text(std::string_view toml, const std::string& label, const std::string& folder, const Overrides& sets = {});

/// The resolved run file; reading it back gives the same RunConfig and hash. with_origins: each line ends with where the value came from.
std::string to_toml(const ResolvedConfig& resolved, bool with_origins);
/// The same as one nested JSON document {"table": {"key": {"value": …, "origin": …}}}.
std::string to_json(const ResolvedConfig& resolved);

/// SHA-256 (hex) over the canonical text of all options that reach a bit of the result. Threads, directories, instruction set, layout,
/// recompute, micro-batch, cadences of saving and logging are not in it; nor is the number of steps where the schedule ignores it.
std::string config_hash(const RunConfig& config);
/// The text that is hashed: one "table.key = value" a line. Two of them, compared, say why a hash differs.
std::string config_hash_text(const RunConfig& config);

}  // namespace longhaul::config
