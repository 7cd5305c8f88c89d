#include "ingest/file_kind.h"

#include <algorithm>

#include "ingest/formats/byte_stream.h"

namespace longhaul::ingest {

std::string lower_case(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return lower;
}

std::optional<FileKind> kind_of_name(std::string_view name) {
  const std::string lower = lower_case(without_compression_ending(name));
  if (lower.ends_with(".txt") || lower.ends_with(".text")) return FileKind::text;
  if (lower.ends_with(".jsonl") || lower.ends_with(".ndjson")) return FileKind::rows;
  if (lower.ends_with(".json")) return FileKind::json;
  if (lower.ends_with(".tar") || lower.ends_with(".tgz")) return FileKind::tar;
  if (lower.ends_with(".parquet")) return FileKind::parquet;
  if (lower.ends_with(".csv") || lower.ends_with(".tsv")) return FileKind::csv;
  return std::nullopt;
}

char separator_of_name(std::string_view name) { return lower_case(without_compression_ending(name)).ends_with(".tsv") ? '\t' : ','; }

}  // namespace longhaul::ingest
