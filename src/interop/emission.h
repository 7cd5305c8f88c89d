// interop/emission.h — a planned run as another system's configuration: Megatron-LM's flags, or a torchtitan configuration file.
//
// A plan is worth something where the run is started. What is written is what the plan assumes — sizes, batch, schedule, precision,
// parallelism, recomputation — in the system's own words, for a named version; what the system has no words for is refused where the run
// would be another one, and listed where it would be the same run with a difference.
// Sources: Megatron-LM megatron/training/arguments.py and megatron-core 0.16 TransformerConfig; torchtitan 0.3
// torchtitan/config/configs.py, torchtitan/models/llama3. tests/oracle/emit_test.py feeds what is written to both packages.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/run_config.h"
#include "cost/run_shape.h"
#include "interop/launch.h"
#include "model/hf_reader.h"
#include "plan/search_space.h"

namespace longhaul::interop {

/// What is to be written down. `config` gives optimizer, schedule, seed and steps, `shape` everything of the plan.
struct EmitJob {
  config::RunConfig config;
  cost::RunShape shape;
  std::string module = "longhaul_run";  ///< under which torchtitan imports the file
  std::string planned;                  ///< a line of what the plan expects, for the file's head
  /// What the model's own file says that the plan's model does not have: the model that is written has it not either.
  std::vector<std::string> model_notes;
  std::optional<model::Llama3Rope> llama3_rope;  ///< among them, where the system has it: how to ask for it is said
};

struct Emission {
  std::string system, version;
  Processes processes;
  std::string text;                        ///< the file
  nlohmann::json settings;                 ///< the same values under the system's names, as docs/user-guide.md shows
  std::vector<std::string> not_expressed;  ///< a sentence each
};

/// "torchtitan", "megatron".
const std::vector<std::string>& emit_systems();
/// The framework of the calibration (cost/framework.h) that plans for a system.
std::string framework_of_system(std::string_view system);

/// What a search for a system's layout is narrowed to beside what its framework offers.
plan::Restriction space_of_system(std::string_view system, const model::ModelSpec& spec);

/// @throws UsageError that names what the system does not have, and what it does
Emission emit(std::string_view system, const EmitJob& job);

Emission emit_megatron(const EmitJob& job);
Emission emit_torchtitan(const EmitJob& job);

/// The run in a line, for the head of a file: model, devices, layout, batch.
std::string headline(const EmitJob& job);
/// What no other system has of a run file, whatever the system.
std::vector<std::string> never_expressed(const EmitJob& job);
/// Refuses sequences that are no multiple of `unit`, with the nearest that are. `why` says what cuts them.
void require_multiple(std::int64_t sequence_length, std::int64_t unit, std::string_view system, const std::string& why);
/// Throws UsageError "system: sentence" unless `condition` is true.
void require(bool condition, std::string_view system, const std::string& sentence);

}  // namespace longhaul::interop
