// apps/longhaul/ingest_report.h — what was met and what became of it, as tables and as JSON: of a dataset, and of a dry run.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "data/dry_run.h"
#include "ingest/account.h"

namespace longhaul::app {

/// A row of the table of files: one line, and one more for each reason that something was skipped for.
struct AccountRow {
  std::string name;
  const ingest::Account* files;
  const ingest::Account* rows;
};
void print_accounts(const std::vector<AccountRow>& sources);
nlohmann::json account_json(const ingest::Account& account);
nlohmann::json undivided_json(const std::vector<ingest::UndividedFile>& files);
/// A note on files that hold marks which usually divide documents.
void print_undivided(const std::string& source, const std::vector<ingest::UndividedFile>& files);

void print_dry_run(const data::DryRun& run, bool trained);
nlohmann::json dry_run_json(const data::DryRun& run, bool trained);

}  // namespace longhaul::app
