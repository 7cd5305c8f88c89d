#include "cost/memory.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "cost/formulas.h"
#include "cost/layer_time.h"
#include "cost/parameter_key.h"
#include "cost/work.h"
#include "program/schedule.h"
#include "units/units.h"

namespace longhaul::cost {
namespace {

/// The parameters of the form, each explained in examples/calibration.
struct Terms {
  double weights, gradients, fp32_gradients, optimizer, shard_copy;
  double layer_copy, stage_copy, gathered_layer, gathered_ends;
  double hidden, ffn, scores, selective, recomputed;
  double logits, gathered, exchange;
  double pace_ratio, pace_sharpness;
  double fragmentation, framework;
};

Terms read_terms(const RunShape& run, const Calibration& calibration) {
  const ParameterKey key = parameter_key(run);
  const auto value = [&](std::string_view term) { return calibration(term, key); };
  return {.weights = value("memory.weights"),
          .gradients = value("memory.gradients"),
          .fp32_gradients = value("memory.fp32_gradients"),
          .optimizer = value("memory.optimizer"),
          .shard_copy = value("memory.shard_copy"),
          .layer_copy = value("memory.layer_copy"),
          .stage_copy = value("memory.stage_copy"),
          .gathered_layer = value("memory.gathered_layer"),
          .gathered_ends = value("memory.gathered_ends"),
          .hidden = value("memory.hidden"),
          .ffn = value("memory.ffn"),
          .scores = value("memory.scores"),
          .selective = value("memory.selective"),
          .recomputed = value("memory.recomputed"),
          .logits = value("memory.logits"),
          .gathered = value("memory.gathered"),
          .exchange = value("memory.exchange"),
          .pace_ratio = value("memory.pace_ratio"),
          .pace_sharpness = value("memory.pace_sharpness"),
          .fragmentation = value("memory.fragmentation"),
          .framework = value("memory.framework") * kGiB};
}

/// Chunks of micro-batches whose activations a rank holds at once. Steady state is reached within a few rounds, so long schedules are cut.
int chunks_in_flight(const RunShape& run, int rank) {
  const program::Layout& layout = run.layout;
  const int m = std::max(run.micro_batches(), 1);
  switch (layout.schedule) {
    case program::ScheduleKind::one_f_one_b:
      return in_flight_1f1b(rank, layout.pp, m);
    case program::ScheduleKind::gpipe:
      return m;
    case program::ScheduleKind::interleaved:
      return in_flight_interleaved(rank, layout.pp, m, layout.chunks);
    case program::ScheduleKind::zb_h1:
    case program::ScheduleKind::zb_h2:
      break;
  }
  return program::peak_in_flight(program::make_schedule(layout.schedule, layout.pp, std::min(m, 6 * layout.pp)), rank);
}

/// Memory of one stage after another, with what all stages have in common worked out once.
class StageForm {
 public:
  StageForm(const RunShape& run, const Terms& terms, const Pace& pace)
      : run_(run), terms_(terms), pace_(pace), parameters_(run), contents_(split_stages(run)) {
    const program::Layout& layout = run.layout;
    tokens_ = static_cast<double>(run.micro_batch * run.sequence_length) / layout.cp;
    width_ = static_cast<double>(run.model.width);
    const LayerActivations kept = kept_activations(run);
    const double scores = tokens_ * terms.scores * kept.scores;
    layer_bytes_ = tokens_ * (terms.hidden * kept.hidden + terms.ffn * kept.ffn) + scores;
    stored_bytes_ = layer_bytes_;
    if (layout.recompute == program::Recompute::selective) stored_bytes_ = terms.selective * (layer_bytes_ - scores);
    if (layout.recompute == program::Recompute::layer)
      stored_bytes_ = tokens_ * 2 * width_ / (layout.sequence_parallel ? layout.tp : 1);  // the layer's input in 16 bits
  }

  StageMemory of(int rank) const {
    const StageContent content = rank_content(run_, contents_, rank);
    StageMemory out;
    out.in_flight = chunks_in_flight(run_, rank);
    out.framework = terms_.framework;
    if (content.empty()) return out;
    add_states(out, content);
    add_activations(out, content);
    out.fragmentation = terms_.fragmentation * (out.activations + out.gathered + out.logits);
    return out;
  }

 private:
  void add_states(StageMemory& out, const StageContent& content) const {
    const program::Layout& layout = run_.layout;
    const double gradient_bytes = terms_.gradients + (run_.fp32_gradients ? terms_.fp32_gradients : 0);
    const double optimizer_bytes = terms_.optimizer + (layout.zero > 0 ? terms_.shard_copy : 0);
    const HeldParameters held = parameters_.of(content);
    for (const DataGroup& group : data_groups(run_, held)) {
      const ShardedStates states = zero_states(terms_.weights * group.parameters, gradient_bytes * group.parameters,
                                               optimizer_bytes * group.parameters, layout.zero, std::max(group.shards, 1));
      out.weights += states.weights, out.gradients += states.gradients, out.optimizer += states.optimizer;
    }
    if (content.layers > 0) out.workspace += terms_.layer_copy * parameters_.layer().total();
    if (layout.zero < 3) return;
    const double ends = (content.embedding ? parameters_.embedding() : 0) + (content.head ? parameters_.head() : 0);
    if (layout.pp > 1)
      out.workspace += terms_.stage_copy * held.total();  // gathered once for all micro-batches of a step
    else
      out.workspace += terms_.gathered_layer * parameters_.layer().total() + terms_.gathered_ends * ends;
  }

  void add_activations(StageMemory& out, const StageContent& content) const {
    const program::Layout& layout = run_.layout;
    const double micro_batches = static_cast<double>(out.in_flight) / layout.chunks;
    out.activations = content.layers * micro_batches * stored_bytes_;
    if (content.layers > 0 && layout.recompute == program::Recompute::layer) out.activations += terms_.recomputed * layer_bytes_;
    if (layout.tp > 1 && content.layers > 0) {
      out.gathered = tokens_ * width_ * (terms_.gathered * content.layers * gathered_micro_batches(micro_batches) + terms_.exchange);
    }
    if (content.head || content.loss) out.logits = terms_.logits * tokens_ * static_cast<double>(run_.model.vocab) / layout.tp;
  }

  /// Micro-batches in flight whose gathered inputs are still allocated. On several nodes a host that keeps up with its device lets them
  /// go, but for those of the warm-up, when it runs ahead by all but two.
  double gathered_micro_batches(double in_flight) const {
    if (pace_.stalled) return 0;
    if (run_.layout.pp == 1 || run_.devices <= run_.devices_per_node) return in_flight;
    const double ahead = 1 / (1 + std::pow(terms_.pace_ratio / std::max(pace_.launch_ratio, 1e-9), terms_.pace_sharpness));
    return ahead * in_flight + (1 - ahead) * std::max(in_flight - 2, 0.0);
  }

  const RunShape& run_;
  const Terms& terms_;
  const Pace& pace_;
  StageParameters parameters_;
  std::vector<StageContent> contents_;
  double tokens_ = 0, width_ = 0;
  double layer_bytes_ = 0, stored_bytes_ = 0;  ///< activations of a layer and micro-batch: all of them; those that stay in flight
};

/// The rule of the framework that a run breaks; empty when it breaks none.
std::string broken_rule(const RunShape& run, const Calibration& calibration) {
  const ParameterKey key = parameter_key(run);
  const auto obeys = [&](const char* rule) { return calibration(fmt::format("fit.{}", rule), key) != 0; };
  const program::Layout& layout = run.layout;
  if (obeys("needs_micro_batches") && run.micro_batches() < layout.pp - 1)
    return fmt::format("{} needs at least pp − 1 = {} micro-batches a step, here are {}", run.framework, layout.pp - 1,
                       run.micro_batches());
  const std::vector<StageContent> stages = split_stages(run);
  for (std::size_t i = 0; i < stages.size(); ++i) {
    if (obeys("needs_blocks") && stages[i].empty()) return fmt::format("stage {} of {} holds nothing: pp is too large", i, stages.size());
    if (obeys("needs_ddp_parameters") && layout.zero == 0 && layout.dp > 1 && !stages[i].has_parameters())
      return fmt::format("stage {} of {} holds no parameters, which data parallelism without ZeRO refuses", i, stages.size());
  }
  return {};
}

/// "stage 0: activations 41.2 of 71.0 GiB".
std::string binding_line(const MemoryEstimate& memory) {
  const StageMemory& stage = memory.stages[static_cast<std::size_t>(memory.fullest)];
  const auto& [name, line] = *std::max_element(kMemoryParts.begin(), kMemoryParts.end(),
                                               [&](const auto& a, const auto& b) { return stage.*a.second < stage.*b.second; });
  return fmt::format("stage {}: {} {:.1f} of {:.1f} GiB", memory.fullest, name, stage.*line / kGiB, stage.total() / kGiB);
}

}  // namespace

LayerActivations kept_activations(const RunShape& run) {
  const model::ModelSpec& m = run.model;
  const program::Layout& layout = run.layout;
  const bool gated = model::gated(m.mlp);
  const double tp = layout.tp, whole = layout.sequence_parallel ? tp : 1;
  const double width = static_cast<double>(m.width), q = static_cast<double>(m.q_width()), kv = static_cast<double>(m.kv_width());
  const double dropout_masks = gated ? 0 : 2;
  // Of a mixture, the experts that a token visits; its layers count as the mean layer.
  const double sparse = sparse_share(m), ffn = (1 - sparse) * mlp_width(m, false) + sparse * mlp_width(m, true);
  const double routed = 2 * sparse * static_cast<double>(m.experts.top_k) * width;  // rows in the order of their experts, 16 bits
  LayerActivations out;
  out.hidden =
      ((8 + dropout_masks) * width + routed) / whole + 4 * q / tp + 4 * kv / static_cast<double>(key_value_parts(layout, m.kv_heads));
  out.ffn = (gated ? 6 : 4) * ffn / tp;
  if (!run.flash_attention) out.scores = 5 * static_cast<double>(m.heads * run.sequence_length) / tp;
  return out;
}

MemoryEstimate estimate_memory(const RunShape& run, const Calibration& calibration, const Pace& pace) {
  const Terms terms = read_terms(run, calibration);
  const StageForm form(run, terms, pace);
  MemoryEstimate out;
  for (int rank = 0; rank < run.layout.pp; ++rank) {
    out.stages.push_back(form.of(rank));
    if (out.stages.back().total() > out.peak()) out.fullest = rank;
  }
  out.reporting = calibration("memory.reports_first_rank", parameter_key(run)) != 0 ? 0 : out.fullest;
  return out;
}

FitVerdict judge_fit(const RunShape& run, const Calibration& calibration, double device_memory) {
  FitVerdict out;
  out.available = calibration("fit.usable_share", parameter_key(run)) * device_memory;
  const MemoryEstimate memory = estimate_memory(run, calibration, Pace{.launch_ratio = 0, .stalled = true});
  for (const StageMemory& stage : memory.stages) out.needed = std::max(out.needed, stage.needed());
  out.reason = broken_rule(run, calibration);
  out.fits = out.reason.empty() && out.needed < out.available;
  if (out.reason.empty()) out.reason = binding_line(memory);
  return out;
}

}  // namespace longhaul::cost
