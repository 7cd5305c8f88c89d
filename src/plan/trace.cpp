#include "plan/trace.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <nlohmann/json.hpp>

#include "cost/in_flight.h"
#include "cost/pipeline.h"
#include "cost/prices.h"
#include "cost/stages.h"
#include "cost/work.h"
#include "units/error.h"
#include "units/units.h"

namespace longhaul::plan {
namespace {

using program::Turn;
using program::TurnKind;

/// Slices of layers and work: with them a file is some 10 MB, which a viewer opens at once.
constexpr std::size_t kMostDetails = 50'000;
constexpr std::size_t kMostTurns = 1'000'000;
/// Tracks of a rank: its work, then what is on its way to others.
constexpr int kWork = 0, kMessages = 1;

/// Writes trace events. Times come in seconds and leave in whole nanoseconds, so that what touches still touches after rounding.
class Events {
 public:
  void slice(int rank, int track, std::string_view category, std::string_view name, double begin, double end,
             std::string_view arguments = "") {
    const std::int64_t from = nanoseconds(begin), to = nanoseconds(end);
    if (to <= from) return;
    separate();
    fmt::format_to(std::back_inserter(out_), R"({{"ph":"X","cat":"{}","name":"{}","pid":{},"tid":{},"ts":{},"dur":{}{}}})", category, name,
                   rank, track, microseconds(from), microseconds(to - from),
                   arguments.empty() ? "" : fmt::format(R"(,"args":{{{}}})", arguments));
  }
  void counter(int rank, std::string_view name, double at, double value) {
    separate();
    fmt::format_to(std::back_inserter(out_), R"({{"ph":"C","name":"{}","pid":{},"ts":{},"args":{{"value":{:.6g}}}}})", name, rank,
                   microseconds(nanoseconds(at)), value);
  }
  void metadata(int rank, int track, std::string_view what, const nlohmann::json& arguments) {
    separate();
    fmt::format_to(std::back_inserter(out_), R"({{"ph":"M","name":"{}","pid":{},"tid":{},"args":{}}})", what, rank, track,
                   arguments.dump());
  }
  std::size_t count() const { return count_; }
  std::string all() const { return fmt::to_string(out_); }

 private:
  static std::int64_t nanoseconds(double seconds) { return std::llround(seconds * 1e9); }
  static std::string microseconds(std::int64_t ns) { return fmt::format("{}.{:03}", ns / 1000, ns % 1000); }
  void separate() {
    if (count_++ > 0) fmt::format_to(std::back_inserter(out_), ",\n");
  }
  fmt::memory_buffer out_;
  std::size_t count_ = 0;
};

std::string_view name(cost::CollectiveKind kind) {
  constexpr std::array<std::string_view, 4> names{"all_reduce", "all_gather", "reduce_scatter", "all_to_all"};
  return names[static_cast<std::size_t>(kind)];
}

/// "qkv.fwd", "mlp.all_reduce.fwd", "down.accumulate.wgrad".
std::string name_of(const cost::WorkItem& item) {
  constexpr std::array<std::string_view, 3> passes{"fwd", "bwd", "wgrad"};
  std::string out(item.name == "layer" ? "elementwise" : item.name);
  if (item.kind == cost::WorkKind::collective && !out.ends_with(name(item.collective))) out += fmt::format(".{}", name(item.collective));
  if (item.kind == cost::WorkKind::bytes && item.sort == cost::BytesKind::accumulation) out += ".accumulate";
  return fmt::format("{}.{}", out, passes[static_cast<std::size_t>(item.pass)]);
}

std::string_view category_of(const cost::WorkItem& item) {
  constexpr std::array<std::string_view, 4> kinds{"gemm", "attention", "bytes", "collective"};
  return kinds[static_cast<std::size_t>(item.kind)];
}

/// Where in a layer's forward pass an item stands; the backward pass goes the other way. A block gathers before its first product and
/// scatters or adds up after its last.
int place(const cost::WorkItem& item) {
  const bool synchronises = item.kind == cost::WorkKind::collective && (item.name == "attn" || item.name == "mlp");
  const bool first = (item.collective == cost::CollectiveKind::all_gather) == (item.pass == cost::WorkPass::forward);
  if (synchronises) return item.name == "attn" ? (first ? 0 : 3) : (first ? 4 : 8);
  constexpr std::array<std::pair<std::string_view, int>, 9> places{{{"proj", 2},
                                                                    {"router", 5},
                                                                    {"dispatch", 5},
                                                                    {"expert.up", 6},
                                                                    {"up", 6},
                                                                    {"expert.down", 7},
                                                                    {"down", 7},
                                                                    {"combine", 7},
                                                                    {"layer", 9}}};
  const auto at = std::find_if(places.begin(), places.end(), [&](const auto& each) { return each.first == item.name; });
  return at == places.end() ? 1 : at->second;
}

/// An item and its seconds, were it alone.
struct Priced {
  std::string name;
  std::string_view category;
  cost::WorkPass pass{};
  double seconds = 0;
};

/// Items of a layer in the order of the forward pass.
std::vector<Priced> priced(std::vector<cost::WorkItem> items, const cost::Prices& prices) {
  std::stable_sort(items.begin(), items.end(), [](const cost::WorkItem& a, const cost::WorkItem& b) { return place(a) < place(b); });
  std::vector<Priced> out;
  for (const cost::WorkItem& item : items) out.push_back({name_of(item), category_of(item), item.pass, prices.of(item)});
  return out;
}

class Tracer {
 public:
  Tracer(const Forecast& forecast, const cost::Calibration& calibration)
      : forecast_(forecast),
        run_(forecast.shape),
        step_(forecast.step),
        stages_(cost::split_stages(run_)),
        schedule_(program::make_schedule(run_.layout.schedule, run_.layout.pp, checked_micro_batches(), run_.layout.chunks)) {
    const cost::Prices prices(run_, calibration);
    const bool experts = run_.model.experts.count > 0;
    dense_ = priced(cost::layer_work(run_), prices);
    if (experts) sparse_ = priced(cost::layer_work(run_, true), prices);
    const std::size_t of_micro_batch = static_cast<std::size_t>(run_.model.layers) * (std::max(dense_.size(), sparse_.size()) + 4);
    detailed_ = static_cast<int>(std::clamp<std::size_t>(kMostDetails / of_micro_batch, 1, static_cast<std::size_t>(run_.micro_batches())));
    for (const cost::StageContent& content : stages_)
      first_layer_.push_back(first_layer_.empty() ? 0 : first_layer_.back() + last_layers_), last_layers_ = content.layers;
  }

  Trace draw() {
    const cost::PipelineTime time = cost::play(schedule_, step_.stages, true);
    for (int rank = 0; rank < run_.layout.pp; ++rank) name_tracks(rank);
    lanes_.resize(static_cast<std::size_t>(run_.layout.pp));
    for (const cost::PlayedTurn& turn : time.turns) draw_turn(turn);
    draw_counters(time);
    for (int rank = 0; rank < run_.layout.pp; ++rank) draw_end(rank);
    const nlohmann::json other = {{"model", run_.model.name},
                                  {"cluster", forecast_.cluster.id},
                                  {"framework", run_.framework},
                                  {"layout", to_text(run_.layout)},
                                  {"step_seconds", step_.seconds},
                                  {"micro_batches", run_.micro_batches()},
                                  {"detailed_micro_batches", detailed_},
                                  {"note", "an estimate; work inside a layer is stretched alike to fill it, alone_us is its own time"}};
    return {fmt::format("{{\"displayTimeUnit\":\"ms\",\"otherData\":{},\n\"traceEvents\":[\n{}\n]}}\n", other.dump(), events_.all()),
            events_.count(), detailed_};
  }

 private:
  int checked_micro_batches() const {
    const double turns = static_cast<double>(run_.micro_batches()) * run_.layout.virtual_stages() * 3;
    if (turns > static_cast<double>(kMostTurns))
      throw UsageError(
          fmt::format("--trace: {:.0f} turns are more than the {} that a viewer opens; trace a smaller batch.global_batch, whose "
                      "steady state is the same",
                      turns, kMostTurns));
    return run_.micro_batches();
  }

  void name_tracks(int rank) {
    const cost::StageContent content = cost::rank_content(run_, stages_, rank);
    events_.metadata(rank, kWork, "process_name",
                     {{"name", fmt::format("pipeline rank {}: {} layers{}{}", rank, content.layers, content.embedding ? ", embedding" : "",
                                           content.head ? ", head" : "")}});
    events_.metadata(rank, kWork, "process_sort_index", {{"sort_index", rank}});
    events_.metadata(rank, kWork, "thread_name", {{"name", "work"}});
  }

  void draw_turn(const cost::PlayedTurn& played) {
    const Turn& turn = played.turn;
    const int stage = schedule_.virtual_stage(played.rank, turn.chunk), last = schedule_.virtual_stages() - 1;
    const bool forward = turn.kind == TurnKind::forward, sends = turn.kind != TurnKind::weight_gradient;
    constexpr std::array<std::string_view, 4> kinds{"forward", "backward", "input gradient", "weight gradient"};
    const std::string_view kind = kinds[static_cast<std::size_t>(turn.kind)];
    events_.slice(played.rank, kWork, "turn",
                  fmt::format("{} mb{}{}", kind, turn.micro_batch, schedule_.chunks > 1 ? fmt::format(", chunk {}", turn.chunk) : ""),
                  played.begin, played.end,
                  fmt::format(R"("id":"mb{}/s{}","micro_batch":{},"chunk":{})", turn.micro_batch, stage, turn.micro_batch, turn.chunk));
    if (turn.micro_batch < detailed_) draw_inside(played, stage);
    if (!sends) return;
    const int from = forward ? stage - 1 : stage + 1, to = forward ? stage + 1 : stage - 1;
    const std::string id = fmt::format("mb{}/s{}", turn.micro_batch, stage), pass = forward ? "fwd" : "bwd";
    if (from >= 0 && from <= last) {
      const cost::StageCost& sender = step_.stages[static_cast<std::size_t>(from)];
      events_.slice(played.rank, kWork, "message", fmt::format("{}/recv.{}", id, pass),
                    played.begin - (forward ? sender.blocking_forward : sender.blocking_backward), played.begin);
    }
    if (to < 0 || to > last) return;
    const cost::StageCost& cost = step_.stages[static_cast<std::size_t>(stage)];
    events_.slice(played.rank, kWork, "message", fmt::format("{}/send.{}", id, pass), played.end,
                  played.end + (forward ? cost.blocking_forward : cost.blocking_backward));
    const double wire = forward ? cost.send_forward : cost.send_backward;
    if (wire > 0)
      events_.slice(played.rank, lane(played.rank, played.end, wire), "message", fmt::format("{}/send.{}", id, pass), played.end,
                    played.end + wire);
  }

  /// The first track of the rank's messages that is free.
  int lane(int rank, double begin, double seconds) {
    std::vector<double>& busy_until = lanes_[static_cast<std::size_t>(rank)];
    auto free = std::find_if(busy_until.begin(), busy_until.end(), [&](double until) { return until <= begin; });
    const int track = kMessages + static_cast<int>(free - busy_until.begin());
    if (free == busy_until.end()) {
      busy_until.push_back(0), free = busy_until.end() - 1;
      events_.metadata(rank, track, "thread_name", {{"name", "messages on their way"}});
    }
    *free = begin + seconds;
    return track;
  }

  /// Places slices one after another and never beyond their parent's end.
  struct Cursor {
    double at, end;
    std::pair<double, double> next(double seconds) {
      const double begin = at;
      at = std::min(at + seconds, end);
      return {begin, at};
    }
  };

  void draw_inside(const cost::PlayedTurn& played, int stage) {
    const cost::StageContent& content = stages_[static_cast<std::size_t>(stage)];
    const std::string id = fmt::format("mb{}/s{}", played.turn.micro_batch, stage);
    Cursor cursor{played.begin, played.end};
    const auto draw = [&](std::string_view category, const std::string& what, double seconds) {
      const auto [begin, end] = cursor.next(seconds);
      events_.slice(played.rank, kWork, category, fmt::format("{}/{}", id, what), begin, end);
    };
    const cost::EndTime& head = step_.head;
    const int first = first_layer_[static_cast<std::size_t>(stage)];
    switch (played.turn.kind) {
      case TurnKind::forward:
        if (content.embedding) draw("end", "embed.fwd", step_.embedding.forward);
        for (int i = 0; i < content.layers; ++i) draw_layer(played, id, first + i, cursor);
        if (content.head) draw("end", "head_loss.fwd", head.forward);
        break;
      case TurnKind::backward:
      case TurnKind::input_gradient:
        if (content.head) draw("end", "head_loss.bwd", head.backward - (played.turn.kind == TurnKind::backward ? 0 : head.weight_gradient));
        for (int i = content.layers; i-- > 0;) draw_layer(played, id, first + i, cursor);
        break;
      case TurnKind::weight_gradient:
        if (content.head) draw("end", "head_loss.wgrad", head.weight_gradient);
        for (int i = content.layers; i-- > 0;) draw_layer(played, id, first + i, cursor);
        return;
    }
    draw("message", "exchange", step_.exchange);
  }

  void draw_layer(const cost::PlayedTurn& played, const std::string& id, int layer, Cursor& turn) {
    const cost::LayerTime& time = step_.layer;
    const TurnKind kind = played.turn.kind;
    const bool forward = kind == TurnKind::forward, weights = kind == TurnKind::weight_gradient;
    const double whole = forward   ? time.forward
                         : weights ? time.weight_gradient
                                   : time.backward - (kind == TurnKind::backward ? 0 : time.weight_gradient);
    const double again = forward || weights ? 0 : time.recomputed;
    const double sharding = forward ? time.sharding_forward : weights ? 0 : time.exposed_sharding - time.sharding_forward;
    constexpr std::array<std::string_view, 4> suffixes{"fwd", "bwd", "bwd", "wgrad"};
    const std::string_view suffix = suffixes[static_cast<std::size_t>(kind)];
    const auto [begin, end] = turn.next(whole);
    const std::string prefix = fmt::format("{}/L{}", id, layer);
    events_.slice(played.rank, kWork, "layer", fmt::format("{}.{}", prefix, suffix), begin, end);

    Cursor inside{begin, end};
    const auto draw = [&](std::string_view category, const std::string& what, double seconds, const std::string& arguments = "") {
      const auto [from, to] = inside.next(seconds);
      events_.slice(played.rank, kWork, category, fmt::format("{}/{}", prefix, what), from, to, arguments);
    };
    draw("recompute", "layer.rec", again);
    std::vector<const Priced*> items;
    double alone = 0;
    for (const Priced& item : layer < run_.model.experts.dense_layers || sparse_.empty() ? dense_ : sparse_) {
      const bool mine = forward   ? item.pass == cost::WorkPass::forward
                        : weights ? item.pass == cost::WorkPass::weight_gradient
                                  : item.pass == cost::WorkPass::input_gradient ||
                                        (item.pass == cost::WorkPass::weight_gradient && kind == TurnKind::backward);
      if (mine) items.push_back(&item), alone += item.seconds;
    }
    if (!forward) std::reverse(items.begin(), items.end());
    const double stretch = alone > 0 ? (whole - again - sharding) / alone : 0;
    for (const Priced* item : items)
      draw(item->category, item->name, stretch * item->seconds, fmt::format(R"("alone_us":{:.3f})", item->seconds * 1e6));
    draw("sharding", fmt::format("sharding.{}", suffix), sharding);
  }

  void draw_counters(const cost::PipelineTime& time) {
    for (const cost::InFlight& now : cost::in_flight_over_step(schedule_, forecast_.memory, time)) {
      events_.counter(now.rank, "micro-batches in flight", now.at, now.micro_batches);
      events_.counter(now.rank, "memory GiB", now.at, now.total / kGiB);
    }
  }

  /// After the pipeline, on every rank alike: the step lasts until the slowest is done.
  void draw_end(int rank) {
    Cursor cursor{step_.pipeline, step_.seconds};
    for (const auto& [category, what, seconds] :
         {std::tuple{"data_parallel", "gradient_exchange", step_.exchange_after}, std::tuple{"optimizer", "update", step_.optimizer},
          std::tuple{"other", "other", step_.other}}) {
      const auto [begin, end] = cursor.next(seconds);
      events_.slice(rank, kWork, category, fmt::format("s{}/{}", rank, what), begin, end);
    }
  }

  const Forecast& forecast_;
  const cost::RunShape& run_;
  const cost::StepEstimate& step_;
  const std::vector<cost::StageContent> stages_;
  const program::Schedule schedule_;
  std::vector<Priced> dense_, sparse_;
  std::vector<int> first_layer_;  ///< of each virtual stage
  int last_layers_ = 0, detailed_ = 1;
  std::vector<std::vector<double>> lanes_;  ///< of each rank: when each track of messages is free
  Events events_;
};

}  // namespace

Trace trace(const Forecast& forecast, const cost::Calibration& calibration) { return Tracer(forecast, calibration).draw(); }

}  // namespace longhaul::plan
