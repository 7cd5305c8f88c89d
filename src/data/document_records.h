// data/document_records.h — documents.jsonl of each split: where every document came from, and the fields of its row that were chosen
// (`data prepare --metadata`). Line n is document n of the split, so token shards keep their format.
#pragma once

#include <filesystem>
#include <vector>

#include "data/encode_documents.h"
#include "data/manifest.h"
#include "files/disk.h"
#include "ingest/walk.h"

namespace longhaul::data {

class DocumentRecords {
 public:
  /// Begins both files; the folders of the splits exist.
  DocumentRecords(const std::filesystem::path& directory, const std::vector<ingest::Source>& sources,
                  const std::vector<ingest::InputFile>& files);
  /// The next document of its split.
  void add(const EncodedDocument& document);
  /// Both files, finished.
  std::vector<FileRecord> finish();

 private:
  const std::vector<ingest::Source>& sources_;
  const std::vector<ingest::InputFile>& files_;
  files::FileWriter train_, heldout_;
};

}  // namespace longhaul::data
