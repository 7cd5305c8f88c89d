#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "config/derive.h"
#include "cost/formulas.h"
#include "cost/in_flight.h"
#include "cost/pipeline.h"
#include "model/flops.h"
#include "report/page.h"
#include "report/plan_page.h"
#include "report/plan_sections.h"
#include "report/timeline.h"
#include "units/format.h"
#include "units/units.h"

namespace longhaul::report {
namespace {

constexpr std::array<std::string_view, 4> kTurns{"forward", "backward", "input gradient", "weight gradient"};

/// A line of the memory account has the same colour wherever it is drawn.
int colour_of_part(double cost::StageMemory::*part) {
  int colour = 0;
  for (const auto& [name, member] : cost::kMemoryParts) {
    if (member == part) break;
    ++colour;
  }
  return colour % 8;
}

std::string gib(double bytes) { return format(Bytes(static_cast<std::int64_t>(bytes)), ByteUnits::binary); }

class ClusterPage {
 public:
  explicit ClusterPage(const ClusterPlan& plan)
      : plan_(plan),
        forecast_(plan.forecast),
        run_(plan.forecast.shape),
        schedule_(program::make_schedule(run_.layout.schedule, run_.layout.pp, drawn_micro_batches(), run_.layout.chunks)),
        played_(cost::play(schedule_, forecast_.step.stages, true)) {}

  std::string html() const {
    std::string body =
        fmt::format("<p>{} on {} ({} × {}), {}, {} sequences of {} tokens a step, micro-batch {}.</p>\n", escaped(run_.model.name),
                    escaped(forecast_.cluster.id), run_.devices, escaped(forecast_.cluster.accelerator.name), escaped(to_text(run_.layout)),
                    run_.global_batch, run_.sequence_length, run_.micro_batch);
    body += head() + warnings();
    body += "<h2>Memory</h2>\n" + memory_by_line() + memory_by_rank() + memory_over_step() + activation_curves();
    body += "<h2>The step</h2>\n" + step_parts() + timeline() + bubble_curves();
    body += "<h2>The run</h2>\n" + learning_rate() +
            loss_surface(plan_.law,
                         {static_cast<double>(forecast_.parameters.active.value), static_cast<double>(forecast_.facts.tokens.value)});
    body += "<h2>Layouts considered</h2>\n" + layouts();
    body += "<h2>Every figure and where it comes from</h2>\n" + all_explanations();
    return page(fmt::format("Plan of {} on {}", run_.model.name, forecast_.cluster.id), body);
  }

 private:
  /// Beyond this many a schedule repeats itself: the drawing shows the first ones, and says so.
  int drawn_micro_batches() const {
    const int most = std::max(1, static_cast<int>(kMostSlices) / (2 * run_.layout.virtual_stages()));
    if (run_.micro_batches() <= most) return run_.micro_batches();
    return std::max(most / run_.layout.pp, 1) * run_.layout.pp;  // interleaved schedules take multiples of pp
  }
  bool shortened() const { return schedule_.micro_batches < run_.micro_batches(); }
  std::string shortened_note() const {
    return shortened()
               ? fmt::format("The first {} of {} micro-batches, as a step of their own.", schedule_.micro_batches, run_.micro_batches())
               : "";
  }

  std::string head() const {
    const plan::Forecast& f = forecast_;
    const auto between = [](const std::optional<evidence::Interval>& interval, const auto& format_value) {
      return interval ? fmt::format("80 %: {} to {}", format_value(interval->low), format_value(interval->high)) : "";
    };
    const auto seconds = [](double value) { return format(Seconds(value)); };
    const auto money = [](double dollars) { return "$" + format_count(std::llround(dollars)); };
    // What saves and failures make of a figure without them.
    const auto with_failures = [&](const auto& text_of) {
      return f.goodput ? "with saves and failures " + text_of(1 / f.goodput->useful) : std::string();
    };
    std::vector<Card> all = {
        {"parameters", format(f.parameters.total), "parameters.total", format_count(f.parameters.total.value)},
        {"fits",
         !f.fit               ? "device memory unknown"
         : !f.fit->fits       ? "no"
         : f.fit_is_certain() ? "yes"
                              : "probably",
         "memory.fit"},
        {"memory of the fullest rank", gib(f.memory.peak()), "memory.peak", between(f.memory_interval, gib)},
        {"step", seconds(f.step.seconds), "step.seconds", between(f.seconds_interval, seconds)},
        {"speed", format_token_rate(f.tokens_per_second()), "step.tokens_per_s"},
        {"MFU", fmt::format("{:.1f} %", 100 * f.mfu()), "mfu"},
        {"run", format(f.run()), "run.time", with_failures([&](double lost) { return format(Seconds(f.run().value * lost)); })},
        {"device-hours", format_count(std::llround(f.device_hours())), "run.device_hours",
         with_failures([&](double lost) { return format_count(std::llround(f.device_hours() * lost)); })},
        {"money", f.money() ? money(*f.money()) : "not given", "run.money",
         f.money() ? with_failures([&](double lost) { return money(*f.money() * lost); }) : ""},
        {"goodput", f.goodput ? fmt::format("{:.1f} %", 100 * f.goodput->useful) : "not given", "goodput"},
    };
    return cards(all);
  }

  std::string warnings() const {
    std::string out;
    if (forecast_.fit && !forecast_.fit->fits) out += fmt::format("<p class='warning'>{}</p>\n", escaped(forecast_.fit->reason));
    for (const std::string& warning : forecast_.warnings) out += fmt::format("<p class='warning'>{}</p>\n", escaped(warning));
    return out;
  }

  std::string memory_by_line() const {
    const cost::StageMemory& fullest = forecast_.memory.stages[static_cast<std::size_t>(forecast_.memory.fullest)];
    Bars bars{fmt::format("Memory of rank {} of {} in the pipeline, the fullest, by line", forecast_.memory.fullest, run_.layout.pp),
              "GiB",
              {"planned"},
              {}};
    for (const auto& [name, part] : cost::kMemoryParts)
      if (fullest.*part > 0) bars.rows.push_back({std::string(name), {fullest.*part / kGiB}});
    bars.rows.push_back({"peak", {fullest.total() / kGiB}});
    if (forecast_.fit) bars.rows.push_back({"usable of the device", {forecast_.fit->available / kGiB}});
    return to_svg(bars);
  }

  std::string memory_by_rank() const {
    if (run_.layout.pp == 1) return "";
    Plot plot{"Peak memory by pipeline rank and line", "pipeline rank", "GiB", {}};
    plot.stacked = plot.steps = true;
    for (const auto& [name, part] : cost::kMemoryParts) {
      Series series{std::string(name), {}, {}, false, colour_of_part(part)};
      for (std::size_t rank = 0; rank <= forecast_.memory.stages.size(); ++rank) {
        const cost::StageMemory& stage = forecast_.memory.stages[std::min(rank, forecast_.memory.stages.size() - 1)];
        series.x.push_back(static_cast<double>(rank)), series.y.push_back(stage.*part / kGiB);
      }
      if (std::any_of(series.y.begin(), series.y.end(), [](double y) { return y > 0; })) plot.series.push_back(series);
    }
    return to_svg(plot);
  }

  /// Of the fullest rank: all lines but activations as at their peak, activations with the micro-batches in flight.
  std::string memory_over_step() const {
    const int rank = forecast_.memory.fullest;
    const cost::StageMemory& stage = forecast_.memory.stages[static_cast<std::size_t>(rank)];
    Plot plot{fmt::format("Memory over the step, rank {} of the pipeline", rank), "seconds", "GiB", {}};
    plot.stacked = plot.steps = true;
    for (const auto& [name, part] : cost::kMemoryParts)
      if (part != &cost::StageMemory::activations && stage.*part > 0)
        plot.series.push_back({std::string(name), {0}, {stage.*part / kGiB}, false, colour_of_part(part)});
    plot.series.push_back({"activations", {0}, {0}, false, colour_of_part(&cost::StageMemory::activations)});
    for (const cost::InFlight& now : cost::in_flight_over_step(schedule_, forecast_.memory, played_)) {
      if (now.rank != rank) continue;
      for (Series& series : plot.series) series.x.push_back(now.at), series.y.push_back(series.y.front());
      plot.series.back().y.back() = now.activations / kGiB;
    }
    std::string note = "Lines beside activations stand at their peak.";
    if (shortened()) note += " " + shortened_note();
    return to_svg(plot) + fmt::format("<p class='note'>{}</p>\n", note);
  }

  /// Peak activations of the fullest rank against the sequence, each recomputation.
  std::string activation_curves() const {
    Plot plot{"Activations of the fullest rank by sequence length and recomputation", "tokens of a sequence", "GiB", {}};
    plot.log_x = plot.log_y = true;
    for (const program::Recompute recompute : {program::Recompute::none, program::Recompute::selective, program::Recompute::layer}) {
      if (recompute == program::Recompute::selective && run_.flash_attention) continue;  // keeps no scores anyway: the same as none
      Series series{fmt::format("recompute {}", program::name(recompute)), {}, {}};
      // From an eighth to eight times, as far as learned positions reach.
      const std::int64_t most = run_.model.position == model::PositionKind::learned
                                    ? std::min(std::max(run_.model.position_rows, run_.sequence_length), run_.sequence_length * 8)
                                    : run_.sequence_length * 8;
      for (std::int64_t sequence = std::max<std::int64_t>(run_.sequence_length / 8, 1); sequence <= most; sequence *= 2) {
        cost::RunShape changed = run_;
        changed.sequence_length = sequence, changed.layout.recompute = recompute;
        const cost::MemoryEstimate memory =
            cost::estimate_memory(changed, plan_.calibration, {forecast_.step.layer.launch_ratio(), forecast_.step.stalled});
        series.x.push_back(static_cast<double>(sequence));
        series.y.push_back(memory.stages[static_cast<std::size_t>(memory.fullest)].activations / kGiB);
      }
      plot.series.push_back(series);
    }
    plot.series.push_back({"this plan",
                           {static_cast<double>(run_.sequence_length)},
                           {forecast_.memory.stages[static_cast<std::size_t>(forecast_.memory.fullest)].activations / kGiB},
                           true});
    return to_svg(plot);
  }

  std::string step_parts() const {
    Bars bars{"The step by part, of the busiest rank", "seconds", {"planned"}, {}};
    for (const auto& [name, part] : cost::kStepParts)
      if (forecast_.step.*part > 0) bars.rows.push_back({std::string(name), {forecast_.step.*part}});
    return to_svg(bars);
  }

  std::string timeline() const {
    Timeline out{"The pipeline, turn by turn",
                 {},
                 {"forward", "backward", "input gradient", "weight gradient", "gradients exchanged", "optimizer", "other"},
                 {},
                 shortened_note()};
    for (int rank = 0; rank < run_.layout.pp; ++rank) out.rows.push_back(fmt::format("rank {}", rank));
    constexpr std::array<std::string_view, 4> passes{"fwd", "bwd", "dgrad", "wgrad"};
    for (const cost::PlayedTurn& played : played_.turns) {
      const auto kind = static_cast<std::size_t>(played.turn.kind);
      out.slices.push_back(
          {static_cast<std::size_t>(played.rank), kind, played.begin, played.end,
           fmt::format("mb{}/s{}.{}", played.turn.micro_batch, schedule_.virtual_stage(played.rank, played.turn.chunk), passes[kind])});
    }
    const cost::StepEstimate& step = forecast_.step;
    for (int rank = 0; rank < run_.layout.pp; ++rank) {
      double at = played_.total;
      std::size_t kind = kTurns.size();
      for (const auto& [seconds, what] :
           {std::pair{step.exchange_after, "gradients"}, std::pair{step.optimizer, "update"}, std::pair{step.other, "other"}}) {
        out.slices.push_back({static_cast<std::size_t>(rank), kind++, at, at + seconds, what});
        at += seconds;
      }
    }
    return to_html(out);
  }

  /// Closed forms for equal stages (accounting C3), and how long this plan's busiest rank waits for others.
  std::string bubble_curves() const {
    const int p = run_.layout.pp;
    if (p == 1) return "<p class='note'>One stage: no pipeline, no bubble.</p>\n";
    const int chunks = std::max(2, run_.layout.chunks);
    Plot plot{fmt::format("Bubble of {} equal stages by schedule", p), "micro-batches", "share of the pipeline's time", {}};
    plot.log_x = plot.from_zero = true;
    plot.series = {{"1F1B, GPipe", {}, {}}, {fmt::format("interleaved, {} chunks", chunks), {}, {}}, {"ZB-H1", {}, {}}};
    for (int m = 1; m <= std::max(8 * p, 2 * run_.micro_batches()); m = std::max(m + 1, m * 5 / 4)) {
      const auto add = [&](std::size_t series, double bubble) {
        plot.series[series].x.push_back(m), plot.series[series].y.push_back(bubble);
      };
      add(0, cost::bubble_1f1b(p, m));
      if (m >= p) add(1, cost::bubble_interleaved(p, m, chunks));  // defined at its multiples of p
      if (m >= p) add(2, cost::bubble_zb_h1(p, m));
    }
    const cost::StepEstimate& step = forecast_.step;
    plot.series.push_back({"this plan's busiest rank", {static_cast<double>(run_.micro_batches())}, {step.bubble / step.pipeline}, true});
    return to_svg(plot);
  }

  /// Over the steps of this job: a run file's warm-up where its own steps are these, else the default (accounting A7).
  std::string learning_rate() const { return schedule_plot(train::schedule_of(plan_.config)); }

  std::string layouts() const {
    nlohmann::json rows = nlohmann::json::array();
    const nlohmann::json none = nlohmann::json::array({"", nullptr});
    constexpr std::array<std::string_view, 4> outcomes{"contradiction", "too large", "bounded", "simulated"};
    const double work = model::flops_per_token(run_.model, run_.sequence_length).value * static_cast<double>(run_.tokens_per_step());
    const plan::SearchResult& search = plan_.search;
    std::vector<std::size_t> order(search.all.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    const auto rank = [&](std::size_t i) {
      const plan::Considered& c = search.all[i];
      return std::pair(-static_cast<int>(c.outcome), c.figure);
    };
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return rank(a) < rank(b); });
    for (const std::size_t i : order) {
      const plan::Considered& c = search.all[i];
      const bool timed = c.outcome >= plan::Outcome::bounded;
      const std::string at_best = c.outcome == plan::Outcome::bounded ? "≥ " : "";
      rows.push_back(
          {to_text(c.run.layout),
           {std::to_string(c.run.micro_batch), c.run.micro_batch},
           fmt::format("{}{}", outcomes[static_cast<std::size_t>(c.outcome)], to_text(c.run) == to_text(run_) ? ", this plan" : ""),
           timed ? nlohmann::json{at_best + format(Seconds(c.seconds)), c.seconds} : none,
           timed ? nlohmann::json{fmt::format("{}{:.1f} %", c.outcome == plan::Outcome::bounded ? "≤ " : "",
                                              100 * work / c.seconds / forecast_.peak_flops),
                                  work / c.seconds}
                 : none,
           c.memory > 0 ? nlohmann::json{gib(c.memory), c.memory} : none,
           c.reason});
    }
    return rows_table({"layout", "micro-batch", "outcome", "step", "MFU", "memory", "why not"}, rows, "filter: tp=8 simulated -pp=2");
  }

  std::string all_explanations() const {
    std::vector<plan::Explanation> all;
    for (const auto& [id, title] : plan::explainable(forecast_)) all.push_back(plan::explain(forecast_, plan_.calibration, id));
    return explanations(all);
  }

  const ClusterPlan& plan_;
  const plan::Forecast& forecast_;
  const cost::RunShape& run_;
  const program::Schedule schedule_;
  const cost::PipelineTime played_;
};

}  // namespace

std::string plan_page(const ClusterPlan& plan) { return ClusterPage(plan).html(); }

}  // namespace longhaul::report
