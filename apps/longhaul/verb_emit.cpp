// longhaul emit: a planned run as another system's configuration.
#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "cluster_arguments.h"
#include "console.h"
#include "files/disk.h"
#include "interop/emission.h"
#include "run_arguments.h"
#include "units/error.h"
#include "units/format.h"
#include "units/units.h"
#include "verbs.h"

namespace longhaul::app {
namespace {

/// The name under which Python imports the file.
std::string module_of(const std::string& out) {
  if (out.empty()) return "longhaul_run";
  std::string stem = std::filesystem::path(out).stem().string();
  interop::check_python_module(stem, out);
  return stem;
}

/// The plan in one line, for the head of the file.
std::string planned(const plan::Forecast& forecast) {
  std::string out = fmt::format("Planned: {} a step, MFU {:.1f} %", format(Seconds(forecast.step.seconds)), 100 * forecast.mfu());
  if (forecast.seconds_interval)
    out += fmt::format(" (80 % interval {} to {})", format(Seconds(forecast.seconds_interval->low)),
                       format(Seconds(forecast.seconds_interval->high)));
  if (forecast.fit && !forecast.fit->fits)
    out += fmt::format(", does NOT FIT: needs {:.1f} of {:.1f} GiB usable", forecast.fit->needed / kGiB, forecast.fit->available / kGiB);
  return out + fmt::format(", {} tokens in {}", format_count(forecast.facts.tokens.value), format(forecast.run()));
}

nlohmann::json to_json(const interop::Emission& emission, const interop::EmitJob& job, const plan::Forecast& forecast) {
  return {{"system", emission.system},
          {"version", emission.version},
          {"layout", to_text(job.shape.layout)},
          {"micro_batch", job.shape.micro_batch},
          {"devices", job.shape.devices},
          {"fits", forecast.fit ? nlohmann::json(forecast.fit->fits) : nlohmann::json()},
          {"nodes", emission.processes.nodes},
          {"processes_per_node", emission.processes.per_node},
          {"parameters", forecast.parameters.total.value},
          {"steps", job.config.run.steps},
          {"step_seconds", forecast.step.seconds},
          {"mfu", forecast.mfu()},
          {"settings", emission.settings},
          {"not_expressed", emission.not_expressed},
          {"text", emission.text}};
}

}  // namespace

int verb_emit(int argc, char** argv) {
  CommandLine line(
      "longhaul emit",
      "A planned run as the configuration of the system that will train it: Megatron-LM's flags as a shell script, or a\n"
      "torchtitan 0.3 configuration in Python. Takes what `longhaul plan --cluster` takes; what cannot be expressed is listed\n"
      "in the file and in --json. Sequences and micro-batches count sequences, sequence lengths tokens.\n"
      "Example: longhaul emit --for megatron --model llama-3-8b --cluster h100x64 --tokens 300B \\\n"
      "             --layout dp=16,tp=4,pp=1,zero=1,sp=1 --set batch.sequence_length=8192 --set batch.global_batch=128");
  RunArguments run;
  ClusterArguments on;
  std::string system, layout, out;
  line.option("--for", system, "torchtitan or megatron").required();
  run.add_to(line);
  on.framework = "";
  const Option of = on.add_to(line).required();
  line.option("--layout", layout,
              "dp=8,tp=4,pp=2,zero=1 … (default: [parallel] of the run file, else the fastest that `longhaul search` finds)")
      .not_empty()
      .needs(of);
  line.option("--out", out, "file to write (default: stdout)").not_empty();
  if (const std::optional<int> code = line.parse(argc, argv)) return *code;

  if (on.framework.empty()) on.framework = interop::framework_of_system(system);
  interop::EmitJob job;
  const cluster::Cluster cluster = cluster::find_cluster(on.cluster);
  const config::ResolvedConfig resolved = on.resolve(run, {cluster.devices});
  job.config = resolved.config;
  job.model_notes = resolved.model_notes;
  job.llama3_rope = resolved.llama3_rope;
  if (system == "torchtitan") job.module = module_of(out);
  const cost::Calibration calibration = on.calibrate(cluster);
  job.shape = on.shape(job.config, cluster);
  (void)interop::emit(system, job);  // refuses the model before a search for its layout
  const LayoutChoice choice = choose_layout(layout, resolved);
  if (choice.layout)
    job.shape.layout = *choice.layout;
  else
    job.shape = fastest(considered_layouts(job.shape, cluster, calibration, choice.kept, interop::space_of_system(system, job.shape.model)),
                        job.shape);
  const plan::Forecast forecast = plan::forecast(cluster, job.shape, on.facts(job.config, run.model.empty()), calibration);
  if (forecast.fit && !forecast.fit->fits)
    fmt::print(stderr, "warning: by the plan this does not fit: {}; `longhaul search` lists what does\n", forecast.fit->reason);
  for (const std::string& warning : forecast.warnings) fmt::print(stderr, "warning: {}\n", warning);
  job.planned = planned(forecast);
  const interop::Emission emission = interop::emit(system, job);
  if (!out.empty()) {
    files::write_named_file(out, emission.text);
    fmt::print(stderr, "{}: {} ({} things not expressed)\n", out, emission.version, emission.not_expressed.size());
  }
  if (run.json)
    print_json(to_json(emission, job, forecast));
  else if (out.empty())
    fmt::print("{}", emission.text);
  return 0;
}

}  // namespace longhaul::app
