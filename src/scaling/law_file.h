// scaling/law_file.h — laws as files: those that come with the program (examples/laws) and those that `fit` writes (docs/formats.md).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "scaling/law.h"

namespace longhaul::scaling {

/// Every law of examples/laws, by name.
std::vector<Law> published_laws();
/// NAME of examples/laws, or a file. Throws UsageError: with the nearest name, naming file, line and field, or, for the copied formula
/// N = 0.7·√C, D = 1.4·√C, saying what is wrong with it (accounting D6).
Law find_law(const std::string& name);
/// A law from text. @param label stands before errors; id is the label's stem
Law parse_law(std::string_view toml, const std::string& label);
/// Reads back as the same law.
std::string to_toml(const Law& law);

/// Whether a name is one under which the formula of accounting D6 goes ("0.7sqrt", "0.7*sqrt(C)" …).
bool is_copied_square_root(std::string_view name);
/// What it says and why it is not offered.
std::string why_not_copied_square_root();

}  // namespace longhaul::scaling
