#include "tokenizer/added_tokens.h"

#include <algorithm>

namespace longhaul::tokenizer {

std::uint32_t AddedTokenSearch::child(std::uint32_t node, unsigned char byte) const {
  const auto& children = nodes_[node].children;
  const auto at = std::ranges::lower_bound(children, byte, {}, [](const auto& entry) { return entry.first; });
  return at != children.end() && at->first == byte ? at->second : 0;
}

void AddedTokenSearch::add(std::string_view text, std::int32_t id) {
  if (text.empty()) return;
  std::uint32_t node = 0;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    std::uint32_t next = child(node, byte);
    if (next == 0) {
      next = static_cast<std::uint32_t>(nodes_.size());
      nodes_.emplace_back();
      auto& children = nodes_[node].children;
      children.insert(std::ranges::lower_bound(children, byte, {}, [](const auto& entry) { return entry.first; }), {byte, next});
    }
    node = next;
  }
  nodes_[node].ends_token = true;
  nodes_[node].id = id;
  begins_[static_cast<unsigned char>(text[0])] = true;
  finds_tokens_ = finds_tokens_ || id >= 0;
}

void AddedTokenSearch::find_all(std::string_view text, std::vector<Match>& matches) const {
  if (!finds_tokens_) return;
  for (std::size_t begin = 0; begin < text.size();) {
    if (!begins_[static_cast<unsigned char>(text[begin])]) {
      ++begin;
      continue;
    }
    std::size_t longest = 0;
    std::int32_t id = -1;
    std::uint32_t node = 0;
    for (std::size_t at = begin; at < text.size(); ++at) {
      node = child(node, static_cast<unsigned char>(text[at]));
      if (node == 0) break;
      if (nodes_[node].ends_token) {
        longest = at + 1 - begin;
        id = nodes_[node].id;
      }
    }
    if (id >= 0) matches.push_back({begin, begin + longest, id});
    begin += std::max<std::size_t>(longest, 1);
  }
}

}  // namespace longhaul::tokenizer
