// report/assets.h — style and scripts of the pages, as they stand in src/report/assets; compiled in, so that a page is one file.
#pragma once

#include <string_view>

namespace longhaul::report {

extern const std::string_view kPageStyle;       ///< assets/page.css
extern const std::string_view kPageScript;      ///< assets/page.js
extern const std::string_view kTimelineScript;  ///< assets/timeline.js
extern const std::string_view kTableScript;     ///< assets/table.js

}  // namespace longhaul::report
