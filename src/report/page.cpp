#include "report/page.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "report/assets.h"
#include "report/plot.h"

namespace longhaul::report {
std::string table(const std::vector<std::string>& head, const std::vector<std::vector<std::string>>& rows) {
  std::string out = "<div class='scroll'><table><tr>";
  for (const std::string& cell : head) out += "<th>" + escaped(cell) + "</th>";
  out += "</tr>\n";
  for (const std::vector<std::string>& row : rows) {
    out += "<tr>";
    for (const std::string& cell : row) out += "<td>" + escaped(cell) + "</td>";
    out += "</tr>\n";
  }
  return out + "</table></div>\n";
}

std::string data_script(const nlohmann::json& data) {
  std::string text = data.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace), out = "<script type='application/json'>";
  for (const char c : text) c == '<' ? out += "\\u003c" : out += c;  // no text can end the element
  return out + "</script>";
}

std::string rows_table(const std::vector<std::string>& head, const nlohmann::json& rows, const std::string& placeholder) {
  return fmt::format(
      "<div class='rows'>{}<input type='search' placeholder='{}' aria-label='filter'><output></output><div "
      "class='scroll'><table></table></div></div>\n",
      data_script({{"head", head}, {"rows", rows}}), escaped(placeholder));
}

std::string page(const std::string& title, const std::string& body) {
  std::string scripts;
  for (const auto& [holder, script] :
       {std::pair{"<figure data-series", kPageScript}, std::pair{"<figure class='timeline'", kTimelineScript},
        std::pair{"<div class='rows'", kTableScript}})
    if (script == kPageScript || body.find(holder) != std::string::npos)
      scripts += fmt::format("<script type='module'>\n{}</script>\n", script);
  return fmt::format(
      "<!doctype html>\n<html lang='en'><head><meta charset='utf-8'><meta name='viewport' content='width=device-width,initial-scale=1'>\n"
      "<title>{0} – longhaul</title><style>\n{1}</style></head>\n<body><h1>{0}</h1>\n{2}{3}</body></html>\n",
      escaped(title), kPageStyle, body, scripts);
}

}  // namespace longhaul::report
