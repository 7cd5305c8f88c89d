// apps/longhaul/quiet_clock.h — how long work would have taken with the machine to itself.
//
// Time in which a thread of this process was ready but had no processor is known to the system (schedstat). The work cannot have needed
// less than its threads' own time shared out evenly, nor less than the wall time without all of that waiting: the larger of the two is
// taken. Where nothing waited that is the wall time, with one thread it is the thread's own; with several on a busy machine it is a lower
// bound, for a thread that waits for another that has no processor looks idle. Neighbours still cost caches and bandwidth.
#pragma once

namespace longhaul::app {

class QuietClock {
 public:
  /// Starts. `threads`: those that share the work, on a processor each as far as there are any.
  explicit QuietClock(int threads);
  /// Since the start.
  double seconds() const;

 private:
  struct Reading {
    double wall = 0, run = 0, waited = 0;  ///< seconds; run and waited are sums over the process's threads
  };
  static Reading read();
  const int processors_;
  const Reading start_;
};

}  // namespace longhaul::app
