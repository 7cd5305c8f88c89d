#include "train/stop.h"

#include <csignal>

namespace longhaul::train {
namespace {

volatile std::sig_atomic_t requested = 0;

void on_signal(int signal) {
  requested = signal;
  struct sigaction again = {};
  again.sa_handler = SIG_DFL;  // the next one is not asked twice
  sigaction(signal, &again, nullptr);
}

}  // namespace

void watch_stop_signals() {
  struct sigaction action = {};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;
  sigaction(SIGTERM, &action, nullptr);
  sigaction(SIGINT, &action, nullptr);
}

int stop_signal() { return requested; }

}  // namespace longhaul::train
