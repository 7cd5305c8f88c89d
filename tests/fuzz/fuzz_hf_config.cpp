// Hugging Face configurations: any bytes are a model that can be counted, and that its TOML form reads back to, or are refused with a
// UsageError.
//
// Few inputs begin with a kind that is known, so each is also tried as the rest of an object of each kind: that reaches the keys.
// rooms: config
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "config/model_file.h"
#include "config/resolve.h"
#include "files/read.h"
#include "model/flops.h"
#include "model/hf_reader.h"
#include "units/error.h"

namespace {

using namespace longhaul;

void read(std::string_view text) {
  try {
    const model::HfModel hf = model::read_hf_config(files::parse_json(text, "fuzz.json"), "fuzz.json");
    if (const auto reason = model::countable(hf.spec)) std::abort();
    // Tables of many experts take long to make and are the same code.
    if (hf.spec.layers * (hf.spec.experts.count + 1) > 1000) return;
    const model::ParamCounts counts = model::count_params(hf.spec);
    if (counts.active.value > counts.total.value || counts.total.value < 1) std::abort();
    if (!(model::flops_per_token(hf.spec, 1024).value > 0)) std::abort();
    const std::string toml = config::model_toml(hf.spec, "fuzz") + "name = \"fuzz\"\n[run]\nsteps = 1\n[batch]\nsequence_length = 1\n";
    model::ModelSpec again = config::resolve_text(toml, "fuzz.toml", "/").config.model;
    again.name.clear();
    if (!(again == hf.spec)) std::abort();
  } catch (const Error&) {  // JSON that cannot be read is one too
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  read(text);
  for (const std::string_view kind : model::hf_kinds()) read(R"({"model_type": ")" + std::string(kind) + "\", " + std::string(text) + "}");
  return 0;
}
