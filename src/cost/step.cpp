#include "cost/step.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <numeric>

#include "cost/exchange.h"
#include "cost/formulas.h"
#include "cost/framework.h"
#include "cost/layer_time.h"
#include "cost/memory.h"
#include "cost/stall.h"

namespace longhaul::cost {
namespace {

Stall stall_of(const RunShape& run, const Calibration& calibration, const Prices& prices) {
  if (!framework(run.framework).blocking_messages || run.devices <= run.devices_per_node) return {};
  // With all gathered buffers: as if nothing slowed the host down. So the memory needs nothing from here.
  const MemoryEstimate memory = estimate_memory(run, calibration, Pace{});
  return expect_stall(run, memory.stages.front().total(), prices.device().memory_capacity);
}

/// Expected maximum over all devices, computed once for each number of them.
double slowest_of(int devices) {
  static std::mutex mutex;
  static std::map<int, double> known;
  const std::scoped_lock lock(mutex);
  const auto [at, is_new] = known.try_emplace(devices, 0.0);
  if (is_new && devices > 1) at->second = expected_normal_maximum(devices);
  return at->second;
}

class Step {
 public:
  Step(const RunShape& run, const Calibration& calibration)
      : run_(run), prices_(run, calibration), parameters_(run), stall_(stall_of(run, calibration, prices_)), contents_(split_stages(run)) {
    if (run.layout.pp > 1) out_.exchange = prices_.message(2 * tokens(run) * static_cast<double>(run.model.width)).exchange;
    out_.layer = layer_time(run, prices_, parameters_, stall_.launches);
    out_.embedding = embedding_time(run, prices_);
    out_.head = head_time(run, prices_, parameters_);
    out_.calibrated = prices_.parameters().calibrated() && run.model.experts.count == 0;  // no mixture was measured
    out_.stalled = stall_.messages || stall_.launches;
  }

  using Pipeline = PipelineTime(program::ScheduleKind, int, int, int, std::span<const StageCost>);

  StepEstimate estimate(Pipeline& pipeline) {
    for (std::size_t i = 0; i < contents_.size(); ++i) out_.stages.push_back(stage_cost(i));
    run_pipeline(pipeline);
    finish();
    warn();
    return std::move(out_);
  }

 private:
  StageCost stage_cost(std::size_t at) const {
    const StageContent& content = contents_[at];
    StageCost cost;
    cost.forward = content.layers * out_.layer.forward + content.embedding * out_.embedding.forward + content.head * out_.head.forward;
    const double backward = content.layers * out_.layer.backward + content.head * out_.head.backward;
    cost.weight_gradient = content.layers * out_.layer.weight_gradient + content.head * out_.head.weight_gradient;
    cost.input_gradient = backward - cost.weight_gradient;
    if (run_.layout.pp == 1) return cost;
    if (at + 1 < contents_.size()) {
      const Prices::Message next = message(at);
      cost.send_forward = next.wire, cost.blocking_forward = next.blocking;
    }
    if (at > 0) {
      const Prices::Message previous = message(at - 1);
      cost.send_backward = previous.wire, cost.blocking_backward = previous.blocking;
    }
    cost.forward += out_.exchange, cost.input_gradient += out_.exchange;
    return cost;
  }
  /// Between virtual stage `at` and the next: activations, or logits where the loss has a stage of its own.
  Prices::Message message(std::size_t at) const {
    const bool logits = contents_[at].head && !contents_[at].loss;
    const double width = static_cast<double>(logits ? padded_vocab(run_) : run_.model.width);
    Prices::Message out = prices_.message(2 * tokens(run_) * width);
    if (stall_.messages) out.blocking += prices_.parameters()("p2p_stall");
    return out;
  }

  void run_pipeline(Pipeline& pipeline) {
    const program::Layout& layout = run_.layout;
    const int m = run_.micro_batches();
    const PipelineTime time = pipeline(layout.schedule, layout.pp, m, layout.chunks, out_.stages);
    const auto busiest = static_cast<int>(std::max_element(time.busy.begin(), time.busy.end()) - time.busy.begin());
    out_.busiest = busiest, out_.pipeline = time.total;
    double layers = 0, ends = 0, sharding = 0, exchanged = 0, blocked = 0;
    for (std::size_t i = busiest; i < contents_.size(); i += layout.pp) {
      layers += contents_[i].layers;
      ends += contents_[i].embedding * out_.embedding.exposed_collectives + contents_[i].head * out_.head.exposed_collectives;
      sharding += contents_[i].head * out_.head.exposed_sharding;
      exchanged += 2 * out_.exchange;
      blocked += out_.stages[i].blocking_forward + out_.stages[i].blocking_backward;
      if (i > 0) blocked += out_.stages[i - 1].blocking_forward;
      if (i + 1 < contents_.size()) blocked += out_.stages[i + 1].blocking_backward;
    }
    const CollectiveSeconds exposed = m * layers * out_.layer.exposed_collectives;
    out_.tensor_parallel = exposed.tensor + m * ends;
    out_.context_parallel = exposed.context, out_.expert_parallel = exposed.expert;
    out_.data_parallel = m * (layers * out_.layer.exposed_sharding + sharding);
    out_.compute = time.busy[busiest] - m * (exchanged + ends) - exposed.total() - out_.data_parallel;
    const double waiting = std::max(0.0, time.total - time.busy[busiest]);  // two sums of one stage's turns differ in their last bits
    out_.messages = std::min(m * blocked, waiting);
    out_.pipeline_transfers = m * exchanged + out_.messages;
    out_.bubble = waiting - out_.messages;
    slowest_ = time.busy[busiest] / m;
  }

  void finish() {
    const TimeParameters& p = prices_.parameters();
    const double waiting = p("straggling") * slowest_of(run_.devices) * out_.pipeline;
    for (const HeldParameters& held : held_by_ranks(run_, parameters_, contents_)) {
      out_.exchange_after = std::max(out_.exchange_after, data_parallel_seconds(run_, prices_, held, slowest_));
      out_.optimizer = std::max(out_.optimizer, optimizer_seconds(run_, prices_, held));
    }
    out_.data_parallel += out_.exchange_after;
    out_.other = waiting + tied_embedding_seconds(run_, prices_, parameters_.head()) + p("loop");
    for (const auto& [name, part] : kStepParts) out_.seconds += out_.*part;
  }

  void warn() {
    if (stall_.messages)
      out_.warnings.push_back(run_.framework + " is expected to stall on every message between stages: " + stall_.why +
                              " (a state seen in two fifths of such runs; without it the step is shorter by the pipeline_transfers)");
    if (stall_.launches) out_.warnings.push_back(run_.framework + " is expected to launch slowly: " + stall_.why);
    if (!prices_.parameters().calibrated())
      out_.warnings.push_back("time is uncalibrated: no measured run of " + run_.framework + " on " + run_.accelerator +
                              "; rates are the published ones times usual efficiencies");
  }

  const RunShape& run_;
  const Prices prices_;
  const StageParameters parameters_;
  const Stall stall_;
  const std::vector<StageContent> contents_;
  StepEstimate out_;
  double slowest_ = 0;  ///< seconds of a micro-batch on the busiest rank
};

}  // namespace

StepEstimate estimate_step(const RunShape& run, const Calibration& calibration) { return Step(run, calibration).estimate(play_periodic); }
StepEstimate bound_step(const RunShape& run, const Calibration& calibration) { return Step(run, calibration).estimate(bound_pipeline); }

}  // namespace longhaul::cost
