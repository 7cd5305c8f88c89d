#include "ingest/rejected_rows.h"

#include <nlohmann/json.hpp>

#include "units/utf8.h"

namespace longhaul::ingest {

void RejectedRows::add(const RejectedRow& row) {
  if (!file_) file_.emplace(files::Disk(), path_);
  const InputFile& file = files_[row.file];
  const nlohmann::ordered_json line = {{"source", sources_[file.source].name},
                                       {"file", file.name},
                                       {"line", row.line},
                                       {"byte", row.byte},
                                       {"reason", row.reason},
                                       {"what", row.what},
                                       {"row_bytes", row.raw.size()},
                                       {"row", replace_invalid_utf8(row.raw.substr(0, kRowBytes))}};
  file_->write(line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n");
}

std::optional<files::FileDigest> RejectedRows::finish() {
  if (!file_) return std::nullopt;
  return file_->finish();
}

}  // namespace longhaul::ingest
