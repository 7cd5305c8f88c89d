// report/page.h — the frame of a self-contained page, and the tables in it.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace longhaul::report {

/// A whole HTML document with the style and the scripts it needs (report/assets.h). `body` is markup, `title` is text.
std::string page(const std::string& title, const std::string& body);
/// A table of texts; cells are escaped.
std::string table(const std::vector<std::string>& head, const std::vector<std::vector<std::string>>& rows);
/// A table that sorts and filters (assets/table.js). A row is an array with a cell for each head: a text, or [text, value to sort by],
/// where a value that is missing is null.
std::string rows_table(const std::vector<std::string>& head, const nlohmann::json& rows, const std::string& placeholder);
/// Data for a script, as an element that nothing in it can end.
std::string data_script(const nlohmann::json& data);

}  // namespace longhaul::report
