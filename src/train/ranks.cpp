#include "train/ranks.h"

#include <fmt/format.h>
#include <pthread.h>
#include <sched.h>

#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "comm/team.h"
#include "program/place.h"
#include "units/error.h"

namespace longhaul::train {
namespace {

/// Processors that this process may use, as the system numbers them.
std::vector<int> usable() {
  cpu_set_t set;
  std::vector<int> processors;
  if (sched_getaffinity(0, sizeof set, &set) != 0) return processors;
  for (int i = 0; i < CPU_SETSIZE; ++i)
    if (CPU_ISSET(i, &set)) processors.push_back(i);
  return processors;
}

/// The calling thread, and those that it starts, on the rank's share of the processors.
void bind(const std::vector<int>& processors, int rank, int threads) {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (int i = rank * threads; i < (rank + 1) * threads; ++i) CPU_SET(processors[static_cast<std::size_t>(i)], &set);
  pthread_setaffinity_np(pthread_self(), sizeof set, &set);  // where it is refused, the system places the thread
}

/// What the first rank that failed threw; where several failed by themselves, the one of the lowest rank: what is wrong for all is rank 0's
/// to say.
class FirstFailure {
 public:
  /// @param told  that another rank had failed
  void keep(int rank, std::exception_ptr error, bool told) {
    const std::scoped_lock lock(mutex_);
    if (!error_ || (!told && (told_ || rank < rank_))) error_ = std::move(error), rank_ = rank, told_ = told;
  }
  void rethrow(const program::Layout& layout) const {
    if (!error_) return;
    if (rank_ == 0) std::rethrow_exception(error_);
    const program::Place place = program::place_of(rank_, layout);
    try {
      std::rethrow_exception(error_);
    } catch (const Error& error) {
      throw Error(fmt::format("rank {} (dp {}, pp {}): {}", rank_, place.dp, place.pp, error.what()), error.code());
    } catch (const std::exception& error) {
      throw Error(fmt::format("rank {} (dp {}, pp {}): {}", rank_, place.dp, place.pp, error.what()));
    }
  }

 private:
  std::mutex mutex_;
  std::exception_ptr error_;
  int rank_ = 0;
  bool told_ = false;
};

}  // namespace

void run_ranks(const program::Layout& layout, int threads, const std::function<void(comm::Communicator&)>& work) {
  const int ranks = layout.world();
  if (ranks == 1) return work(*comm::alone());
  comm::Team team(ranks);
  const std::vector<int> processors = usable();
  FirstFailure failure;
  {
    std::vector<std::jthread> started;
    for (int rank = 0; rank < ranks; ++rank)
      started.emplace_back([&, rank] {
        if (std::ssize(processors) >= static_cast<std::ptrdiff_t>(ranks) * threads) bind(processors, rank, threads);
        try {
          work(*team.communicator(rank));
        } catch (const std::exception& error) {
          failure.keep(rank, std::current_exception(), team.failure() == error.what());
          team.fail(rank, error.what());
        }
      });
  }
  failure.rethrow(layout);
}

}  // namespace longhaul::train
