// comm/team.h — ranks as threads of one process: what a rank sends is copied from its memory to the receiver's, once, by the receiver.
//
// Waiting sleeps: a rank looks for 20 µs, less than it takes to be woken, and then gives its processor away. When a rank fails, all that
// wait for it, or come to wait, throw an Error that names it.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "comm/communicator.h"

namespace longhaul::comm {

class Team {
 public:
  /// @param patience  how long a rank waits for another before the job is given up
  explicit Team(int ranks, std::chrono::duration<double> patience = std::chrono::minutes(30));
  ~Team();
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;

  /// The end of one rank; used by one thread at a time. The team outlives it.
  std::unique_ptr<Communicator> communicator(int rank);
  /// Ends the waiting of all ranks: the first reason given is what their errors say.
  void fail(int rank, const std::string& reason);
  /// The reason of fail(), empty before.
  std::string failure() const;

  struct State;

 private:
  std::unique_ptr<State> state_;
};

}  // namespace longhaul::comm
