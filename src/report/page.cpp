#include "report/page.h"

#include <fmt/format.h>

#include "report/plot.h"

namespace longhaul::report {
namespace {

constexpr const char* kStyle = R"(
:root{color-scheme:light dark;--ink:#222;--paper:#fff;--faint:#ddd;--c0:#0072b2;--c1:#d55e00;--c2:#009e73;--c3:#cc79a7;--c4:#e69f00;--c5:#56b4e9;--c6:#8a8a8a;--c7:#5b3fa8}
@media(prefers-color-scheme:dark){:root{--ink:#ddd;--paper:#181818;--faint:#3a3a3a;--c0:#56b4e9;--c1:#e69f00;--c2:#2fc99a;--c3:#e29cc4;--c4:#f0e442;--c5:#8fb8ff;--c6:#a0a0a0;--c7:#b9a3ff}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);margin:0 auto;padding:1rem;max-width:60rem}
h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2rem}
figure{margin:1.5rem 0}figcaption{font-weight:600}
svg{width:100%;height:auto;display:block}svg text{font-size:11px;fill:var(--ink)}
.grid{stroke:var(--faint);fill:none}.cursor{stroke:var(--ink);stroke-dasharray:2 3;fill:none}
.legend{font-size:13px;display:flex;flex-wrap:wrap;gap:.2rem 1rem}.legend i{display:inline-block;width:.8em;height:.8em;margin-right:.35em}
output{font-size:13px;min-height:1.5em;display:block;font-variant-numeric:tabular-nums}
.scroll{overflow-x:auto}table{border-collapse:collapse;font-size:14px}td,th{border-bottom:1px solid var(--faint);padding:.25rem .7rem .25rem 0;text-align:left;vertical-align:top}
pre{overflow-x:auto;font-size:12px}.note{font-size:13px;opacity:.8}
)";

constexpr const char* kScript = R"(
for (const svg of document.querySelectorAll('svg[data-series]')) {
  const [low, high, from, to, series] = JSON.parse(svg.dataset.series);
  const output = svg.parentElement.querySelector('output'), cursor = svg.querySelector('.cursor');
  svg.addEventListener('pointermove', event => {
    const box = svg.getBoundingClientRect();
    const x = low + ((event.clientX - box.left) * 720 / box.width - from) / (to - from) * (high - low);
    let at = null;
    const near = series.filter(s => s[1].length).map(([name, points]) => {
      const point = points.reduce((a, b) => Math.abs(b[0] - x) < Math.abs(a[0] - x) ? b : a);
      if (at === null || Math.abs(point[0] - x) < Math.abs(at - x)) at = point[0];
      return name + ' ' + point[1] + (points.length < 100 ? ' (step ' + point[0] + ')' : '');
    });
    output.textContent = 'step ' + at + ': ' + near.join(', ');
    cursor.setAttribute('d', 'M' + (from + (at - low) / (high - low) * (to - from)) + ' 12V256');
  });
}
)";

}  // namespace

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

std::string page(const std::string& title, const std::string& body) {
  return fmt::format(
      "<!doctype html>\n<html lang='en'><head><meta charset='utf-8'><meta name='viewport' content='width=device-width,initial-scale=1'>\n"
      "<title>{0} – longhaul</title><style>{1}</style></head>\n<body><h1>{0}</h1>\n{2}<script>{3}</script></body></html>\n",
      escaped(title), kStyle, body, kScript);
}

}  // namespace longhaul::report
