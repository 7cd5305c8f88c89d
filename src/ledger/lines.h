// ledger/lines.h — a JSON-lines file cut into lines, with what a crash can leave at its end (internal to the room).
#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace longhaul::ledger {

/// The lines of a file, without their newlines; `torn` is what follows the last newline.
struct FileLines {
  std::string text;
  std::vector<std::string_view> lines;  ///< into text
  std::string_view torn;
};
/// A missing file has no lines.
FileLines read_lines(const std::filesystem::path& path);
/// Number of lines so that the last one is the record with this hash, none for kGenesis; nullopt if no line is.
std::optional<std::size_t> lines_up_to(const FileLines& file, const std::string& hash);

/// One line as JSON. @throws DataError naming file and line (counted from 1)
nlohmann::json parse_line(const std::filesystem::path& path, std::size_t number, std::string_view line);

}  // namespace longhaul::ledger
