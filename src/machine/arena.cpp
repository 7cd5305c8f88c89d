#include "machine/arena.h"

#include <fmt/format.h>
#include <sys/mman.h>

#include <cerrno>
#include <cstring>

#include "units/error.h"

namespace longhaul::machine {

Arena::Arena(Bytes size) : size_(size) {
  void* memory =
      mmap(nullptr, static_cast<std::size_t>(size.value), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED)
    throw Error(
        fmt::format("cannot allocate the step's arena of {} bytes: {}; a smaller batch.micro_batch or parallel.recompute = \"layer\" "
                    "needs less (see `longhaul plan`)",
                    size.value, std::strerror(errno)));
  data_ = static_cast<std::byte*>(memory);
  // Fewer page-table walks in GEMMs over hundreds of megabytes; without huge pages everything works, slower.
  madvise(memory, static_cast<std::size_t>(size.value), MADV_HUGEPAGE);
}

Arena::~Arena() { munmap(data_, static_cast<std::size_t>(size_.value)); }

}  // namespace longhaul::machine
