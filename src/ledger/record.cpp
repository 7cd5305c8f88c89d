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

void take(const json& document, const char* name, std::vector<double>& values) {
  take(document, name, values, [](const json& list) {
    std::vector<double> numbers;
    for (const json& value : list) numbers.push_back(files::json_double(value));
    return numbers;
  });
}

TensorNorms tensor_norms_from_json(const json& document) {
  TensorNorms norms;
  take(document, "gradient", norms.gradient);
  take(document, "update", norms.update);
  take(document, "weight", norms.weight);
  return norms;
}

NoiseScaleResult noise_scale_from_json(const json& document) {
  NoiseScaleResult noise;
  take(document, "gradient_squared", noise.gradient_squared);
  take(document, "trace", noise.trace);
  take(document, "gradient_squared_mean", noise.gradient_squared_mean);
  take(document, "trace_mean", noise.trace_mean);
  take_optional(document, "sequences", noise.sequences);
  return noise;
}

Passage passage_from_json(const json& document) {
  Passage passage;
  take(document, "text", passage.text);
  take(document, "stop", passage.stop);
  return passage;
}

SystemUse system_use_from_json(const json& document) {
  SystemUse use;
  take(document, "process_processors", use.process_processors);
  take(document, "machine_busy", use.machine_busy);
  take(document, "disk_free_bytes", use.disk_free_bytes);
  take(document, "disk_written_bytes", use.disk_written_bytes);
  take_optional(document, "temperature_celsius", use.temperature_celsius);
  return use;
}

AlarmTensor alarm_tensor_from_json(const json& document) {
  AlarmTensor tensor;
  take(document, "name", tensor.name);
  take(document, "share", tensor.share);
  return tensor;
}

/// As take_optional(), of an object that `convert` reads.
template <class Value, class Convert>
void take_optional(const json& document, const char* name, std::optional<Value>& value, Convert convert) {
  if (document.contains(name)) take(document, name, value, convert);
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
  take_optional(document, "tensors", result.tensors, tensor_norms_from_json);
  take_optional(document, "noise_scale", result.noise_scale, noise_scale_from_json);
  take_optional(document, "passage", result.passage, passage_from_json);
  take_optional(document, "alarm_tensor", result.alarm_tensor, alarm_tensor_from_json);
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
  take_optional(document, "system", timing.system, system_use_from_json);
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
  if (const auto& norms = result.tensors)
    document["tensors"] = {{"gradient", norms->gradient}, {"update", norms->update}, {"weight", norms->weight}};
  if (const auto& noise = result.noise_scale) {
    document["noise_scale"] = {{"gradient_squared", noise->gradient_squared},
                               {"trace", noise->trace},
                               {"gradient_squared_mean", noise->gradient_squared_mean},
                               {"trace_mean", noise->trace_mean}};
    if (noise->sequences) document["noise_scale"]["sequences"] = *noise->sequences;
  }
  if (const auto& passage = result.passage) document["passage"] = {{"text", passage->text}, {"stop", passage->stop}};
  if (const auto& tensor = result.alarm_tensor) document["alarm_tensor"] = {{"name", tensor->name}, {"share", tensor->share}};
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
  if (const auto& use = timing.system) {
    document["system"] = {{"process_processors", use->process_processors},
                          {"machine_busy", use->machine_busy},
                          {"disk_free_bytes", use->disk_free_bytes},
                          {"disk_written_bytes", use->disk_written_bytes}};
    if (use->temperature_celsius) document["system"]["temperature_celsius"] = *use->temperature_celsius;
  }
  return document;
}

Record record_from_json(const json& document) {
  Record record;
  take(document, "result", record.result, result_from_json);
  take(document, "timing", record.timing, timing_from_json);
  return record;
}

json to_json(const Change& change) {
  return {{"step", change.step},
          {"option", change.option},
          {"before", change.before},
          {"now", change.now},
          {"config_hash", change.config_hash}};
}

Change change_from_json(const json& document) {
  Change change;
  take(document, "step", change.step);
  take(document, "option", change.option);
  take(document, "before", change.before);
  take(document, "now", change.now);
  take(document, "config_hash", change.config_hash);
  return change;
}

json to_json(const Branch& branch) {
  json differences = json::array();
  for (const Change& change : branch.differences) differences.push_back(to_json(change));
  return {{"step", branch.step},
          {"tokens", branch.tokens},
          {"state_hash", branch.state_hash},
          {"config_hash", branch.config_hash},
          {"ledger_head", branch.ledger_head},
          {"differences", differences},
          {"data_restarts", branch.data_restarts}};
}

Branch branch_from_json(const json& document) {
  Branch branch;
  branch.parent = document.value("parent", "");  // inside in early records; beside it since
  take(document, "step", branch.step);
  take(document, "tokens", branch.tokens);
  take(document, "state_hash", branch.state_hash);
  take(document, "config_hash", branch.config_hash);
  take(document, "ledger_head", branch.ledger_head);
  take(document, "differences", branch.differences, [](const json& list) {
    std::vector<Change> changes;
    for (const json& change : list) changes.push_back(change_from_json(change));
    return changes;
  });
  take(document, "data_restarts", branch.data_restarts);
  return branch;
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
