// train/stop.h — a request to stop, from SIGTERM or SIGINT: the step in work is finished, the state saved, the exit code is 75.
#pragma once

namespace longhaul::train {

/// Installs handlers for SIGTERM and SIGINT; a second signal of either kind ends the process at once.
void watch_stop_signals();
/// The signal that asked to stop, or 0.
int stop_signal();

}  // namespace longhaul::train
