// machine/arena.h — the one allocation of a rank: every buffer of its programs lies in it, at the offset the plan gave.
//
// Anonymous memory, zeroed by the system and not touched before use, so that resident memory grows only as buffers are really used
// (accounting G compares that growth with the plan); in huge pages where the system has them. The high-water mark is the end of the
// furthest buffer an executor has used.
#pragma once

#include <cstddef>

#include "units/units.h"

namespace longhaul::machine {

class Arena {
 public:
  /// Throws Error naming the size when the system refuses.
  explicit Arena(Bytes size);
  ~Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  std::byte* data() const { return data_; }
  Bytes size() const { return size_; }
  Bytes high_water() const { return high_water_; }
  void mark_used(Bytes end) { high_water_ = end > high_water_ ? end : high_water_; }

 private:
  std::byte* data_;
  Bytes size_;
  Bytes high_water_;
};

}  // namespace longhaul::machine
