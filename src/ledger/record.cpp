#include "ledger/record.h"

#include <chrono>
#include <cstdio>
#include <ctime>
#include <nlohmann/json.hpp>

#include "files/read.h"

namespace longhaul::ledger {
namespace {

using nlohmann::json;

/// Reads the field `name` into `value` by `convert`; names the field if it is missing or of the wrong type.
template <class Value, class Convert>
void take(const json& document, const char* name, Value& value, Convert convert) {
  const auto found = document.find(name);
  if (found == document.end()) throw Error(std::string("the field \"") + name + "\" is missing");
  try {
    value = convert(*found);
  } catch (const std::exception& error) {
    throw Error(std::string("the field \"") + name + "\" is wrong: " + error.what());
  }
}

template <class Value>
void take(const json& document, const char* name, Value& value) {
  take(document, name, value, [](const json& field) { return field.get<Value>(); });
}
void take(const json& document, const char* name, double& value) { take(document, name, value, files::json_double); }

template <class Value>
void take_optional(const json& document, const char* name, std::optional<Value>& value) {
  if (!document.contains(name)) return;
  Value found{};
  take(document, name, found);
  value = std::move(found);
}

Result result_from_json(const json& document) {
  Result result;
  take(document, "step", result.step);
  take(document, "tokens", result.tokens);
  take(document, "targets", result.targets);
  take(document, "loss", result.loss);
  take(document, "grad_norm_before_clip", result.grad_norm_before_clip);
  take(document, "grad_norm_after_clip", result.grad_norm_after_clip);
  take(document, "learning_rate", result.learning_rate);
  take(document, "verdict", result.verdict);
  take(document, "alarms", result.alarms);
  take(document, "data", result.data);
  take_optional(document, "validation_loss", result.validation_loss);
  take_optional(document, "bits_per_byte", result.bits_per_byte);
  take_optional(document, "state_hash", result.state_hash);
  take(document, "prev", result.prev);
  take(document, "hash", result.hash);
  return result;
}

Timing timing_from_json(const json& document) {
  Timing timing;
  take(document, "time", timing.time);
  take(document, "launch", timing.launch);
  take(document, "step_seconds", timing.step_seconds);
  take(document, "phase_seconds", timing.phase_seconds, [](const json& phases) {
    std::map<std::string, double> seconds;
    for (const auto& [phase, value] : phases.items()) seconds[phase] = files::json_double(value);
    return seconds;
  });
  take(document, "tokens_per_second", timing.tokens_per_second);
  take_optional(document, "mfu", timing.mfu);
  take(document, "memory_bytes", timing.memory_bytes);
  take(document, "memory_peak_bytes", timing.memory_peak_bytes);
  return timing;
}

}  // namespace

json to_json(const Result& result) {
  json document = {{"step", result.step},
                   {"tokens", result.tokens},
                   {"targets", result.targets},
                   {"loss", result.loss},
                   {"grad_norm_before_clip", result.grad_norm_before_clip},
                   {"grad_norm_after_clip", result.grad_norm_after_clip},
                   {"learning_rate", result.learning_rate},
                   {"verdict", result.verdict},
                   {"alarms", result.alarms},
                   {"data", result.data},
                   {"prev", result.prev},
                   {"hash", result.hash}};
  if (result.validation_loss) document["validation_loss"] = *result.validation_loss;
  if (result.bits_per_byte) document["bits_per_byte"] = *result.bits_per_byte;
  if (result.state_hash) document["state_hash"] = *result.state_hash;
  return document;
}

json to_json(const Timing& timing) {
  json document = {{"time", timing.time},
                   {"launch", timing.launch},
                   {"step_seconds", timing.step_seconds},
                   {"phase_seconds", timing.phase_seconds},
                   {"tokens_per_second", timing.tokens_per_second},
                   {"memory_bytes", timing.memory_bytes},
                   {"memory_peak_bytes", timing.memory_peak_bytes}};
  if (timing.mfu) document["mfu"] = *timing.mfu;
  return document;
}

Record record_from_json(const json& document) {
  Record record;
  take(document, "result", record.result, result_from_json);
  take(document, "timing", record.timing, timing_from_json);
  return record;
}

std::string chain_hash(const json& result, const std::string& prev) {
  json contents = result;
  contents.erase("prev");
  contents.erase("hash");
  return files::sha256_hex(prev + "\n" + files::canonical_json(contents));
}

std::string utc_now() {
  const auto now = std::chrono::system_clock::now();
  const std::time_t seconds = std::chrono::system_clock::to_time_t(now);
  const auto milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count() % 1000;
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  char date[32], text[48];
  std::strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &parts);
  std::snprintf(text, sizeof text, "%s.%03dZ", date, static_cast<int>(milliseconds));
  return text;
}

}  // namespace longhaul::ledger
