// What would change a figure: the forecast made anew with one thing changed.
#include <fmt/format.h>

#include <cmath>
#include <utility>

#include "plan/explain/lines.h"
#include "units/error.h"

namespace longhaul::plan {
namespace {

using program::Layout;
using program::Recompute;
using program::ScheduleKind;

/// All that a forecast is made of; a lever changes one thing of it.
struct Inputs {
  cluster::Cluster cluster;
  cost::RunShape shape;
  JobFacts facts;
};
struct Change {
  std::string name;
  Inputs inputs;
};

class Changes {
 public:
  explicit Changes(const Forecast& plan) : now_{plan.cluster, plan.shape, plan.facts} {}

  std::vector<Change> of(LeverKind kind) {
    switch (kind) {
      case LeverKind::zero:
        for (int stage = 0; stage < 4; ++stage)
          if (stage != layout().zero) add(fmt::format("zero={}", stage), [&](Inputs& i) { i.shape.layout.zero = stage; });
        break;
      case LeverKind::tensor:
        trade("tp", &Layout::tp);
        break;
      case LeverKind::pipeline:
        trade("pp", &Layout::pp);
        break;
      case LeverKind::schedule:
        schedules();
        break;
      case LeverKind::sequence_parallel:
        if (layout().tp > 1)
          add(fmt::format("sp={}", layout().sequence_parallel ? 0 : 1),
              [](Inputs& i) { i.shape.layout.sequence_parallel = !i.shape.layout.sequence_parallel; });
        break;
      case LeverKind::recompute:
        for (const Recompute other : {Recompute::none, Recompute::selective, Recompute::layer})
          if (other != layout().recompute)
            add(fmt::format("recompute={}", program::name(other)), [&](Inputs& i) { i.shape.layout.recompute = other; });
        break;
      case LeverKind::devices:
        if (now_.cluster.devices <= kMostDevices / 2)
          add(fmt::format("{} devices (dp={})", 2 * now_.cluster.devices, 2 * layout().dp),
              [](Inputs& i) { i.cluster.devices *= 2, i.shape.layout.dp *= 2; });
        break;
      case LeverKind::precision:
        if (now_.shape.precision != cost::Precision::fp8)
          add("--precision fp8", [](Inputs& i) { i.shape.precision = cost::Precision::fp8; });
        break;
      default:
        sizes(kind);
    }
    return std::move(out_);
  }

 private:
  static constexpr int kMostDevices = 1 << 19;
  const Layout& layout() const { return now_.shape.layout; }

  template <class Apply>
  void add(std::string name, const Apply& apply) {
    Change change{std::move(name), now_};
    apply(change.inputs);
    out_.push_back(std::move(change));
  }

  /// Twice and half as many ranks of a kind, at the cost of data-parallel ones: the world stays.
  void trade(std::string_view name, int Layout::*kind) {
    const int present = layout().*kind;
    const auto set = [&](int count) {
      add(fmt::format("{}={}, dp={}", name, count, layout().dp * present / count), [&](Inputs& i) {
        i.shape.layout.dp = layout().dp * present / count;
        i.shape.layout.*kind = count;
        if (count == 1 && kind == &Layout::tp) i.shape.layout.sequence_parallel = false;
      });
    };
    if (present % 2 == 0) set(present / 2);
    if (layout().dp % 2 == 0) set(2 * present);
  }

  void schedules() {
    if (layout().pp == 1) return;
    const auto change = [&](ScheduleKind schedule, int chunks, const std::string& name) {
      if (schedule == layout().schedule) return;
      add(name, [&](Inputs& i) {
        i.shape.layout.schedule = schedule, i.shape.layout.chunks = chunks;
        i.shape.layout.stage_layers.clear();
      });
    };
    for (const ScheduleKind schedule : {ScheduleKind::gpipe, ScheduleKind::one_f_one_b, ScheduleKind::zb_h1})
      change(schedule, 1, fmt::format("schedule={}", program::name(schedule)));
    change(ScheduleKind::interleaved, 2, "virtual=2");
  }

  /// Numbers halved and doubled.
  void sizes(LeverKind kind) {
    const auto whole = [&](std::string_view name, std::int64_t cost::RunShape::*field) {
      const std::int64_t present = now_.shape.*field;
      for (const std::int64_t other : {present % 2 == 0 ? present / 2 : 0, 2 * present})
        if (other > 0) add(fmt::format("{}={}", name, other), [&](Inputs& i) { i.shape.*field = other; });
    };
    if (kind == LeverKind::micro_batch) whole("batch.micro_batch", &cost::RunShape::micro_batch);
    if (kind == LeverKind::global_batch) whole("batch.global_batch", &cost::RunShape::global_batch);
    if (kind == LeverKind::sequence_length) whole("batch.sequence_length", &cost::RunShape::sequence_length);
    if (kind == LeverKind::tokens) add("half the tokens", [](Inputs& i) { i.facts.tokens = Tokens(i.facts.tokens.value / 2); });
    if (kind == LeverKind::price && now_.facts.device_hours_price)
      add("half the price", [](Inputs& i) { *i.facts.device_hours_price /= 2; });
    if (kind == LeverKind::mtbf && now_.facts.mtbf)
      add("failures half as often", [](Inputs& i) { i.facts.mtbf = Seconds(2 * i.facts.mtbf->value); });
    if (kind == LeverKind::save && now_.facts.save)
      add("saves that stop the run half as long", [](Inputs& i) { i.facts.save = Seconds(i.facts.save->value / 2); });
  }

  const Inputs now_;
  std::vector<Change> out_;
};

/// What would print as +0.0 % is no change.
constexpr double kNoChange = 5e-4;

std::string drawback(const Forecast& now, const Forecast& other) {
  std::string out;
  if (other.fit && !other.fit->fits && now.fit->fits) out = "does not fit";
  if (other.step.stalled && !now.step.stalled) out += (out.empty() ? "" : ", ") + now.shape.framework + " stalls";
  return out;
}

}  // namespace

std::vector<Lever> pull(const ForecastLine& line, const OnCluster& given) {
  std::vector<Lever> out;
  const double now = *line.value(given);
  for (const LeverKind kind : line.levers)
    for (Change& change : Changes(given.plan).of(kind)) {
      try {
        const Forecast other = forecast(change.inputs.cluster, std::move(change.inputs.shape), change.inputs.facts, given.calibration);
        const auto value = line.value({other, given.calibration});
        if (value && std::abs(*value - now) > kNoChange * std::abs(now))
          out.push_back({std::move(change.name), *value, drawback(given.plan, other)});
      } catch (const UsageError&) {  // a layout that cannot run is no lever
      }
    }
  return out;
}

}  // namespace longhaul::plan
