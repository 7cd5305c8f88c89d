// machine/process.h — what the system says of this machine and of this process: names, processors, resident memory, age.
#pragma once

#include <string>

#include "units/units.h"

namespace longhaul::machine {

/// The processor's name as the system gives it.
std::string processor_name();
/// The machine's name in its network; empty where it has none.
std::string host_name();
/// Processors that this process may use (affinity, cpusets).
int usable_processors();

/// Memory of this process (/proc/self/status).
struct Resident {
  Bytes all;        ///< VmRSS
  Bytes anonymous;  ///< RssAnon: without the files it maps
};
Resident resident();
/// Highest resident set so far, files that are mapped included (VmHWM).
Bytes resident_peak();

/// Since this process was started, to a hundredth of a second: what loading the program took is part of it.
Seconds process_age();

}  // namespace longhaul::machine
