#include "ingest/tokens.h"

#include <array>

#include "ingest/file_kind.h"

namespace longhaul::ingest {

namespace {

constexpr std::array<std::string_view, 4> kNames = {"uint16", "uint32", "llm.c", "megatron"};

}  // namespace

std::string_view token_format_name(TokenFormat format) { return kNames[static_cast<std::size_t>(format)]; }

std::optional<TokenFormat> token_format_from_name(std::string_view name) {
  for (std::size_t i = 0; i < kNames.size(); ++i)
    if (kNames[i] == name) return static_cast<TokenFormat>(i);
  return std::nullopt;
}

std::vector<std::string> token_format_names() { return {kNames.begin(), kNames.end()}; }

bool is_token_file_name(std::string_view name, TokenFormat format) {
  return lower_case(name).ends_with(".bin") || is_token_index_name(name, format);
}

bool is_token_index_name(std::string_view name, TokenFormat format) {
  return format == TokenFormat::megatron && lower_case(name).ends_with(".idx");
}

}  // namespace longhaul::ingest
