// comm/communicator.h — how the ranks of a job move bytes to each other. Nothing is added here: every sum is a kernel's, in the order of
// the numerics contract.
//
// A channel is a stream between two ranks: what one sends on it arrives at the other in the same order. Channels are named by what they
// carry ("input", "gradients"); both ends name the same one. Transfers are posted and awaited: a posted exchange goes on while its rank
// computes, as far as the backend can, and its memory belongs to it until wait() has returned.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace longhaul::comm {

/// Memory that goes to another rank, or is filled by one: parts one after the other, of as many bytes as the other end says.
struct Outgoing {
  int to = 0;
  std::vector<std::span<const std::byte>> parts;
};
struct Incoming {
  int from = 0;
  std::vector<std::span<std::byte>> parts;
};
std::size_t size_of(const Outgoing& outgoing);
std::size_t size_of(const Incoming& incoming);

/// Bytes that a rank has sent and received.
struct Traffic {
  std::int64_t sent = 0, received = 0;
  bool operator==(const Traffic&) const = default;
};

/// An exchange under way.
class Posted {
 public:
  virtual ~Posted() = default;
  /// Moves on what can be moved without waiting. @return whether everything has arrived and been taken
  virtual bool done() = 0;
  /// @throws Error naming the rank that failed or keeps the others waiting
  virtual void wait() = 0;
};

class Communicator {
 public:
  virtual ~Communicator() = default;
  virtual int rank() const = 0;
  virtual int ranks() const = 0;

  /// A message; its bytes are copied at once, so a send never waits.
  virtual void send(int to, std::string_view channel, std::span<const std::byte> message) = 0;
  /// Waits for the channel's next message. @throws Error when it has another size than `message`
  virtual void receive(int from, std::string_view channel, std::span<std::byte> message) = 0;
  /// Sends and receives in any number, all at once. Ranks may be named that are this one: nothing is moved to oneself.
  virtual std::unique_ptr<Posted> post(std::string_view channel, std::vector<Outgoing> outgoing, std::vector<Incoming> incoming) = 0;

  /// Where this rank is, for the message of a rank that waits for it too long.
  virtual void at(std::int64_t step, std::string_view operation) = 0;
  /// Bytes by channel since the job began.
  virtual std::map<std::string, Traffic> traffic() const = 0;

  void exchange(std::string_view channel, std::vector<Outgoing> outgoing, std::vector<Incoming> incoming) {
    post(channel, std::move(outgoing), std::move(incoming))->wait();
  }
  /// Bytes of every rank, whatever their number, in rank order; each rank gives its own.
  std::vector<std::vector<std::byte>> all_gather(std::string_view channel, std::span<const std::byte> own);
  /// Rank 0's number on every rank: what is decided once.
  std::int64_t agree(std::int64_t own);
  /// Rank 0's bytes on every rank.
  std::vector<std::byte> broadcast(std::string_view channel, std::span<const std::byte> own);
};

/// A job of one rank.
std::unique_ptr<Communicator> alone();

}  // namespace longhaul::comm
