#include "ledger/ledger.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "files/disk.h"
#include "files/read.h"
#include "ledger/lines.h"

namespace longhaul::ledger {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

/// A name for the records this launch moves away; the one that already holds them if a launch died between writing it and cutting metrics.
fs::path discarded_path(const fs::path& directory, std::int64_t launch, std::string_view tail, bool& already_there) {
  for (const fs::directory_entry& entry : fs::directory_iterator(directory)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with("discarded-") || !name.ends_with(".jsonl") || entry.file_size() != tail.size()) continue;
    if (files::read_file(entry.path(), tail.size()) == tail) {
      already_there = true;
      return entry.path();
    }
  }
  fs::path path = directory / ("discarded-" + std::to_string(launch) + ".jsonl");
  for (int i = 2; fs::exists(path); ++i) path = directory / ("discarded-" + std::to_string(launch) + "-" + std::to_string(i) + ".jsonl");
  return path;
}

fs::path prepared_directory(const files::RunLock& lock, const files::Disk& disk) {
  fs::path directory = lock.run_directory() / "ledger";
  if (!fs::exists(directory)) {
    disk.create_directory(directory);
    disk.sync_directory(lock.run_directory());
  }
  return directory;
}

}  // namespace

json to_json(const Cursor& cursor) { return {{"records", cursor.records}, {"head", cursor.head}}; }

Cursor cursor_from_json(const json& document) {
  try {
    Cursor cursor{document.at("records").get<std::int64_t>(), document.at("head").get<std::string>()};
    if (cursor.records < 0 || cursor.head.size() != kGenesis.size()) throw Error("a value is out of range");
    return cursor;
  } catch (const std::exception& error) {
    throw Error(std::string("the place in the ledger that the checkpoint holds cannot be read: ") + error.what());
  }
}

Ledger::Ledger(const files::RunLock& lock, const Cursor& resume, files::Disk disk)
    : directory_(prepared_directory(lock, disk)),
      disk_(std::move(disk)),
      launch_(lock.launch()),
      cursor_(resume),
      metrics_{files::AppendFile(disk_, directory_ / "metrics.jsonl"), {}},
      events_{files::AppendFile(disk_, directory_ / "events.jsonl"), {}} {
  disk_.sync_directory(directory_);
  cut_events();
  cut_metrics();
}

void Ledger::cut_events() {
  const FileLines file = read_lines(directory_ / "events.jsonl");
  if (file.torn.empty()) return;
  events_.file.truncate(file.text.size() - file.torn.size());
  event("torn_event", {{"file", "events.jsonl"}, {"text", file.torn}});
}

void Ledger::cut_metrics() {
  const fs::path path = directory_ / "metrics.jsonl";
  const FileLines file = read_lines(path);
  std::optional<std::size_t> keep = lines_up_to(file, cursor_.records == 0 ? kGenesis : cursor_.head);
  if (!keep && file.lines.size() >= static_cast<std::size_t>(cursor_.records)) {
    throw DataError(path.string() + ": has " + std::to_string(file.lines.size()) + " records, but none with the hash " +
                    cursor_.head.substr(0, 16) + "… that the checkpoint was saved with (record " + std::to_string(cursor_.records) +
                    "); the file belongs to another run or was changed. Move it away to go on without the earlier records");
  }
  if (!keep) {
    // Lost with the machine, or moved away: the checkpoint knows the head, so the chain goes on; the gap shows in it.
    event("records_missing", {{"found", file.lines.size()}, {"expected", cursor_.records}});
    keep = file.lines.size();
  }
  const std::size_t kept_bytes =
      *keep == 0 ? 0 : static_cast<std::size_t>(file.lines[*keep - 1].data() - file.text.data()) + file.lines[*keep - 1].size() + 1;
  const std::string_view tail = std::string_view(file.text).substr(kept_bytes);
  if (tail.empty()) return;
  bool already_there = false;
  const fs::path discarded = discarded_path(directory_, launch_, tail, already_there);
  if (!already_there) files::write_file_atomically(disk_, discarded, tail);
  metrics_.file.truncate(kept_bytes);
  metrics_.file.sync();
  discarded_ = static_cast<std::int64_t>(file.lines.size() - *keep);
  event("records_discarded",
        {{"records", discarded_}, {"torn_bytes", file.torn.size()}, {"after", cursor_.records}, {"file", discarded.filename().string()}});
}

/// One line {"<kind>": {contents, "prev", "hash"}, others…}.
void Ledger::append_to_chain(const char* kind, json contents, json others, std::string* prev, std::string* hash) {
  const std::string own = chain_hash(contents, cursor_.head);
  contents["prev"] = cursor_.head;
  contents["hash"] = own;
  if (prev) *prev = cursor_.head;
  if (hash) *hash = own;
  others[kind] = std::move(contents);
  push(metrics_, files::canonical_json(others) + "\n");
  ++cursor_.records;
  cursor_.head = own;
}

void Ledger::append(Record& record) {
  append_to_chain("result", to_json(record.result), {{"timing", to_json(record.timing)}}, &record.result.prev, &record.result.hash);
}

void Ledger::append(const Change& change) { append_to_chain("change", to_json(change), json::object(), nullptr, nullptr); }
void Ledger::append(const Branch& branch) { append_to_chain("branch", to_json(branch), {{"parent", branch.parent}}, nullptr, nullptr); }

void Ledger::event(std::string_view kind, json fields) {
  fields["time"] = utc_now();
  fields["launch"] = launch_;
  fields["kind"] = kind;
  push(events_, files::canonical_json(fields) + "\n");
}

void Ledger::push(Lines& lines, std::string line) {
  constexpr std::size_t kMostWaiting = 100'000;  // ~100 MB of records: a disk that stays away this long ends the run
  if (lines.waiting.size() >= kMostWaiting) throw Error("the ledger cannot be written: " + last_failure_);
  lines.waiting.push_back(std::move(line));
  try {
    flush(lines);
  } catch (const files::FileError& error) {
    last_failure_ = error.what();
  }
}

void Ledger::flush(Lines& lines) {
  while (!lines.waiting.empty()) {
    lines.file.append(lines.waiting.front());
    lines.waiting.pop_front();
  }
}

void Ledger::sync() {
  try {
    for (Lines* lines : {&metrics_, &events_}) {
      flush(*lines);
      lines->file.sync();
    }
  } catch (const files::FileError& error) {
    last_failure_ = error.what();
    throw;
  }
}

}  // namespace longhaul::ledger
