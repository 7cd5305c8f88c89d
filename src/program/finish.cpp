// Dependencies, lifetimes and arena offsets of a program.
#include <algorithm>
#include <limits>
#include <numeric>
#include <tuple>

#include "program/program.h"

namespace longhaul::program {
namespace {

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

/// Buffers that have their place, in rising offset order, cut into runs. Neighbours mostly follow each other in time, so most runs live at
/// another time altogether and are passed over at once: placing is most of the time of building a long program.
class PlacedBuffers {
 public:
  explicit PlacedBuffers(const std::vector<Buffer>& buffers) : buffers_(buffers) {
    for (const Buffer& buffer : buffers)
      lifetimes_.push_back(buffer.persistent ? Lifetime{-1, std::numeric_limits<int>::max()} : Lifetime{buffer.first_op, buffer.last_op});
  }

  /// The lowest offset at which `index` meets none of the placed buffers.
  std::int64_t lowest_gap(int index) const {
    const std::int64_t size = aligned(buffers_[index].size().value);
    const Lifetime lifetime = lifetimes_[index];
    std::int64_t offset = 0;
    for (const Run& run : runs_) {
      if (!lifetime.meets(run.bounds)) continue;
      for (const int other : run.members) {
        if (!lifetime.meets(lifetimes_[other])) continue;
        const Buffer& neighbour = buffers_[other];
        if (neighbour.offset >= offset + size) return offset;  // the gap before this neighbour is large enough
        offset = std::max(offset, neighbour.offset + aligned(neighbour.size().value));
      }
    }
    return offset;
  }

  void insert(int index) {
    const std::int64_t offset = buffers_[index].offset;
    const auto before = [&](std::int64_t at, int other) { return at < buffers_[other].offset; };
    auto run =
        std::upper_bound(runs_.begin(), runs_.end(), offset, [&](std::int64_t at, const Run& r) { return before(at, r.members.back()); });
    if (run == runs_.end()) run = runs_.empty() ? runs_.insert(run, Run{}) : std::prev(run);
    run->members.insert(std::upper_bound(run->members.begin(), run->members.end(), offset, before), index);
    run->bounds = bounds_of(*run);
    if (run->members.size() > kLongestRun) split(run);
  }

 private:
  static constexpr std::size_t kLongestRun = 64;
  struct Run {
    std::vector<int> members;
    Lifetime bounds{};
  };

  Lifetime bounds_of(const Run& run) const {
    Lifetime bounds = lifetimes_[run.members.front()];
    for (const int member : run.members)
      bounds = {std::min(bounds.first, lifetimes_[member].first), std::max(bounds.last, lifetimes_[member].last)};
    return bounds;
  }
  void split(std::vector<Run>::iterator run) {
    const auto middle = run->members.begin() + kLongestRun / 2;
    Run upper{{middle, run->members.end()}, {}};
    run->members.erase(middle, run->members.end());
    run->bounds = bounds_of(*run);
    upper.bounds = bounds_of(upper);
    runs_.insert(std::next(run), std::move(upper));
  }

  const std::vector<Buffer>& buffers_;
  std::vector<Lifetime> lifetimes_;
  std::vector<Run> runs_;
};

/// Greedy packing by decreasing size: each buffer takes the lowest gap among the placed buffers that live with it. Within a few
/// percent of live_peak on transformer steps, whose lifetimes nest.
void pack_offsets(Program& program) {
  std::vector<int> order(program.buffers.size());
  std::iota(order.begin(), order.end(), 0);
  std::erase_if(order, [&](int index) { return !program.buffers[index].persistent && program.buffers[index].first_op < 0; });  // unused
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) {
    const Buffer &x = program.buffers[a], &y = program.buffers[b];
    return std::make_tuple(!x.persistent, -x.size().value) < std::make_tuple(!y.persistent, -y.size().value);
  });
  PlacedBuffers placed(program.buffers);
  std::int64_t end_of_arena = 0;
  for (const int index : order) {
    Buffer& buffer = program.buffers[index];
    buffer.offset = placed.lowest_gap(index);
    end_of_arena = std::max(end_of_arena, buffer.offset + aligned(buffer.size().value));
    placed.insert(index);
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
