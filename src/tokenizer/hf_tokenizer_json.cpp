#include "tokenizer/hf_tokenizer_json.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "tokenizer/bpe_tables.h"
#include "tokenizer/byte_level.h"
#include "tokenizer/hf_text.h"
#include "tokenizer/pretokenizer.h"
#include "units/error.h"

namespace longhaul::tokenizer {
namespace {

using Json = nlohmann::json;

constexpr int kMaxDepth = 64;

Json parse_json(std::string_view contents, const std::string& name) {
  int depth = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < contents.size(); ++i) {
    const char c = contents[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      if (++depth > kMaxDepth) throw DataError(fmt::format("{}: JSON nested deeper than {} at byte {}", name, kMaxDepth, i));
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
  try {
    return Json::parse(contents);
  } catch (const Json::exception& error) {
    throw DataError(fmt::format("{}: not JSON: {}", name, error.what()));
  }
}

// The byte that a token like <0x0A> stands for.
std::optional<unsigned char> byte_of_name(std::string_view text) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  if (text.size() != 6 || !text.starts_with("<0x") || text[5] != '>') return std::nullopt;
  const std::size_t high = kHex.find(text[3]), low = kHex.find(text[4]);
  if (high == std::string_view::npos || low == std::string_view::npos) return std::nullopt;
  return static_cast<unsigned char>(16 * high + low);
}

class TokenizerReader {
 public:
  TokenizerReader(const Json& root, const std::string& name) : root_(root), name_(name) {}

  TokenizerParts read() {
    parts_.origin = name_;
    HfText text = read_hf_text(root_, name_);
    parts_.rules = std::move(text.rules);
    parts_.pattern = text.pattern;
    parts_.units = text.byte_level ? Units::bytes : Units::characters;
    const Json& model = field(root_, "model", "");
    check_model(model);
    if (const auto added = root_.find("added_tokens"); added != root_.end()) read_added(*added);
    read_vocabulary(field(model, "vocab", "model."));
    read_merges(field(model, "merges", "model."));
    return std::move(parts_);
  }

 private:
  [[noreturn]] void fail(const std::string& what) const { throw DataError(name_ + ": " + what); }

  const Json& field(const Json& object, const char* key, const char* path) const {
    if (!object.is_object() || !object.contains(key)) fail(fmt::format("{}{} is missing", path, key));
    return object.at(key);
  }

  void require_absent(const Json& object, const char* key, const char* path) const {
    const auto found = object.find(key);
    if (found == object.end() || found->is_null() || *found == false || *found == Json("")) return;
    fail(fmt::format("{}{} is {}; allowed: none", path, key, shown_json(*found)));
  }

  void check_model(const Json& model) {
    if (const std::string type = text_under(model, "type"); type != "BPE") fail("model.type is '" + type + "'; implemented: BPE");
    const auto dropout = model.find("dropout");
    if (dropout != model.end() && !dropout->is_null() && *dropout != 0) fail("model.dropout is set; allowed: null");
    for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) require_absent(model, key, "model.");
    parts_.whole_piece_first = model.contains("ignore_merges") && model["ignore_merges"] == true;
    if (parts_.units == Units::bytes) return;  // all bytes have tokens, so there is nothing to fall back from
    if (!model.contains("byte_fallback") || model["byte_fallback"] != true) {
      fail(
          "pre_tokenizer has no ByteLevel and model.byte_fallback is false: characters that the vocabulary lacks would be lost; "
          "implemented: "
          "one of the two");
    }
    if (parts_.whole_piece_first) fail("model.ignore_merges is true where pre_tokenizer has no ByteLevel; implemented: false");
  }

  std::int32_t read_id(const Json& value, const std::string& what, std::int64_t entries) const {
    if (value.is_number_integer()) {
      const auto id = value.get<std::int64_t>();
      if (id >= 0 && id < std::min<std::int64_t>(entries + kMaxFreeIds, kMaxVocabulary)) return static_cast<std::int32_t>(id);
    }
    fail(fmt::format("id of {} is {}; allowed: numbers from 0, without large gaps", what, shown_json(value)));
  }

  void read_added(const Json& added) {
    if (!added.is_array()) fail("added_tokens is no list");
    for (const Json& token : added) {
      const std::string text = text_under(token, "content");
      if (text.empty() || !token.contains("id")) fail("added_tokens has an entry without id or content: " + shown_json(token));
      const auto has = [&](const char* key) { return token.contains(key) && token[key] == true; };
      const std::int32_t id = read_id(token["id"], "'" + text + "'", kMaxVocabulary);
      if (!added_.emplace(text, id).second) fail("added token " + shown_json(token["content"]) + " is there twice");
      if (has("special")) {
        specials_.emplace(text, id);
        parts_.specials.push_back({text, id, has("normalized")});
        continue;
      }
      for (const char* key : {"single_word", "lstrip", "rstrip"}) {
        if (has(key))
          fail(fmt::format("added token {} has {} true; implemented: false where special is false", shown_json(token["content"]), key));
      }
      parts_.added.push_back({text, id, has("normalized")});
    }
  }

  void read_vocabulary(const Json& vocabulary) {
    if (!vocabulary.is_object()) fail("model.vocab is no object");
    const auto entries = static_cast<std::int64_t>(vocabulary.size() + added_.size());
    for (const auto& [text, id] : added_) read_id(id, "'" + text + "'", entries);
    for (const auto& [printable, value] : vocabulary.items()) {
      const std::int32_t id = read_id(value, "'" + printable + "'", entries);
      const auto added = added_.find(printable);
      if (added != added_.end() && added->second != id) {
        fail(fmt::format("'{}' has id {} in model.vocab and {} in added_tokens", printable, id, added->second));
      }
      if (specials_.contains(printable)) continue;
      if (parts_.units == Units::characters) {
        if (const std::optional<unsigned char> byte = byte_of_name(printable)) {
          if (parts_.byte_ids.empty()) parts_.byte_ids.assign(256, kNoId);
          parts_.byte_ids[*byte] = id;
          continue;
        }
      }
      std::optional<std::string> text = parts_.units == Units::characters ? printable : from_byte_level(printable);
      if (!text && added != added_.end()) continue;  // in the vocabulary for its id alone
      if (!text || text->empty()) fail("token '" + printable + "' is not written in GPT-2's byte names");
      if (parts_.tokens.size() <= static_cast<std::size_t>(id)) parts_.tokens.resize(static_cast<std::size_t>(id) + 1);
      std::string& token = parts_.tokens[static_cast<std::size_t>(id)];
      if (!token.empty()) fail(fmt::format("id {} belongs to '{}' and to '{}'", id, printable_form(token), printable));
      token = std::move(*text);
      ids_.emplace(printable, id);
    }
  }

  std::string printable_form(const std::string& token) const { return parts_.units == Units::characters ? token : to_byte_level(token); }

  std::int32_t id_of(const std::string& printable, std::size_t rank) const {
    const auto found = ids_.find(printable);
    if (found == ids_.end()) fail(fmt::format("model.merges[{}] needs the token '{}', which model.vocab does not have", rank, printable));
    return found->second;
  }

  void read_merges(const Json& merges) {
    if (!merges.is_array()) fail("model.merges is no list");
    parts_.merges.reserve(merges.size());
    for (std::size_t rank = 0; rank < merges.size(); ++rank) {
      const Json& entry = merges[rank];
      std::string left, right;
      if (entry.is_string()) {  // "left right", as up to tokenizers 0.19
        const auto& text = entry.get_ref<const std::string&>();
        const std::size_t space = std::min(text.find(' '), text.size());
        left = text.substr(0, space);
        right = text.substr(std::min(space + 1, text.size()));
      } else if (entry.is_array() && entry.size() == 2 && entry[0].is_string() && entry[1].is_string()) {
        left = entry[0].get<std::string>();
        right = entry[1].get<std::string>();
      }
      if (left.empty() || right.empty()) fail(fmt::format("model.merges[{}] is {}; allowed: \"left right\"", rank, shown_json(entry)));
      parts_.merges.push_back({id_of(left, rank), id_of(right, rank), id_of(left + right, rank)});
    }
  }

  const Json& root_;
  const std::string& name_;
  TokenizerParts parts_;
  std::unordered_map<std::string, std::int32_t> specials_, added_;  // added_: all of added_tokens
  std::unordered_map<std::string, std::int32_t> ids_;               // by printable form
};

using OrderedJson = nlohmann::ordered_json;

OrderedJson added_token_json(const std::string& text, std::int32_t id, bool normalized, bool special) {
  return {{"id", id},        {"content", text},          {"single_word", false}, {"lstrip", false},
          {"rstrip", false}, {"normalized", normalized}, {"special", special}};
}

}  // namespace

TokenizerParts parse_tokenizer_json(std::string_view contents, const std::string& name, const std::optional<Pattern>& pattern) {
  const Json root = parse_json(contents, name);
  if (!root.is_object()) throw DataError(name + ": not a JSON object");
  TokenizerParts parts = TokenizerReader(root, name).read();
  if (pattern && *pattern != parts.pattern) {
    throw UsageError(fmt::format("{}: goes with pattern {}, not {}", name, pattern_name(parts.pattern), pattern_name(*pattern)));
  }
  return parts;
}

std::string write_tokenizer_json(const BpeTables& tables) {
  const auto printable = [&](std::int32_t id) {
    const std::string_view text = tables.token_text(id);
    return tables.units() == Units::characters ? std::string(text) : to_byte_level(text);
  };
  std::vector<OrderedJson> in_order(static_cast<std::size_t>(tables.vocab_size()));  // null: not added
  for (const SpecialToken& token : tables.specials()) {
    in_order[static_cast<std::size_t>(token.id)] = added_token_json(token.text, token.id, token.normalized, true);
  }
  for (const AddedToken& token : tables.added()) {
    in_order[static_cast<std::size_t>(token.id)] = added_token_json(token.text, token.id, token.normalized, false);
  }
  OrderedJson added = OrderedJson::array();
  // An ordered_json object searches all its keys at each insertion, so the large lists are written as text.
  std::string vocabulary, merges;
  const auto quoted = [](const std::string& text) { return Json(text).dump(-1, ' ', false, Json::error_handler_t::replace); };
  for (std::int32_t id = 0; id < tables.vocab_size(); ++id) {
    OrderedJson& entry = in_order[static_cast<std::size_t>(id)];
    if (tables.token_text(id).empty()) continue;
    const bool is_token = tables.find(tables.token_text(id)) == id;
    const std::string text = is_token || entry.is_null() ? printable(id) : entry["content"].get<std::string>();
    vocabulary += fmt::format("{}\n      {}: {}", vocabulary.empty() ? "" : ",", quoted(text), id);
    if (!entry.is_null()) added.push_back(std::move(entry));
  }
  const auto has_space = [&](const Merge& merge) { return tables.token_text(merge.merged).find(' ') != std::string_view::npos; };
  const bool as_pairs = tables.units() == Units::characters && std::ranges::any_of(tables.merges(), has_space);  // byte names have none
  for (const Merge& merge : tables.merges()) {
    const std::string left = printable(merge.left), right = printable(merge.right);
    const std::string entry = as_pairs ? fmt::format("[{}, {}]", quoted(left), quoted(right)) : quoted(fmt::format("{} {}", left, right));
    merges += fmt::format("{}\n      {}", merges.empty() ? "" : ",", entry);
  }
  return fmt::format(
      "{{\n  \"version\": \"1.0\",\n  \"truncation\": null,\n  \"padding\": null,\n  \"added_tokens\": {},\n  \"normalizer\": {},\n"
      "  \"pre_tokenizer\": {},\n  \"post_processor\": null,\n  \"decoder\": {},\n  \"model\": {{\n    \"type\": \"BPE\",\n"
      "    \"dropout\": null,\n    \"unk_token\": null,\n    \"continuing_subword_prefix\": \"\",\n    \"end_of_word_suffix\": \"\",\n"
      "    \"fuse_unk\": false,\n    \"byte_fallback\": {},\n    \"ignore_merges\": {},\n    \"vocab\": {{{}\n    }},\n"
      "    \"merges\": [{}\n    ]\n  }}\n}}\n",
      added.dump(), write_normalizer(tables.rules()).dump(), write_pre_tokenizer(tables.rules(), tables.pattern(), tables.units()).dump(),
      write_decoder(tables.rules(), tables.units()).dump(), tables.units() == Units::characters, tables.whole_piece_first(), vocabulary,
      merges);
}

}  // namespace longhaul::tokenizer
