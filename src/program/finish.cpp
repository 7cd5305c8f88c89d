// Dependencies, lifetimes and arena offsets of a program.
#include <algorithm>
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

bool live_together(const Buffer& a, const Buffer& b) {
  return a.persistent || b.persistent || (a.first_op <= b.last_op && b.first_op <= a.last_op);
}

/// Greedy packing by decreasing size: each buffer takes the lowest gap among the placed buffers that live with it. Within a few
/// percent of live_peak on transformer steps, whose lifetimes nest.
void pack_offsets(Program& program) {
  std::vector<int> order(program.buffers.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) {
    const Buffer &x = program.buffers[a], &y = program.buffers[b];
    return std::make_tuple(!x.persistent, -x.size().value) < std::make_tuple(!y.persistent, -y.size().value);
  });
  std::int64_t end_of_arena = 0;
  std::vector<int> placed;  // in rising offset order
  for (int index : order) {
    Buffer& buffer = program.buffers[index];
    std::int64_t offset = 0;
    for (int other : placed) {
      const Buffer& neighbour = program.buffers[other];
      if (!live_together(buffer, neighbour)) continue;
      if (neighbour.offset >= offset + aligned(buffer.size().value)) break;  // the gap before this neighbour is large enough
      offset = std::max(offset, neighbour.offset + aligned(neighbour.size().value));
    }
    buffer.offset = offset;
    end_of_arena = std::max(end_of_arena, offset + aligned(buffer.size().value));
    placed.insert(std::upper_bound(placed.begin(), placed.end(), index,
                                   [&](int a, int b) { return program.buffers[a].offset < program.buffers[b].offset; }),
                  index);
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
