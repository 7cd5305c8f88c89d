// machine/quiet_clock.h — how long work would have taken with the machine to itself.
//
// Time in which a thread of this process was ready but had no processor is known to the system (schedstat). The work cannot have needed
// less than its threads' own time shared out evenly, nor less than the wall time without all of that waiting: the larger of the two is
// taken. Where nothing waited that is the wall time, with one thread it is the thread's own; with several on a busy machine it is a lower
// bound, for a thread that waits for another that has no processor looks idle. Neighbours still cost caches and bandwidth.
//
// A reading asks the system once for each thread, some microseconds in all. The clock measures what its own readings cost, so that work
// shorter than that can be repeated until they no longer count: enough_for() says when.
#pragma once

#include <vector>

namespace longhaul::machine {

class QuietClock {
 public:
  /// Of the threads that this process has now. `threads`: those that share the work, on a processor each as far as there are any.
  explicit QuietClock(int threads);
  ~QuietClock();
  QuietClock(const QuietClock&) = delete;
  QuietClock& operator=(const QuietClock&) = delete;

  void start();
  /// Since the last start().
  double seconds() const;

  /// What one reading takes, the least of a few.
  double reading_seconds() const { return reading_seconds_; }
  /// Whether the two readings around work of this length are less than 1 % of it.
  bool enough_for(double work_seconds) const { return work_seconds >= 200 * reading_seconds_; }

 private:
  struct Reading {
    double wall = 0, run = 0, waited = 0;  ///< seconds; run and waited are sums over the process's threads
  };
  Reading read() const;

  const int processors_;
  std::vector<int> schedstats_;  ///< descriptors, kept open: opening them anew is most of what a reading would cost
  double reading_seconds_ = 0;
  Reading start_;
};

}  // namespace longhaul::machine
