// interop/launch.h — how an emitted configuration is started: torchrun's processes, the name that Python imports.
//
// torchrun is given the same command on every node, so every node starts the same number of processes; together they must be the layout's
// ranks, or the run is another one or none.
#pragma once

#include <string>
#include <string_view>

#include "cost/run_shape.h"

namespace longhaul::interop {

struct Processes {
  int per_node = 1, nodes = 1;
};

/// As many processes as devices: full nodes where they hold the devices exactly; else as many on each of equal nodes as divides the
/// devices, the ranks of a tensor-parallel group together where a node holds them.
Processes processes_of(const cost::RunShape& shape);
/// A sentence where these are not the nodes that the plan assumes; else nothing.
std::string other_nodes(const cost::RunShape& shape);

/// Refuses a file's stem that cannot be imported: no identifier, a keyword, or a module that it would hide from torchtitan.
/// @param out  the file as it was named, for the message
void check_python_module(std::string_view stem, const std::string& out);

}  // namespace longhaul::interop
