#include "checkpoint/safetensors.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <utility>

namespace longhaul::checkpoint {
namespace {

static_assert(std::endian::native == std::endian::little, "safetensors holds little-endian values");

std::string json_text(std::string_view text) { return nlohmann::json(text).dump(); }

std::string header_text(std::span<const TensorView> tensors, const std::map<std::string, std::string>& metadata) {
  std::string text = "{";
  if (!metadata.empty()) text += "\"__metadata__\":" + nlohmann::json(metadata).dump() + ",";
  std::uint64_t offset = 0;
  for (const TensorView& tensor : tensors) {
    std::string shape;
    std::uint64_t bytes = static_cast<std::uint64_t>(size_of(tensor.dtype));
    for (const std::int64_t extent : tensor.shape) {
      shape += (shape.empty() ? "" : ",") + std::to_string(extent);
      bytes *= static_cast<std::uint64_t>(extent);
    }
    if (bytes != tensor.bytes.size()) throw std::invalid_argument("tensor " + tensor.name + ": its bytes do not fit its shape");
    text += json_text(tensor.name) + ":{\"dtype\":\"" + std::string(name(tensor.dtype)) + "\",\"shape\":[" + shape +
            "],\"data_offsets\":[" + std::to_string(offset) + "," + std::to_string(offset + bytes) + "]},";
    offset += bytes;
  }
  if (text.back() == ',') text.pop_back();
  text += '}';
  text.resize((text.size() + 7) / 8 * 8, ' ');  // the data start at a multiple of 8 and can be mapped as doubles
  return text;
}

}  // namespace

files::FileDigest write_safetensors(const files::Disk& disk, const std::filesystem::path& path, std::vector<TensorView> tensors,
                                    const std::map<std::string, std::string>& metadata) {
  std::ranges::sort(tensors, [](const TensorView& a, const TensorView& b) {
    return a.dtype != b.dtype ? a.dtype > b.dtype : a.name < b.name;  // ElementType rises with alignment
  });
  const std::string header = header_text(tensors, metadata);
  const std::uint64_t length = header.size();
  files::FileWriter writer(disk, path);
  writer.write(std::as_bytes(std::span(&length, 1)));
  writer.write(header);
  for (const TensorView& tensor : tensors) writer.write(tensor.bytes);
  return writer.finish();
}

SafetensorsFile::SafetensorsFile(const std::filesystem::path& path) : file_(path), header_(parse_header(file_.bytes(), path.string())) {
  for (std::size_t i = 0; i < header_.tensors.size(); ++i) index_.emplace(header_.tensors[i].name, i);
}

const TensorInfo* SafetensorsFile::find(std::string_view name) const {
  const auto found = index_.find(name);
  return found == index_.end() ? nullptr : &header_.tensors[found->second];
}

std::span<const std::byte> SafetensorsFile::bytes(const TensorInfo& tensor) const {
  return file_.bytes().subspan(header_.data_start + tensor.begin, tensor.end - tensor.begin);
}

}  // namespace longhaul::checkpoint
