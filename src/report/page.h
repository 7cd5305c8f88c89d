// report/page.h — the frame of a self-contained page: style, palette, the script that shows values under the pointer.
#pragma once

#include <string>
#include <vector>

namespace longhaul::report {

/// A whole HTML document. `body` is markup, `title` is text.
std::string page(const std::string& title, const std::string& body);
/// A table of texts; cells are escaped.
std::string table(const std::vector<std::string>& head, const std::vector<std::vector<std::string>>& rows);

}  // namespace longhaul::report
