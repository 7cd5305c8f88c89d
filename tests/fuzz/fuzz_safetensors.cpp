// Any bytes at all: the safetensors header parser either refuses them with a CheckpointError or returns tensors that lie inside the file.
// rooms: checkpoint
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "checkpoint/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::span file(reinterpret_cast<const std::byte*>(data), size);
  try {
    const longhaul::checkpoint::Header header = longhaul::checkpoint::parse_header(file, "fuzz");
    std::uint64_t at = 0;
    for (const longhaul::checkpoint::TensorInfo& tensor : header.tensors) {
      if (tensor.begin != at || tensor.end < tensor.begin) std::abort();
      at = tensor.end;
    }
    if (header.data_start + at != size) std::abort();
  } catch (const longhaul::CheckpointError&) {
  }
  return 0;
}
