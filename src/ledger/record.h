// ledger/record.h — the fields of one metrics record, with their units, and their JSON.
//
// Documented for readers in docs/formats.md (section Ledger). Doubles are written so that they read back to the same bits; a loss that is
// not finite is the string "nan", "inf" or "-inf". Optional fields are absent when not due.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace longhaul::ledger {

/// `prev` of the first record.
inline const std::string kGenesis = std::string(64, '0');

/// Norms of each tensor, in ParamTable order (the event "launch" names the tensors).
struct TensorNorms {
  std::vector<double> gradient;  ///< before the clip
  std::vector<double> update;    ///< of the change of the weights; 0 where the update was skipped
  std::vector<double> weight;    ///< after the update
};

/// The gradient noise scale (accounting A8), in sequences: estimates of this step, their averages, and the ratio of these.
struct NoiseScaleResult {
  double gradient_squared = 0, trace = 0;            ///< |G|² and tr Σ, of this step alone
  double gradient_squared_mean = 0, trace_mean = 0;  ///< exponential averages over the applied steps
  std::optional<double> sequences;                   ///< B_simple; absent while the averaged |G|² is not above 0
};

/// What the model goes on with after validation.prompt, the likeliest token each time.
struct Passage {
  std::string text;  ///< a character that was cut is U+FFFD
  std::string stop;  ///< "end_of_text": the model ended it; "tokens": validation.prompt_tokens were generated
};

/// The tensor that a guard's alarm about the gradient is about.
struct AlarmTensor {
  std::string name;
  double share = 0;  ///< of the squared norm; of a gradient that is not finite 0
};

/// Determined by the numerics contract.
struct Result {
  std::int64_t step = 0;     ///< steps finished after this one; the first record has 1
  std::int64_t tokens = 0;   ///< input tokens consumed since step 0, this step included
  std::int64_t targets = 0;  ///< unmasked targets of this step
  double loss = 0;           ///< nats per target, before the update (accounting A10)
  double grad_norm_before_clip = 0;
  double grad_norm_after_clip = 0;
  double learning_rate = 0;                        ///< used in this step
  std::string verdict = "applied";                 ///< "applied", or why the update was skipped
  std::vector<std::string> alarms;                 ///< names of alarms this step raised (accounting F4, F5)
  nlohmann::json data = nlohmann::json::object();  ///< position of the loader after this step
  std::optional<double> validation_loss;           ///< nats per target
  std::optional<double> bits_per_byte;
  std::optional<std::string> state_hash;
  std::optional<TensorNorms> tensors;           ///< where log.tensors_every says so
  std::optional<NoiseScaleResult> noise_scale;  ///< of steps whose gradient has at least two virtual ranks' shares and is finite
  std::optional<Passage> passage;               ///< with a validation, where there is a validation.prompt
  std::optional<AlarmTensor> alarm_tensor;      ///< of alarms about the gradient
  std::string prev;                             ///< hash of the record before
  std::string hash;                             ///< SHA-256(prev "\n" canonical JSON without prev and hash)
};

/// What the run does to its machine (machine/system_meter.h).
struct SystemUse {
  double process_processors = 0;              ///< processors' worth of time that the process used
  double machine_busy = 0;                    ///< share of all processors' time in which something ran, 0…1
  std::int64_t disk_free_bytes = 0;           ///< of the run directory's filesystem
  std::int64_t disk_written_bytes = 0;        ///< by the process since its start
  std::optional<double> temperature_celsius;  ///< hottest sensor of a processor; absent where the system shows none
};

/// Times of this launch; never compared.
struct Timing {
  std::string time;  ///< wall clock when the step ended, UTC, ISO 8601
  std::int64_t launch = 0;
  double step_seconds = 0;
  std::map<std::string, double> phase_seconds;  ///< adds up to step_seconds within 1 % (accounting F6)
  double tokens_per_second = 0;
  std::optional<double> mfu;            ///< 0…1 (accounting D2); absent where the machine's peak is not known
  std::uint64_t memory_bytes = 0;       ///< resident set
  std::uint64_t memory_peak_bytes = 0;  ///< its high-water mark
  std::optional<SystemUse> system;      ///< of the last second or more; absent in the first second of a launch
};

/// An option that changed where a launch went on: a record of the chain, before the steps that it holds for. A replay applies it.
struct Change {
  std::int64_t step = 0;    ///< steps finished before it
  std::string option;       ///< "guards.loss_skip_ratio"
  std::string before, now;  ///< values as in a run file
  std::string config_hash;  ///< of the run from here on
};

/// The first record of a run that goes on from a checkpoint of another one.
struct Branch {
  std::string parent;  ///< run directory, as it was named; beside the record and not hashed: a place, not a fact of the run
  std::int64_t step = 0, tokens = 0;
  std::string state_hash, config_hash;  ///< of the parent's checkpoint
  std::string ledger_head;              ///< hash of the parent's record before it
  std::vector<Change> differences;      ///< of the configurations; step and config_hash are those of the branch
  bool data_restarts = false;           ///< the first batch is sample 0: other data, seed or sequence length
};

struct Record {
  Result result;
  Timing timing;
};

nlohmann::json to_json(const Result& result);
nlohmann::json to_json(const Timing& timing);
/// Unknown fields are ignored (a later version may add some). @throws Error naming the field that is missing or of the wrong type
Record record_from_json(const nlohmann::json& document);
nlohmann::json to_json(const Change& change);
nlohmann::json to_json(const Branch& branch);
/// Of the field "change" or "branch" of a record. @throws Error naming the field that is missing or of the wrong type
Change change_from_json(const nlohmann::json& document);
Branch branch_from_json(const nlohmann::json& document);
/// Hash of a result, change or branch document (with or without prev and hash in it) that follows `prev`.
std::string chain_hash(const nlohmann::json& result, const std::string& prev);
/// Now, UTC, milliseconds: "2026-01-31T12:00:00.000Z".
std::string utc_now();

}  // namespace longhaul::ledger
