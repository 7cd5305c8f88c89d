#include "ingest_report.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "units/format.h"

namespace longhaul::app {

namespace {

/// One line for each reason: "             2 files: unknown extension (f.md, g.pdf)".
void print_skipped(const char* what, const ingest::Account& account) {
  for (const ingest::SkippedRecord& record : account.skipped)
    fmt::print("  {:>10} {} skipped: {} ({}{})\n", format_count(record.count), what, record.reason, fmt::join(record.names, ", "),
               record.count > std::ssize(record.names) ? ", …" : "");
}

std::string rounded(double value) { return format_count(std::llround(value)); }

}  // namespace

void print_accounts(const std::vector<AccountRow>& sources) {
  fmt::print("{:<12} {:>10} {:>10} {:>10} {:>12} {:>12} {:>10}\n", "source", "files seen", "taken", "skipped", "rows seen", "documents",
             "skipped");
  for (const AccountRow& source : sources) {
    const ingest::Account &files = *source.files, &rows = *source.rows;
    fmt::print("{:<12} {:>10} {:>10} {:>10} {:>12} {:>12} {:>10}\n", source.name, format_count(files.seen), format_count(files.taken),
               format_count(files.skipped_count()), format_count(rows.seen), format_count(rows.taken), format_count(rows.skipped_count()));
    print_skipped("files", files);
    print_skipped("rows", rows);
  }
}

nlohmann::json account_json(const ingest::Account& account) {
  nlohmann::json skipped = nlohmann::json::array();
  for (const ingest::SkippedRecord& record : account.skipped)
    skipped.push_back({{"reason", record.reason}, {"count", record.count}, {"names", record.names}});
  return {{"seen", account.seen}, {"taken", account.taken}, {"skipped", skipped}};
}

nlohmann::json undivided_json(const std::vector<ingest::UndividedFile>& files) {
  nlohmann::json list = nlohmann::json::array();
  for (const ingest::UndividedFile& file : files)
    list.push_back({{"path", file.path}, {"separator", file.separator}, {"count", file.count}});
  return list;
}

void print_undivided(const std::string& source, const std::vector<ingest::UndividedFile>& files) {
  for (const ingest::UndividedFile& file : files)
    fmt::print("note         {}: {} is one document and holds {} times {}; --separator \"{}\" makes as many documents of it\n", source,
               file.path, format_count(file.count), file.separator, file.separator);
}

void print_dry_run(const data::DryRun& run, bool trained) {
  std::vector<AccountRow> rows;
  for (const data::SourceEstimate& source : run.sources) rows.push_back({source.name, &source.files, &source.rows});
  print_accounts(rows);
  fmt::print("(rows and documents: of the sample alone)\n\n{:<12} {:>14} {:>16} {:>16}   {}\n", "estimate", "documents", "bytes of text",
             "tokens", "from a sample of");
  for (const data::SourceEstimate& source : run.sources)
    fmt::print("{:<12} {:>14} {:>16} {:>16}   {} files, {}\n", source.name, rounded(source.documents), rounded(source.text_bytes),
               rounded(source.tokens), source.sampled_files, format(Bytes(source.sampled_bytes)));
  fmt::print("tokens       {:.3f} bytes/token on {} of the sample, with {}\n", run.bytes_per_token, format(Bytes(run.tokenized_bytes)),
             trained ? "a vocabulary trained on it" : "the given vocabulary");
  fmt::print("time         about {}: reading {}, vocabulary {}, encoding {} (speeds of the sample)\n", format(Seconds(run.seconds())),
             format(Seconds(run.reading_seconds)), format(Seconds(run.vocabulary_seconds)), format(Seconds(run.encoding_seconds)));
  for (const data::SourceEstimate& source : run.sources) {
    print_undivided(source.name, source.undivided);
    for (const std::string& fault : source.faults) fmt::print("would stop   {}: {}\n", source.name, fault);
    if (source.fault_count > std::ssize(source.faults))
      fmt::print("             {}: {} such faults in the sample\n", source.name, format_count(source.fault_count));
  }
  fmt::print("nothing was written\n");
}

nlohmann::json dry_run_json(const data::DryRun& run, bool trained) {
  nlohmann::json sources = nlohmann::json::array();
  for (const data::SourceEstimate& source : run.sources)
    sources.push_back({{"name", source.name},
                       {"files", account_json(source.files)},
                       {"documents", std::llround(source.documents)},
                       {"bytes", std::llround(source.text_bytes)},
                       {"tokens", std::llround(source.tokens)},
                       {"sample",
                        {{"files", source.sampled_files},
                         {"bytes", source.sampled_bytes},
                         {"rows", account_json(source.rows)},
                         {"undivided_files", undivided_json(source.undivided)},
                         {"fault_count", source.fault_count},
                         {"faults", source.faults}}}});
  return {{"dry_run", true},
          {"sources", sources},
          {"bytes_per_token", run.bytes_per_token},
          {"vocabulary", trained ? "trained on the sample" : "loaded"},
          {"seconds",
           {{"all", run.seconds()},
            {"reading", run.reading_seconds},
            {"vocabulary", run.vocabulary_seconds},
            {"encoding", run.encoding_seconds}}}};
}

}  // namespace longhaul::app
