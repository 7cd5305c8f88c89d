#include "data/hf_tokenizer_json.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <unordered_map>

#include "data/bpe_tables.h"
#include "data/byte_level.h"
#include "data/pretokenizer.h"
#include "units/error.h"

namespace longhaul::data {
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

class TokenizerReader {
 public:
  TokenizerReader(const Json& root, const std::string& name) : root_(root), name_(name) {}

  TokenizerParts read() {
    parts_.origin = name_;
    require_absent(root_, "normalizer", "");
    parts_.pattern = read_pattern(field(root_, "pre_tokenizer", ""));
    const Json& model = field(root_, "model", "");
    check_model(model);
    if (const auto added = root_.find("added_tokens"); added != root_.end()) read_specials(*added);
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
    fail(fmt::format("{}{} is {}; allowed: none", path, key, short_dump(*found)));
  }

  static std::string short_dump(const Json& value) {
    const std::string text = value.dump(-1, ' ', true, Json::error_handler_t::replace);
    return text.size() > 60 ? text.substr(0, 60) + "…" : text;
  }

  static std::string text_of(const Json& object, const char* key) {
    const auto found = object.is_object() ? object.find(key) : object.end();
    return object.is_object() && found != object.end() && found->is_string() ? found->get<std::string>() : "";
  }

  Pattern read_pattern(const Json& pre_tokenizer) const {
    if (text_of(pre_tokenizer, "type") == "ByteLevel") {
      check_byte_level(pre_tokenizer, true);
      return Pattern::gpt2;
    }
    const auto steps = pre_tokenizer.is_object() ? pre_tokenizer.find("pretokenizers") : pre_tokenizer.end();
    if (text_of(pre_tokenizer, "type") != "Sequence" || steps == pre_tokenizer.end() || !steps->is_array() || steps->size() != 2) {
      fail("pre_tokenizer is neither ByteLevel nor a Sequence of Split and ByteLevel: " + short_dump(pre_tokenizer));
    }
    const Json& split = (*steps)[0];
    check_byte_level((*steps)[1], false);
    const bool invert = split.is_object() && split.contains("invert") && split["invert"] == true;
    const std::string behavior = text_of(split, "behavior");
    // What lies between matches is nothing for these expressions, so both ways to write it mean the same.
    if (text_of(split, "type") != "Split" || !((behavior == "Isolated" && !invert) || (behavior == "Removed" && invert))) {
      fail("pre_tokenizer.pretokenizers[0] is no Split with behavior Isolated: " + short_dump(split));
    }
    const std::string regex = split.contains("pattern") ? text_of(split["pattern"], "Regex") : "";
    if (const std::optional<Pattern> pattern = pattern_from_regex(regex)) return *pattern;
    fail("pre_tokenizer splits by '" + regex + "'; allowed: the expressions of gpt2 and cl100k_base");
  }

  void check_byte_level(const Json& step, bool use_regex) const {
    if (text_of(step, "type") != "ByteLevel") fail("pre_tokenizer does not end with ByteLevel: " + short_dump(step));
    if (step.contains("add_prefix_space") && step["add_prefix_space"] != false)
      fail("pre_tokenizer.add_prefix_space is true; allowed: false");
    const bool uses = !step.contains("use_regex") || step["use_regex"] != false;  // a missing one counts as true
    if (uses != use_regex) fail(fmt::format("pre_tokenizer ByteLevel has use_regex {}; allowed here: {}", uses, use_regex));
  }

  void check_model(const Json& model) {
    if (const std::string type = text_of(model, "type"); type != "BPE") fail("model.type is '" + type + "'; allowed: BPE");
    const auto dropout = model.find("dropout");
    if (dropout != model.end() && !dropout->is_null() && *dropout != 0) fail("model.dropout is set; allowed: null");
    for (const char* key : {"unk_token", "continuing_subword_prefix", "end_of_word_suffix", "byte_fallback"}) {
      require_absent(model, key, "model.");
    }
    parts_.whole_piece_first = model.contains("ignore_merges") && model["ignore_merges"] == true;
  }

  std::int32_t read_id(const Json& value, const std::string& what, std::int64_t entries) const {
    if (value.is_number_integer()) {
      const auto id = value.get<std::int64_t>();
      if (id >= 0 && id < std::min<std::int64_t>(entries + kMaxFreeIds, kMaxVocabulary)) return static_cast<std::int32_t>(id);
    }
    fail(fmt::format("id of {} is {}; allowed: numbers from 0, without large gaps", what, short_dump(value)));
  }

  void read_specials(const Json& added) {
    if (!added.is_array()) fail("added_tokens is no list");
    for (const Json& token : added) {
      const std::string text = text_of(token, "content");
      if (text.empty() || !token.contains("id")) fail("added_tokens has an entry without id or content: " + short_dump(token));
      if (!token.contains("special") || token["special"] != true) {
        fail("added token " + short_dump(token) + " is not special; allowed: special ones, since others would be looked for in text");
      }
      if (specials_.contains(text)) fail("added token " + short_dump(token["content"]) + " is there twice");
      const std::int32_t id = read_id(token["id"], "'" + text + "'", kMaxVocabulary);
      specials_.emplace(text, id);
      parts_.specials.push_back({text, id});
    }
  }

  void read_vocabulary(const Json& vocabulary) {
    if (!vocabulary.is_object()) fail("model.vocab is no object");
    const auto entries = static_cast<std::int64_t>(vocabulary.size() + parts_.specials.size());
    for (const SpecialToken& special : parts_.specials) read_id(special.id, "'" + special.text + "'", entries);
    for (const auto& [printable, value] : vocabulary.items()) {
      const std::int32_t id = read_id(value, "'" + printable + "'", entries);
      if (const auto special = specials_.find(printable); special != specials_.end()) {
        if (special->second != id)
          fail(fmt::format("'{}' has id {} in model.vocab and {} in added_tokens", printable, id, special->second));
        continue;
      }
      const std::optional<std::string> bytes = from_byte_level(printable);
      if (!bytes || bytes->empty()) fail("token '" + printable + "' is not written in GPT-2's byte names");
      if (parts_.tokens.size() <= static_cast<std::size_t>(id)) parts_.tokens.resize(static_cast<std::size_t>(id) + 1);
      std::string& token = parts_.tokens[static_cast<std::size_t>(id)];
      if (!token.empty()) fail(fmt::format("id {} belongs to '{}' and to '{}'", id, to_byte_level(token), printable));
      token = *bytes;
      ids_.emplace(printable, id);
    }
  }

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
      if (left.empty() || right.empty()) fail(fmt::format("model.merges[{}] is {}; allowed: \"left right\"", rank, short_dump(entry)));
      parts_.merges.push_back({id_of(left, rank), id_of(right, rank), id_of(left + right, rank)});
    }
  }

  const Json& root_;
  const std::string& name_;
  TokenizerParts parts_;
  std::unordered_map<std::string, std::int32_t> specials_;
  std::unordered_map<std::string, std::int32_t> ids_;  // by printable form
};

using OrderedJson = nlohmann::ordered_json;

OrderedJson byte_level(bool use_regex) {
  return {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", use_regex}};
}

OrderedJson pre_tokenizer(Pattern pattern) {
  if (pattern == Pattern::gpt2) return byte_level(true);
  const OrderedJson split = {
      {"type", "Split"}, {"pattern", {{"Regex", pattern_regex(pattern)}}}, {"behavior", "Isolated"}, {"invert", false}};
  return {{"type", "Sequence"}, {"pretokenizers", OrderedJson::array({split, byte_level(false)})}};
}

}  // namespace

TokenizerParts parse_tokenizer_json(std::string_view contents, const std::string& name, std::optional<Pattern> pattern) {
  const Json root = parse_json(contents, name);
  if (!root.is_object()) throw DataError(name + ": not a JSON object");
  TokenizerParts parts = TokenizerReader(root, name).read();
  if (pattern && *pattern != parts.pattern) {
    throw UsageError(fmt::format("{}: goes with pattern {}, not {}", name, pattern_name(parts.pattern), pattern_name(*pattern)));
  }
  return parts;
}

std::string write_tokenizer_json(const BpeTables& tables) {
  const auto printable = [&](std::int32_t id) { return to_byte_level(tables.token_bytes(id)); };
  OrderedJson added = OrderedJson::array();
  for (const SpecialToken& special : tables.specials()) {
    added.push_back({{"id", special.id},
                     {"content", special.text},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"normalized", false},
                     {"special", true}});
  }
  // An ordered_json object searches all its keys at each insertion, so the large lists are written as text.
  std::string vocabulary, merges;
  const auto quoted = [](const std::string& text) { return Json(text).dump(-1, ' ', false, Json::error_handler_t::replace); };
  for (std::int32_t id = 0; id < tables.vocab_size(); ++id) {
    const std::string_view bytes = tables.token_bytes(id);
    if (bytes.empty()) continue;
    const std::string text = tables.is_special(id) ? std::string(bytes) : printable(id);
    vocabulary += fmt::format("{}\n      {}: {}", vocabulary.empty() ? "" : ",", quoted(text), id);
  }
  for (const Merge& merge : tables.merges()) {
    merges += fmt::format("{}\n      {}", merges.empty() ? "" : ",", quoted(printable(merge.left) + " " + printable(merge.right)));
  }
  const OrderedJson decoder = {{"type", "ByteLevel"}, {"add_prefix_space", true}, {"trim_offsets", true}, {"use_regex", true}};
  return fmt::format(
      "{{\n  \"version\": \"1.0\",\n  \"truncation\": null,\n  \"padding\": null,\n  \"added_tokens\": {},\n  \"normalizer\": null,\n"
      "  \"pre_tokenizer\": {},\n  \"post_processor\": null,\n  \"decoder\": {},\n  \"model\": {{\n    \"type\": \"BPE\",\n"
      "    \"dropout\": null,\n    \"unk_token\": null,\n    \"continuing_subword_prefix\": \"\",\n    \"end_of_word_suffix\": \"\",\n"
      "    \"fuse_unk\": false,\n    \"byte_fallback\": false,\n    \"ignore_merges\": {},\n    \"vocab\": {{{}\n    }},\n"
      "    \"merges\": [{}\n    ]\n  }}\n}}\n",
      added.dump(), pre_tokenizer(tables.pattern()).dump(), decoder.dump(), tables.whole_piece_first(), vocabulary, merges);
}

}  // namespace longhaul::data
