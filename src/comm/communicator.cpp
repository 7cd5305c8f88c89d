#include "comm/communicator.h"

#include <cstring>
#include <stdexcept>

namespace longhaul::comm {
namespace {

class Nothing : public Posted {
 public:
  bool done() override { return true; }
  void wait() override {}
};

class Alone : public Communicator {
 public:
  int rank() const override { return 0; }
  int ranks() const override { return 1; }
  void send(int, std::string_view, std::span<const std::byte>) override { throw std::logic_error("a job of one rank sends nothing"); }
  void receive(int, std::string_view, std::span<std::byte>) override { throw std::logic_error("a job of one rank receives nothing"); }
  std::unique_ptr<Posted> post(std::string_view, std::vector<Outgoing>, std::vector<Incoming>) override {
    return std::make_unique<Nothing>();
  }
  void at(std::int64_t, std::string_view) override {}
  std::map<std::string, Traffic> traffic() const override { return {}; }
};

template <typename Parts>
std::size_t bytes_of(const Parts& parts) {
  std::size_t size = 0;
  for (const auto& part : parts) size += part.size();
  return size;
}

}  // namespace

std::size_t size_of(const Outgoing& outgoing) { return bytes_of(outgoing.parts); }
std::size_t size_of(const Incoming& incoming) { return bytes_of(incoming.parts); }

std::vector<std::vector<std::byte>> Communicator::all_gather(std::string_view channel, std::span<const std::byte> own) {
  std::vector<std::vector<std::byte>> all(static_cast<std::size_t>(ranks()));
  all[static_cast<std::size_t>(rank())].assign(own.begin(), own.end());
  if (ranks() == 1) return all;
  std::vector<std::uint64_t> sizes(all.size(), own.size());
  const auto exchange_with_all = [&](std::string_view name, std::span<const std::byte> mine, const auto& place) {
    std::vector<Outgoing> outgoing;
    std::vector<Incoming> incoming;
    for (int other = 0; other < ranks(); ++other) {
      if (other == rank()) continue;
      outgoing.push_back({other, {mine}});
      incoming.push_back({other, {place(static_cast<std::size_t>(other))}});
    }
    exchange(name, std::move(outgoing), std::move(incoming));
  };
  const std::uint64_t size = own.size();
  exchange_with_all("sizes", std::as_bytes(std::span(&size, 1)),
                    [&](std::size_t other) { return std::as_writable_bytes(std::span(&sizes[other], 1)); });
  exchange_with_all(channel, own, [&](std::size_t other) {
    all[other].resize(sizes[other]);
    return std::span<std::byte>(all[other]);
  });
  return all;
}

std::int64_t Communicator::agree(std::int64_t own) {
  for (int other = 1; rank() == 0 && other < ranks(); ++other) send(other, "decisions", std::as_bytes(std::span(&own, 1)));
  if (rank() != 0) receive(0, "decisions", std::as_writable_bytes(std::span(&own, 1)));
  return own;
}

std::vector<std::byte> Communicator::broadcast(std::string_view channel, std::span<const std::byte> own) {
  return all_gather(channel, rank() == 0 ? own : std::span<const std::byte>())[0];
}

std::unique_ptr<Communicator> alone() { return std::make_unique<Alone>(); }

}  // namespace longhaul::comm
