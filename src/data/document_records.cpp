#include "data/document_records.h"

#include <cstdint>
#include <nlohmann/json.hpp>

namespace longhaul::data {

namespace {

constexpr const char* kTrainFile = "train/documents.jsonl";
constexpr const char* kHeldoutFile = "heldout/documents.jsonl";

}  // namespace

DocumentRecords::DocumentRecords(const std::filesystem::path& directory, const std::vector<ingest::Source>& sources,
                                 const std::vector<ingest::InputFile>& files)
    : sources_(sources), files_(files), train_(files::Disk(), directory / kTrainFile), heldout_(files::Disk(), directory / kHeldoutFile) {}

void DocumentRecords::add(const EncodedDocument& document) {
  const nlohmann::ordered_json place = {
      {"source", sources_[document.source].name}, {"file", files_[document.file].name}, {"line", document.line}};
  std::string line = place.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  line.pop_back();
  line += ",\"metadata\":" + (document.metadata.empty() ? "null" : document.metadata) + "}\n";
  (document.heldout ? heldout_ : train_).write(line);
}

std::vector<FileRecord> DocumentRecords::finish() {
  const files::FileDigest train = train_.finish(), heldout = heldout_.finish();
  return {{kTrainFile, static_cast<std::int64_t>(train.bytes), train.sha256},
          {kHeldoutFile, static_cast<std::int64_t>(heldout.bytes), heldout.sha256}};
}

}  // namespace longhaul::data
