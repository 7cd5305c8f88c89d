#include "comm/team.h"

#include <fmt/format.h>

#include <atomic>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>

#include "units/error.h"

namespace longhaul::comm {
namespace {

using Clock = std::chrono::steady_clock;

/// Sends of one post() that are not taken yet.
struct Untaken {
  std::atomic<int> count{0};
};

/// What lies ready for a receiver: the sender's memory, or a copy of it.
struct Parcel {
  std::vector<std::span<const std::byte>> parts;
  std::vector<std::byte> copy;
  std::shared_ptr<Untaken> untaken;  ///< null for a copy

  std::size_t size() const {
    std::size_t all = copy.size();
    for (const auto& part : parts) all += part.size();
    return all;
  }
};

void copy_parts(const Parcel& parcel, const std::vector<std::span<std::byte>>& to) {
  auto target = to.begin();
  std::size_t at = 0;
  const auto put = [&](std::span<const std::byte> part) {
    while (!part.empty()) {
      while (at == target->size()) ++target, at = 0;
      const std::size_t count = std::min(part.size(), target->size() - at);
      std::memcpy(target->data() + at, part.data(), count);
      at += count;
      part = part.subspan(count);
    }
  };
  put(parcel.copy);
  for (const auto& part : parcel.parts) put(part);
}

}  // namespace

struct Team::State {
  /// What is on its way to one rank, and what that rank tells of itself.
  struct Inbox {
    std::mutex mutex;
    std::condition_variable arrived;
    std::map<std::pair<int, std::string>, std::deque<Parcel>, std::less<>> channels;  ///< by sender and name
    std::atomic<std::int64_t> news{0};
    std::int64_t step = 0;  ///< where the rank is; under the mutex
    std::string operation;
    bool waits = false;
  };

  State(int ranks, std::chrono::duration<double> longest) : patience(longest) {
    for (int i = 0; i < ranks; ++i) inboxes.push_back(std::make_unique<Inbox>());
  }

  void deliver(int to, int from, std::string_view channel, Parcel parcel) {
    Inbox& inbox = *inboxes[static_cast<std::size_t>(to)];
    {
      const std::scoped_lock lock(inbox.mutex);
      inbox.channels[{from, std::string(channel)}].push_back(std::move(parcel));
    }
    wake(inbox);
  }
  /// Takes back what `from` has sent and `to` has not begun to take.
  void withdraw(int to, int from, const std::string& channel, const std::shared_ptr<Untaken>& untaken) {
    if (untaken->count.load() == 0) return;
    Inbox& inbox = *inboxes[static_cast<std::size_t>(to)];
    const std::scoped_lock lock(inbox.mutex);
    const auto found = inbox.channels.find({from, channel});
    if (found == inbox.channels.end()) return;
    untaken->count -= static_cast<int>(std::erase_if(found->second, [&](const Parcel& parcel) { return parcel.untaken == untaken; }));
  }
  static void wake(Inbox& inbox) {
    {
      const std::scoped_lock lock(inbox.mutex);
      inbox.news.fetch_add(1);
    }
    inbox.arrived.notify_all();
  }
  std::optional<Parcel> take(int me, int from, std::string_view channel) {
    Inbox& inbox = *inboxes[static_cast<std::size_t>(me)];
    const std::scoped_lock lock(inbox.mutex);
    const auto found = inbox.channels.find({from, std::string(channel)});
    if (found == inbox.channels.end() || found->second.empty()) return std::nullopt;
    Parcel parcel = std::move(found->second.front());
    found->second.pop_front();
    return parcel;
  }

  /// Returns when there is something new for a rank that had seen `seen`.
  void wait(int me, std::int64_t seen, int for_rank) {
    constexpr auto kLook = std::chrono::microseconds(20);
    Inbox& inbox = *inboxes[static_cast<std::size_t>(me)];
    for (const auto until = Clock::now() + kLook; Clock::now() < until;)
      if (inbox.news.load() != seen) return;
    std::unique_lock lock(inbox.mutex);
    inbox.waits = true;
    const bool in_time = inbox.arrived.wait_for(lock, patience, [&] { return inbox.news.load() != seen || failed.load(); });
    inbox.waits = false;
    lock.unlock();
    if (in_time) return;
    fail(for_rank, fmt::format("rank {} has waited for it for {:.0f} s; it is at {}", me, patience.count(), where(for_rank)));
  }
  std::string where(int rank) {
    Inbox& inbox = *inboxes[static_cast<std::size_t>(rank)];
    const std::scoped_lock lock(inbox.mutex);
    return fmt::format("step {}, {}{}", inbox.step, inbox.operation.empty() ? "before its first operation" : inbox.operation,
                       inbox.waits ? ", and waits itself" : "");
  }
  void check() {
    if (!failed.load()) return;
    const std::scoped_lock lock(failure_mutex);
    throw Error(failure);
  }
  void fail(int rank, const std::string& why) {
    {
      const std::scoped_lock lock(failure_mutex);
      if (failure.empty()) failure = fmt::format("rank {}: {}", rank, why);
      failed.store(true);
    }
    for (const auto& inbox : inboxes) wake(*inbox);
  }

  const std::chrono::duration<double> patience;
  std::vector<std::unique_ptr<Inbox>> inboxes;
  std::atomic<bool> failed{false};
  std::mutex failure_mutex;
  std::string failure;
};

namespace {

class Member : public Communicator {
 public:
  Member(Team::State& team, int rank) : team_(team), rank_(rank) {}

  int rank() const override { return rank_; }
  int ranks() const override { return static_cast<int>(team_.inboxes.size()); }

  void send(int to, std::string_view channel, std::span<const std::byte> message) override {
    team_.check();
    count(channel).sent += std::ssize(message);
    Parcel parcel;
    parcel.copy.assign(message.begin(), message.end());
    team_.deliver(to, rank_, channel, std::move(parcel));
  }

  void receive(int from, std::string_view channel, std::span<std::byte> message) override {
    post(channel, {}, {{from, {message}}})->wait();
  }

  std::unique_ptr<Posted> post(std::string_view channel, std::vector<Outgoing> outgoing, std::vector<Incoming> incoming) override;

  void at(std::int64_t step, std::string_view operation) override {
    Team::State::Inbox& inbox = *team_.inboxes[static_cast<std::size_t>(rank_)];
    const std::scoped_lock lock(inbox.mutex);
    inbox.step = step;
    inbox.operation = operation;
  }

  std::map<std::string, Traffic> traffic() const override { return {traffic_.begin(), traffic_.end()}; }

 private:
  friend class Underway;
  Traffic& count(std::string_view channel) {
    const auto found = traffic_.find(channel);
    return found != traffic_.end() ? found->second : traffic_[std::string(channel)];
  }

  Team::State& team_;
  const int rank_;
  std::map<std::string, Traffic, std::less<>> traffic_;
};

class Underway : public Posted {
 public:
  Underway(Team::State& team, int rank, std::string_view channel, std::vector<Incoming> incoming)
      : team_(team), rank_(rank), channel_(channel), incoming_(std::move(incoming)), untaken_(std::make_shared<Untaken>()) {}

  /// When a rank gives up, its memory must not be read any more: what nobody has begun to take is taken back, and who is copying ends.
  ~Underway() override {
    for (const int taker : takers_) team_.withdraw(taker, rank_, channel_, untaken_);
    while (untaken_->count.load() > 0) std::this_thread::yield();
  }
  Underway(const Underway&) = delete;
  Underway& operator=(const Underway&) = delete;

  void send(std::vector<Outgoing> outgoing) {
    untaken_->count = static_cast<int>(outgoing.size());
    for (Outgoing& out : outgoing) {
      takers_.push_back(out.to);
      team_.deliver(out.to, rank_, channel_, {std::move(out.parts), {}, untaken_});
    }
  }

  bool done() override {
    team_.check();
    std::erase_if(incoming_, [&](const Incoming& in) { return receive(in); });
    return incoming_.empty() && untaken_->count.load() == 0;
  }

  void wait() override {
    const Team::State::Inbox& inbox = *team_.inboxes[static_cast<std::size_t>(rank_)];
    while (true) {
      const std::int64_t seen = inbox.news.load();
      if (done()) return;
      team_.wait(rank_, seen, incoming_.empty() ? takers_.front() : incoming_.front().from);
    }
  }

 private:
  bool receive(const Incoming& in) {
    const std::optional<Parcel> parcel = team_.take(rank_, in.from, channel_);
    if (!parcel) return false;
    const bool fits = parcel->size() == size_of(in);
    if (fits) copy_parts(*parcel, in.parts);
    // Whatever happens now, its memory is the sender's again.
    if (parcel->untaken && parcel->untaken->count.fetch_sub(1) == 1) Team::State::wake(*team_.inboxes[static_cast<std::size_t>(in.from)]);
    if (!fits) {
      team_.fail(in.from, fmt::format("sent {} bytes of {} to rank {}, which expects {}", parcel->size(), channel_, rank_, size_of(in)));
      team_.check();
    }
    return true;
  }

  Team::State& team_;
  const int rank_;
  const std::string channel_;
  std::vector<Incoming> incoming_;
  std::vector<int> takers_;
  std::shared_ptr<Untaken> untaken_;
};

std::unique_ptr<Posted> Member::post(std::string_view channel, std::vector<Outgoing> outgoing, std::vector<Incoming> incoming) {
  team_.check();
  std::erase_if(outgoing, [&](const Outgoing& out) { return out.to == rank_ || size_of(out) == 0; });
  std::erase_if(incoming, [&](const Incoming& in) { return in.from == rank_ || size_of(in) == 0; });
  Traffic& traffic = count(channel);
  for (const Outgoing& out : outgoing) traffic.sent += static_cast<std::int64_t>(size_of(out));
  for (const Incoming& in : incoming) traffic.received += static_cast<std::int64_t>(size_of(in));
  auto posted = std::make_unique<Underway>(team_, rank_, channel, std::move(incoming));
  posted->send(std::move(outgoing));
  return posted;
}

}  // namespace

Team::Team(int ranks, std::chrono::duration<double> patience) : state_(std::make_unique<State>(ranks, patience)) {}
Team::~Team() = default;

std::unique_ptr<Communicator> Team::communicator(int rank) { return std::make_unique<Member>(*state_, rank); }
void Team::fail(int rank, const std::string& reason) { state_->fail(rank, reason); }
std::string Team::failure() const {
  const std::scoped_lock lock(state_->failure_mutex);
  return state_->failure;
}

}  // namespace longhaul::comm
