#include "ingest/account.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace longhaul::ingest {

std::int64_t Account::skipped_count() const {
  std::int64_t sum = 0;
  for (const SkippedRecord& record : skipped) sum += record.count;
  return sum;
}

std::string Account::skipped_text() const {
  std::string text;
  for (const SkippedRecord& record : skipped) {
    const bool more = record.count > std::ssize(record.names);
    text += fmt::format("{}{} {} ({}{})", text.empty() ? "" : ", ", record.count, record.reason, fmt::join(record.names, ", "),
                        more ? ", …" : "");
  }
  return text;
}

void Account::add(const FileSummary& file) {
  seen += file.rows;
  taken += file.documents;
  for (const auto& [reason, found] : file.skipped) {
    auto record = std::find_if(skipped.begin(), skipped.end(), [&named = reason](const SkippedRecord& r) { return r.reason == named; });
    if (record == skipped.end()) record = skipped.insert(skipped.end(), {reason, 0, {}});
    record->count += found.count;
    for (const std::string& name : found.names)
      if (record->names.size() < SkippedCount::kNames) record->names.push_back(name);
  }
}

Account account_of(const SourceWalk& walk) {
  Account account{walk.seen(), walk.taken, {}};
  for (std::size_t i = 0; i < walk.skipped.size(); ++i)
    if (walk.skipped[i].count > 0)
      account.skipped.push_back({std::string(reason_name(static_cast<SkippedFile>(i))), walk.skipped[i].count, walk.skipped[i].names});
  return account;
}

}  // namespace longhaul::ingest
