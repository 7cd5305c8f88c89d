#include "cost/parameter_key.h"

namespace longhaul::cost {

ParameterKey parameter_key(const RunShape& run) {
  const bool one_node = run.devices <= run.devices_per_node;
  return {run.accelerator,
          one_node              ? "node"
          : run.network.empty() ? "network"
                                : run.network,
          run.framework, std::string(name(run.precision))};
}

}  // namespace longhaul::cost
