#include "data/ingest/file_kind.h"

#include <algorithm>

namespace longhaul::data {

std::string lower_case(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return lower;
}

std::optional<FileKind> kind_of_name(std::string_view name) {
  const std::string lower = lower_case(name);
  if (lower.ends_with(".txt") || lower.ends_with(".text")) return FileKind::text;
  if (lower.ends_with(".jsonl") || lower.ends_with(".ndjson")) return FileKind::rows;
  return std::nullopt;
}

}  // namespace longhaul::data
