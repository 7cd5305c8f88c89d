// Dependencies, lifetimes and arena offsets of a program.
#include <algorithm>
#include <limits>
#include <numeric>
#include <tuple>

#include "program/program.h"

namespace longhaul::program {
namespace {

constexpr std::int64_t kAlignment = 64;  // a cache line, and one 512-bit vector

std::int64_t aligned(std::int64_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

/// Read-after-write, write-after-read and write-after-write on every buffer.
void derive_dependencies(Program& program) {
  std::vector<int> last_writer(program.buffers.size(), -1);
  std::vector<std::vector<int>> readers(program.buffers.size());
  for (int i = 0; i < static_cast<int>(program.operations.size()); ++i) {
    Operation& op = program.operations[i];
    op.depends_on.clear();
    for (const BufferUse& use : op.uses) {
      if (last_writer[use.buffer] >= 0) op.depends_on.push_back(last_writer[use.buffer]);
      if (use.access != Access::read) op.depends_on.insert(op.depends_on.end(), readers[use.buffer].begin(), readers[use.buffer].end());
    }
    for (const BufferUse& use : op.uses) {
      if (use.access == Access::read) {
        readers[use.buffer].push_back(i);
      } else {
        last_writer[use.buffer] = i;
        readers[use.buffer].clear();
      }
    }
    std::sort(op.depends_on.begin(), op.depends_on.end());
    op.depends_on.erase(std::unique(op.depends_on.begin(), op.depends_on.end()), op.depends_on.end());
    std::erase(op.depends_on, i);
  }
}

void derive_lifetimes(Program& program) {
  for (Buffer& buffer : program.buffers) buffer.first_op = buffer.last_op = -1;
  for (int i = 0; i < static_cast<int>(program.operations.size()); ++i)
    for (const BufferUse& use : program.operations[i].uses) {
      Buffer& buffer = program.buffers[use.buffer];
      if (buffer.first_op < 0) buffer.first_op = i;
      buffer.last_op = i;
    }
}

/// First and last operation at which a buffer is live.
struct Lifetime {
  int first, last;
  bool meets(const Lifetime& other) const { return first <= other.last && other.first <= last; }
};

/// Greedy packing by decreasing size: each buffer takes the lowest gap among the placed buffers that live with it. Within a few
/// percent of live_peak on transformer steps, whose lifetimes nest.
void pack_offsets(Program& program) {
  const std::vector<Buffer>& buffers = program.buffers;
  std::vector<int> order(buffers.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) {
    const Buffer &x = buffers[a], &y = buffers[b];
    return std::make_tuple(!x.persistent, -x.size().value) < std::make_tuple(!y.persistent, -y.size().value);
  });
  // Apart from the buffers, so that the search below stays in the cache: it is most of the time of building a long program.
  std::vector<Lifetime> lifetimes;
  for (const Buffer& buffer : buffers)
    lifetimes.push_back(buffer.persistent ? Lifetime{-1, std::numeric_limits<int>::max()} : Lifetime{buffer.first_op, buffer.last_op});
  std::vector<int> placed;  // in rising offset order
  placed.reserve(buffers.size());
  std::int64_t end_of_arena = 0;
  for (int index : order) {
    const std::int64_t size = aligned(buffers[index].size().value);
    const Lifetime lifetime = lifetimes[index];
    std::int64_t offset = 0;
    for (int other : placed) {
      if (!lifetime.meets(lifetimes[other])) continue;
      const Buffer& neighbour = buffers[other];
      if (neighbour.offset >= offset + size) break;  // the gap before this neighbour is large enough
      offset = std::max(offset, neighbour.offset + aligned(neighbour.size().value));
    }
    program.buffers[index].offset = offset;
    end_of_arena = std::max(end_of_arena, offset + size);
    placed.insert(
        std::upper_bound(placed.begin(), placed.end(), index, [&](int a, int b) { return buffers[a].offset < buffers[b].offset; }), index);
  }
  program.arena = Bytes(end_of_arena);
}

void find_live_peak(Program& program) {
  std::vector<std::int64_t> change(program.operations.size() + 1, 0);
  std::int64_t live = 0;
  for (const Buffer& buffer : program.buffers) {
    if (buffer.persistent) {
      live += buffer.size().value;
    } else if (buffer.first_op >= 0) {
      change[buffer.first_op] += buffer.size().value;
      change[buffer.last_op + 1] -= buffer.size().value;
    }
  }
  program.live_peak = Bytes(live);
  for (std::size_t i = 0; i < program.operations.size(); ++i) {
    live += change[i];
    if (Bytes(live) > program.live_peak) {
      program.live_peak = Bytes(live);
      program.peak_operation = static_cast<int>(i);
    }
  }
}

}  // namespace

void finish(Program& program) {
  derive_dependencies(program);
  derive_lifetimes(program);
  pack_offsets(program);
  find_live_peak(program);
}

}  // namespace longhaul::program
