// data/ingest.h — documents from files (data/ingest/documents.h), and which of them are held out.
#pragma once

#include <string_view>

#include "data/ingest/documents.h"

namespace longhaul::data {

/// Whether a document belongs to the held-out split: XXH3-64(salt bytes, document bytes) < fraction · 2⁶⁴. It depends on nothing but the
/// document and the salt, so equal documents are never on both sides and adding sources moves no document.
bool is_heldout(std::string_view text, std::string_view salt, double fraction);

}  // namespace longhaul::data
