// ledger/testing.h — the chain of a metrics file, recomputed from its bytes: what tests compare the writer with.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "ledger/ledger.h"
#include "ledger/lines.h"

namespace longhaul::ledger {

struct ChainCheck {
  std::int64_t records = 0;  ///< that verified
  std::string head;          ///< hash of the last of them
  std::string problem;       ///< empty, or a sentence that names the first bad record and its line
};
/// Recomputes the hash chain from the bytes on disk.
inline ChainCheck verify_chain(const std::filesystem::path& path) {
  ChainCheck check;
  check.head = kGenesis;
  const FileLines file = read_lines(path);
  for (std::size_t i = 0; i < file.lines.size(); ++i) {
    const std::string place = path.string() + ":" + std::to_string(i + 1);
    try {
      const nlohmann::json document = parse_line(path, i + 1, file.lines[i]);
      const char* kind = document.contains("change") ? "change" : document.contains("branch") ? "branch" : "result";
      const nlohmann::json& result = document.at(kind);
      const std::string which = place + ": the record of step " + result.at("step").dump();
      if (result.at("prev") != check.head) {
        check.problem = which + " does not follow the one before: a record was changed, removed or inserted here";
      } else if (result.at("hash") != chain_hash(result, check.head)) {
        check.problem = which + " does not have the hash it carries: it was changed";
      }
      if (!check.problem.empty()) return check;
      check.head = result.at("hash").get<std::string>();
      ++check.records;
    } catch (const DataError& error) {
      check.problem = error.what();
      return check;
    } catch (const nlohmann::json::exception& error) {
      check.problem = place + ": is not a metrics record: " + error.what();
      return check;
    }
  }
  return check;
}

}  // namespace longhaul::ledger
