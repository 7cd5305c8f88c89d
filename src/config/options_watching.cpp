// The rows of the option table for [validation], [checkpoint], [guards] and [log]. Columns: config/options.h.
#include "config/option_rows.h"

namespace longhaul::config {

std::span<const Option> watching_options() {
  static constexpr Option kRows[] = {
      {"validation", "every", Kind::cadence, "", "250 steps", "", "steps|tokens", kNone, kNone, kRecorded,
       "How often the held-out loss is measured; always at the end.", [](RunConfig& c) { return Field(&c.validation.every); }},
      {"validation", "max_tokens", Kind::integer, "tokens", "0", "", "", 0, kLargest, kRecorded,
       "Held-out tokens of one measurement; 0 = all.", [](RunConfig& c) { return Field(&c.validation.max_tokens); }},
      {"validation", "batch", Kind::integer, "sequences", "8", "", "", 1, kLargestAxis, kNoBits,
       "Sequences evaluated at a time; reaches no bit.", [](RunConfig& c) { return Field(&c.validation.batch); }},
      {"validation", "prompt", Kind::text, "", "", "empty: nothing is generated", "", kNone, kNone, kRecorded,
       "What follows this text is generated with each validation, the likeliest token each time, and recorded.",
       [](RunConfig& c) { return Field(&c.validation.prompt); }},
      {"validation", "prompt_tokens", Kind::integer, "tokens", "64", "", "", 1, kLargestAxis, kRecorded,
       "Length of that passage at most; it may end by itself.", [](RunConfig& c) { return Field(&c.validation.prompt_tokens); }},
      {"checkpoint", "every", Kind::cadence, "", "10 min", "", "steps|tokens|time", kNone, kNone, kNoBits,
       "How often a checkpoint is saved; always at the end.", [](RunConfig& c) { return Field(&c.checkpoint.every); }},
      {"checkpoint", "keep_last", Kind::integer, "checkpoints", "2", "", "", 1, 1e6, kNoBits, "Newest checkpoints kept.",
       [](RunConfig& c) { return Field(&c.checkpoint.keep_last); }},
      {"checkpoint", "keep_every", Kind::cadence, "", "never", "", "steps|tokens", kNone, kNone, kNoBits,
       "Checkpoints at multiples of this are kept for good.", [](RunConfig& c) { return Field(&c.checkpoint.keep_every); }},
      {"guards", "window", Kind::integer, "steps", "100", "", "", 1, 100000, kRecorded,
       "Applied steps that the means of the guards look back on.", [](RunConfig& c) { return Field(&c.guards.window); }},
      {"guards", "silent_steps", Kind::integer, "steps", "20", "", "", 0, 100000, kRecorded, "Applied steps before the first alarm.",
       [](RunConfig& c) { return Field(&c.guards.silent_steps); }},
      {"guards", "loss_alarm_ratio", Kind::real, "", "3", "", "", 0, kUnbounded, kRecorded,
       "Alarm when the loss exceeds this times the mean; 0 = off.", [](RunConfig& c) { return Field(&c.guards.loss_alarm_ratio); }},
      {"guards", "loss_skip_ratio", Kind::real, "", "10", "", "", 0, kUnbounded, kRecorded,
       "The update is skipped when the loss exceeds this times the mean; 0 = off.",
       [](RunConfig& c) { return Field(&c.guards.loss_skip_ratio); }},
      {"guards", "grad_norm_warn", Kind::real, "", "10", "", "", 0, kUnbounded, kRecorded,
       "Warning above this gradient norm (before the clip); 0 = off.", [](RunConfig& c) { return Field(&c.guards.grad_norm_warn); }},
      {"guards", "grad_norm_alarm", Kind::real, "", "100", "", "", 0, kUnbounded, kRecorded,
       "Alarm above this gradient norm (before the clip); 0 = off.", [](RunConfig& c) { return Field(&c.guards.grad_norm_alarm); }},
      {"guards", "spike_window", Kind::integer, "steps", "20", "", "", 2, 100000, kRecorded,
       "Applied steps of the median that a spike is measured from.", [](RunConfig& c) { return Field(&c.guards.spike_window); }},
      {"guards", "spike_threshold", Kind::real, "nats", "0.20", "", "", 0, kUnbounded, kRecorded,
       "Spike when the loss exceeds the median by this; 0 = off.", [](RunConfig& c) { return Field(&c.guards.spike_threshold); }},
      {"guards", "spike_z", Kind::real, "", "10", "", "", 0, kUnbounded, kRecorded,
       "Spike when loss or gradient norm exceed the median by this many robust deviations (1.4826 · MAD); 0 = off.",
       [](RunConfig& c) { return Field(&c.guards.spike_z); }},
      {"guards", "max_skipped_steps", Kind::integer, "steps", "20", "", "", 0, 100000, kNoBits,
       "Skipped updates in a row before the run stops; 0 = never.", [](RunConfig& c) { return Field(&c.guards.max_skipped_steps); }},
      {"guards", "state_hash_every", Kind::cadence, "", "100 steps", "", "steps|tokens", kNone, kNone, kRecorded,
       "How often the hash of all state is recorded; always at the end.", [](RunConfig& c) { return Field(&c.guards.state_hash_every); }},
      {"log", "every", Kind::cadence, "", "1 step", "", "steps|tokens|time", kNone, kNone, kNoBits, "Lines of progress on the console.",
       [](RunConfig& c) { return Field(&c.log.every); }},
      {"log", "tensors_every", Kind::cadence, "", "100 steps", "", "steps|tokens", kNone, kNone, kRecorded,
       "How often norms of gradient, update and weights of each tensor are recorded.",
       [](RunConfig& c) { return Field(&c.log.tensors_every); }},
  };
  return kRows;
}

}  // namespace longhaul::config
