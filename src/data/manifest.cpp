#include "data/manifest.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "files/read.h"
#include "units/error.h"

namespace longhaul::data {

namespace {

using Json = nlohmann::json;                 // read
using OrderedJson = nlohmann::ordered_json;  // written

constexpr const char* kFormat = "longhaul-dataset";
constexpr const char* kFix = "prepare the dataset again (`longhaul data prepare`)";

/// @throws DataError instead of the general Error: the file is damaged
template <class Read>
auto damaged_if_unreadable(const Read& read) {
  try {
    return read();
  } catch (const Error& error) {
    throw DataError(fmt::format("{}; {}", error.what(), kFix));
  }
}

/// One object of the file, with the path to it for messages.
class Reader {
 public:
  Reader(const Json& object, std::string where) : object_(object), where_(std::move(where)) {
    if (!object_.is_object()) throw DataError(fmt::format("{} is not an object; {}", where_, kFix));
  }

  std::string text(const char* key) const {
    const Json& value = at(key);
    if (!value.is_string()) wrong(key, "a string");
    return value.get<std::string>();
  }
  /// A field that datasets of earlier versions do not have.
  bool flag_or(const char* key, bool absent) const {
    if (!object_.contains(key)) return absent;
    if (!at(key).is_boolean()) wrong(key, "true or false");
    return at(key).get<bool>();
  }
  std::int64_t count(const char* key) const {
    const Json& value = at(key);
    if (!value.is_number_unsigned() || value.get<std::uint64_t>() > std::uint64_t{1} << 56) wrong(key, "a count from 0 to 2^56");
    return value.get<std::int64_t>();
  }
  double number(const char* key) const {
    const Json& value = at(key);
    if (!value.is_number()) wrong(key, "a number");
    return value.get<double>();
  }
  std::string digest(const char* key) const {
    std::string value = text(key);
    const bool hex = value.find_first_not_of("0123456789abcdef") == std::string::npos;
    if (value.size() != 64 || !hex) wrong(key, "64 hexadecimal digits");
    return value;
  }
  /// A path that stays inside the directory.
  std::string path(const char* key) const {
    std::string value = text(key);
    const std::filesystem::path parsed(value);
    bool inside = !value.empty() && parsed.is_relative() && value.find('\0') == std::string::npos;
    for (const auto& part : parsed) inside = inside && part != "..";
    if (!inside) wrong(key, "a relative path without \"..\"");
    return value;
  }
  bool has(const char* key) const { return object_.contains(key); }
  bool is_null(const char* key) const { return at(key).is_null(); }
  Reader object(const char* key) const { return Reader(at(key), fmt::format("{}.{}", where_, key)); }
  std::vector<std::string> texts(const char* key) const {
    const Json& value = at(key);
    if (!value.is_array() || !std::all_of(value.begin(), value.end(), [](const Json& item) { return item.is_string(); }))
      wrong(key, "a list of strings");
    return value.get<std::vector<std::string>>();
  }
  template <class T, class Make>
  std::vector<T> list(const char* key, const Make& make) const {
    const Json& value = at(key);
    if (!value.is_array()) wrong(key, "a list");
    std::vector<T> items;
    for (const Json& item : value) items.push_back(make(Reader(item, fmt::format("{}.{}[{}]", where_, key, items.size()))));
    return items;
  }
  [[noreturn]] void wrong(const char* key, const std::string& allowed) const {
    throw DataError(fmt::format("{}.{}: must be {}; {}", where_, key, allowed, kFix));
  }

 private:
  const Json& at(const char* key) const {
    const auto found = object_.find(key);
    if (found == object_.end()) throw DataError(fmt::format("{}.{} is missing; {}", where_, key, kFix));
    return *found;
  }
  const Json& object_;
  std::string where_;
};

OrderedJson to_json(const Counts& counts) { return {{"documents", counts.documents}, {"bytes", counts.bytes}, {"tokens", counts.tokens}}; }
Counts read_counts(const Reader& in) { return {in.count("documents"), in.count("bytes"), in.count("tokens")}; }

OrderedJson to_json(const ShardRecord& shard) {
  return {{"path", shard.path}, {"counts", to_json(shard.counts)}, {"file_bytes", shard.file_bytes}, {"sha256", shard.sha256}};
}
ShardRecord read_shard(const Reader& in) {
  return {in.path("path"), read_counts(in.object("counts")), in.count("file_bytes"), in.digest("sha256")};
}

/// SourceFile and FileRecord have the same fields.
template <class File>
OrderedJson file_to_json(const File& file) {
  return {{"path", file.path}, {"bytes", file.bytes}, {"sha256", file.sha256}};
}
template <class File>
File read_file_record(const Reader& in) {
  return {in.path("path"), in.count("bytes"), in.digest("sha256")};
}

template <class T, class Convert>
OrderedJson list_to_json(const std::vector<T>& items, const Convert& convert) {
  OrderedJson list = OrderedJson::array();
  for (const T& item : items) list.push_back(convert(item));
  return list;
}

OrderedJson to_json(const ingest::Account& account) {
  const auto skipped = [](const ingest::SkippedRecord& record) {
    return OrderedJson{{"reason", record.reason}, {"count", record.count}, {"names", record.names}};
  };
  return {{"seen", account.seen}, {"taken", account.taken}, {"skipped", list_to_json(account.skipped, skipped)}};
}
ingest::Account read_account(const Reader& in) {
  ingest::Account account{in.count("seen"), in.count("taken"), in.list<ingest::SkippedRecord>("skipped", [](const Reader& record) {
                            return ingest::SkippedRecord{record.text("reason"), record.count("count"), record.texts("names")};
                          })};
  if (!account.adds_up()) in.wrong("seen", fmt::format("taken and skipped together ({})", account.taken + account.skipped_count()));
  return account;
}

OrderedJson to_json(const ingest::UndividedFile& file) {
  return {{"path", file.path}, {"separator", file.separator}, {"count", file.count}};
}
ingest::UndividedFile read_undivided(const Reader& in) { return {in.text("path"), in.text("separator"), in.count("count")}; }

/// Datasets of earlier versions have no accounts: only what was taken is known.
void read_accounts(const Reader& in, SourceRecord& source) {
  if (!in.has("walk")) {
    source.walk = {source.file_count, source.file_count, {}};
    source.rows.seen = source.rows.taken = source.train.documents + source.heldout.documents;
    if (source.empty_documents > 0) source.rows.skipped = {{"empty", source.empty_documents, {}}};
    source.rows.seen += source.empty_documents;
    return;
  }
  source.walk = read_account(in.object("walk"));
  source.rows = read_account(in.object("rows"));
  source.undivided = in.list<ingest::UndividedFile>("undivided", read_undivided);
  if (source.walk.taken != source.file_count) in.wrong("walk", fmt::format("an account that takes {} files", source.file_count));
}

OrderedJson to_json(const SourceRecord& source) {
  OrderedJson json = {{"name", source.name}, {"path", source.path}, {"heldout_source", source.heldout_source}};
  if (!source.token_format.empty()) json["token_format"] = source.token_format;
  json.update({{"train", to_json(source.train)},
               {"heldout", to_json(source.heldout)},
               {"walk", to_json(source.walk)},
               {"rows", to_json(source.rows)},
               {"undivided", list_to_json(source.undivided, [](const ingest::UndividedFile& file) { return to_json(file); })},
               {"empty_documents", source.empty_documents},
               {"replaced_sequences", source.replaced_sequences},
               {"file_count", source.file_count},
               {"files_hash", source.files_hash},
               {"files", list_to_json(source.files, file_to_json<SourceFile>)}});
  return json;
}
SourceRecord read_source(const Reader& in) {
  SourceRecord source;
  source.name = in.text("name");
  source.path = in.text("path");
  source.heldout_source = in.flag_or("heldout_source", false);
  if (in.has("token_format")) source.token_format = in.text("token_format");
  source.train = read_counts(in.object("train"));
  source.heldout = read_counts(in.object("heldout"));
  source.empty_documents = in.count("empty_documents");
  source.replaced_sequences = in.count("replaced_sequences");
  source.file_count = in.count("file_count");
  source.files_hash = in.digest("files_hash");
  source.files = in.list<SourceFile>("files", read_file_record<SourceFile>);
  read_accounts(in, source);
  return source;
}

OrderedJson to_json(const Split& split) {
  return {{"salt", split.salt},
          {"heldout_fraction", split.fraction},
          {"heldout_tail", split.tail},
          {"eval_only", split.eval_only},
          {"hash", "xxh3-64"}};
}
Split read_rule(const Reader& in) {
  return {in.text("salt"), in.number("heldout_fraction"), in.has("heldout_tail") ? in.number("heldout_tail") : 0,
          in.flag_or("eval_only", false)};
}

/// `endoftext` is the end token; `begin` is absent where it begins documents too, and null where nothing does.
tokenizer::Framing read_framing(const Reader& tokenizer) {
  const auto id = [&](const char* key) {
    const std::int64_t value = tokenizer.count(key);
    if (value > INT32_MAX) tokenizer.wrong(key, "a token id");
    return static_cast<std::int32_t>(value);
  };
  const std::int32_t end = id("endoftext");
  if (!tokenizer.has("begin")) return {end, end};
  return {tokenizer.is_null("begin") ? tokenizer::Framing::kNone : id("begin"), end};
}

OrderedJson split_to_json(const Counts& counts, const std::vector<ShardRecord>& shards) {
  return {{"counts", to_json(counts)}, {"shards", list_to_json(shards, [](const ShardRecord& shard) { return to_json(shard); })}};
}

void read_split(const Reader& in, Counts& counts, std::vector<ShardRecord>& shards) {
  counts = read_counts(in.object("counts"));
  shards = in.list<ShardRecord>("shards", read_shard);
  Counts sum;
  for (const ShardRecord& shard : shards) sum += shard.counts;
  if (sum != counts) in.wrong("counts", fmt::format("the sum of its shards ({} tokens, {} documents)", sum.tokens, sum.documents));
}

}  // namespace

Counts& Counts::operator+=(const Counts& other) {
  documents += other.documents;
  bytes += other.bytes;
  tokens += other.tokens;
  return *this;
}

std::string Manifest::hash_of_contents() const {
  std::string text = "tokenizer " + tokenizer_fingerprint;
  for (const ShardRecord& shard : train_shards) text += "\ntrain " + shard.sha256;
  for (const ShardRecord& shard : heldout_shards) text += "\nheldout " + shard.sha256;
  return files::sha256_hex(text);
}

double Manifest::bytes_per_token() const {
  const std::int64_t tokens = train.tokens + heldout.tokens;
  return tokens == 0 ? 0 : static_cast<double>(train.bytes + heldout.bytes) / static_cast<double>(tokens);
}

std::string Manifest::describe_split() const {
  std::string whole;
  for (const SourceRecord& source : sources)
    if (source.heldout_source) whole += fmt::format("{}source {} is held out", whole.empty() ? "" : "; ", source.name);
  if (whole.empty()) return split.describe();
  return split.fraction > 0 || split.tail > 0 ? split.describe() + "; " + whole : whole;
}

std::string Manifest::to_json() const {
  OrderedJson json = {{"format", kFormat},
                      {"version", kVersion},
                      {"longhaul_version", longhaul_version},
                      {"recipe_hash", recipe_hash},
                      {"content_hash", content_hash},
                      {"split", data::to_json(split)},
                      {"overlap", {{"documents", overlap_documents}, {"names", overlap_names}}},
                      {"ingest", {{"text_field", text_field}, {"invalid_utf8", invalid_utf8}, {"bad_rows", bad_rows}}},
                      {"tokenizer",
                       {{"file", tokenizer_file},
                        {"origin", tokenizer_origin},
                        {"vocab_size", vocab_size},
                        {"endoftext", framing.end},
                        {"fingerprint", tokenizer_fingerprint}}},
                      {"sources", list_to_json(sources, [](const SourceRecord& source) { return data::to_json(source); })},
                      {"train", split_to_json(train, train_shards)},
                      {"heldout", split_to_json(heldout, heldout_shards)},
                      {"files", list_to_json(files, file_to_json<FileRecord>)}};
  if (!framing.shared()) json["tokenizer"]["begin"] = framing.has_begin() ? OrderedJson(framing.begin) : OrderedJson();
  // Names of files need not be UTF-8; everything else is.
  return json.dump(2, ' ', false, OrderedJson::error_handler_t::replace) + "\n";
}

Manifest Manifest::from_json(const std::string& text, const std::string& file_name) {
  const Json json = damaged_if_unreadable([&] { return files::parse_json(text, file_name); });
  const Reader in(json, file_name);
  if (in.text("format") != kFormat) in.wrong("format", fmt::format("\"{}\"", kFormat));
  if (in.count("version") != kVersion) in.wrong("version", fmt::format("{}, the one this program reads", kVersion));

  Manifest manifest;
  manifest.longhaul_version = in.text("longhaul_version");
  manifest.recipe_hash = in.digest("recipe_hash");
  manifest.content_hash = in.digest("content_hash");
  manifest.split = read_rule(in.object("split"));
  if (in.has("overlap")) {
    manifest.overlap_documents = in.object("overlap").count("documents");
    manifest.overlap_names = in.object("overlap").texts("names");
  }
  const Reader ingest = in.object("ingest"), tokenizer = in.object("tokenizer");
  manifest.text_field = ingest.text("text_field");
  manifest.invalid_utf8 = ingest.text("invalid_utf8");
  if (ingest.has("bad_rows")) manifest.bad_rows = ingest.text("bad_rows");
  manifest.tokenizer_file = tokenizer.path("file");
  manifest.tokenizer_origin = tokenizer.text("origin");
  manifest.vocab_size = tokenizer.count("vocab_size");
  manifest.framing = read_framing(tokenizer);
  manifest.tokenizer_fingerprint = tokenizer.text("fingerprint");
  manifest.sources = in.list<SourceRecord>("sources", read_source);
  read_split(in.object("train"), manifest.train, manifest.train_shards);
  read_split(in.object("heldout"), manifest.heldout, manifest.heldout_shards);
  manifest.files = in.list<FileRecord>("files", read_file_record<FileRecord>);
  return manifest;
}

Manifest Manifest::read(const std::filesystem::path& dataset_directory) {
  const std::filesystem::path file = dataset_directory / "dataset.json";
  if (!std::filesystem::exists(file))
    throw DataError(fmt::format("{}: no prepared dataset there (dataset.json is missing); make one with `longhaul data prepare --out {}`",
                                dataset_directory.string(), dataset_directory.string()));
  return from_json(damaged_if_unreadable([&] { return files::read_file(file); }), file.string());
}

}  // namespace longhaul::data
