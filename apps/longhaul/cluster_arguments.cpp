#include "cluster_arguments.h"

#include <fmt/format.h>

#include "units/error.h"
#include "units/format.h"

namespace longhaul::app {

void ClusterArguments::add_to(CommandLine& line, const std::string& when) {
  line.option("--cluster", cluster, "plan for NAME or NAMExDEVICES of the catalogue (`longhaul cluster list`)");
  line.option("--tokens", tokens, when + "of the whole run, 300B or 1.5T (default: the run file's)");
  line.option("--framework", framework, when + "megatron-lm (default), megatron-deepspeed, nanotron, llm-foundry, torchtitan");
  line.option("--precision", precision, when + "bf16 (default), fp16, fp8").one_of({"bf16", "fp16", "fp8"});
  line.option("--price", price, when + "dollars a device-hour").positive();
  line.option("--mtbf-hours", mtbf_hours, when + "mean hours between failures of the whole job").positive();
  line.option("--save-seconds", save_seconds, when + "seconds a checkpoint stops the run").positive();
}

plan::RunShape ClusterArguments::shape(const config::RunConfig& config, const cluster::Cluster& on) const {
  plan::RunShape shape;
  shape.model = config.model;
  shape.sequence_length = config.batch.sequence_length;
  shape.global_batch = config.batch.global_batch;
  shape.micro_batch = config.batch.micro_batch;
  shape.framework = framework;
  shape.precision = precision == "fp8" ? plan::Precision::fp8 : precision == "fp16" ? plan::Precision::fp16 : plan::Precision::bf16;
  shape.accelerator = on.accelerator.id;
  shape.devices = on.devices;
  shape.devices_per_node = on.devices_per_node;
  return shape;
}

plan::JobFacts ClusterArguments::facts(const config::RunConfig& config) const {
  plan::JobFacts out;
  out.tokens = Tokens(config.tokens_per_step() * config.run.steps);
  if (!tokens.empty()) {
    const auto count = parse_count(tokens);
    if (!count || *count < 1) throw UsageError(fmt::format("--tokens '{}': write a number of tokens like 300B or 1.5T", tokens));
    out.tokens = Tokens(*count);
  }
  if (price > 0) out.device_hours_price = price;
  if (mtbf_hours > 0) out.mtbf = Seconds(mtbf_hours * 3600);
  if (save_seconds > 0) out.save = Seconds(save_seconds);
  return out;
}

}  // namespace longhaul::app
