// Where the time of a step goes (cost/step.h), the pipeline's closed forms beside it, and how well the devices are used.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "cost/exchange.h"
#include "cost/layer_time.h"
#include "cost/prices.h"
#include "cost/stages.h"
#include "plan/explain/lines.h"

namespace longhaul::plan {
namespace {

/// The pipeline rank whose parts the step's lines are.
class Busiest {
 public:
  explicit Busiest(const OnCluster& given)
      : given_(given), prices_(given.run(), given.calibration), stages_(cost::split_stages(given.run())), parameters_(given.run()) {}

  const cost::StepEstimate& step() const { return given_.plan.step; }
  const cost::RunShape& run() const { return given_.run(); }
  const program::Layout& layout() const { return run().layout; }
  const cost::Prices& prices() const { return prices_; }
  double read(std::string_view name) const { return prices_.parameters()(name); }
  cost::StageContent content() const { return rank_content(run(), stages_, step().busiest); }
  double head_parameters() const { return parameters_.head(); }
  /// What the pipeline rank holds that takes longest by `seconds`.
  template <class Seconds>
  cost::HeldParameters longest(const Seconds& seconds) const {
    const std::vector<cost::HeldParameters> held = cost::held_by_ranks(run(), parameters_, stages_);
    return *std::max_element(held.begin(), held.end(),
                             [&](const cost::HeldParameters& a, const cost::HeldParameters& b) { return seconds(a) < seconds(b); });
  }
  /// Forward and backward turns of one micro-batch on the rank.
  double turns() const {
    double seconds = 0;
    for (std::size_t i = step().busiest; i < stages_.size(); i += layout().pp)
      seconds += step().stages[i].forward + step().stages[i].backward();
    return seconds;
  }
  /// Seconds of a micro-batch in which messages take the rank, at whichever of their ends it is.
  double blocked() const {
    const std::vector<cost::StageCost>& costs = step().stages;
    double seconds = 0;
    for (std::size_t i = step().busiest; i < costs.size(); i += layout().pp) {
      seconds += costs[i].blocking_forward + costs[i].blocking_backward;
      if (i > 0) seconds += costs[i - 1].blocking_forward;
      if (i + 1 < costs.size()) seconds += costs[i + 1].blocking_backward;
    }
    return seconds;
  }

 private:
  const OnCluster& given_;
  cost::Prices prices_;
  std::vector<cost::StageContent> stages_;
  cost::StageParameters parameters_;
};

Derivation& let_content(const Busiest& rank, Derivation& out) {
  const cost::StageContent content = rank.content();
  return out.let("micro_batches", rank.run().micro_batches(), Unit::number, "of a data-parallel rank in a step")
      .let("layers", content.layers, Unit::number, fmt::format("of pipeline rank {}, the busiest", rank.step().busiest))
      .let("has_embedding", content.embedding ? 1 : 0, Unit::number, "1 where that rank looks tokens up")
      .let("has_head", content.head ? 1 : 0, Unit::number, "1 where that rank makes logits");
}

void derive_compute(const OnCluster& given, Derivation& out) {
  const Busiest rank(given);
  const cost::LayerTime& layer = rank.step().layer;
  const cost::EndTime &embedding = rank.step().embedding, &head = rank.step().head;
  let_content(rank, out)
      .let("forward", layer.forward, Unit::seconds, "a layer's forward pass: products, attention, element-wise work, launches")
      .let("backward", layer.backward, Unit::seconds,
           fmt::format("its backward pass, {} of it run again", format(layer.recomputed, Unit::seconds)))
      .let("collectives", layer.exposed_collectives.total(), Unit::seconds,
           "of both, tensor, context and expert parallelism that nothing hides (parts of their own)")
      .let("sharding", layer.exposed_sharding, Unit::seconds, "of both, gathers and scatters that nothing hides (step.data_parallel)")
      .let("embedding", embedding.forward - embedding.exposed_collectives, Unit::seconds, "the embedding without its collectives")
      .let("head", head.forward + head.backward - head.exposed_collectives - head.exposed_sharding, Unit::seconds,
           "the head and the loss, both passes, without collectives")
      .is("micro_batches · (layers · (forward + backward − collectives − sharding) + has_embedding · embedding + has_head · head)")
      .note(fmt::format(
          "were the device never to wait, a layer would be {} of products, {} of attention, {} of element-wise work; the host launches "
          "it in {}",
          format(layer.gemm, Unit::seconds), format(layer.attention, Unit::seconds), format(layer.bytes, Unit::seconds),
          format(layer.launch, Unit::seconds)));
}

void derive_tensor_parallel(const OnCluster& given, Derivation& out) {
  const Busiest rank(given);
  let_content(rank, out)
      .let("layer", rank.step().layer.exposed_collectives.tensor, Unit::seconds, "collectives of a layer that nothing hides")
      .let("embedding", rank.step().embedding.exposed_collectives, Unit::seconds, "of the embedding")
      .let("head", rank.step().head.exposed_collectives, Unit::seconds, "of the head")
      .is("micro_batches · (layers · layer + has_embedding · embedding + has_head · head)")
      .note(fmt::format("traffic.tensor_parallel has the bytes; tp = {} {} nodes of {} devices", rank.layout().tp,
                        rank.layout().tp > rank.run().devices_per_node ? "crosses" : "stays inside", rank.run().devices_per_node));
}

/// Context and expert parallelism exchange in layers alone.
void derive_in_layers(const OnCluster& given, Derivation& out, double cost::CollectiveSeconds::*group, const char* what) {
  const Busiest rank(given);
  out.let("micro_batches", rank.run().micro_batches(), Unit::number, "of a data-parallel rank in a step")
      .let("layers", rank.content().layers, Unit::number, fmt::format("of pipeline rank {}, the busiest", rank.step().busiest))
      .let("layer", rank.step().layer.exposed_collectives.*group, Unit::seconds, what)
      .is("micro_batches · layers · layer");
}
void derive_context_parallel(const OnCluster& given, Derivation& out) {
  derive_in_layers(given, out, &cost::CollectiveSeconds::context, "keys and values of a layer around the ring, what no work hides");
  out.note("traffic.context_parallel has the bytes");
}
void derive_expert_parallel(const OnCluster& given, Derivation& out) {
  derive_in_layers(given, out, &cost::CollectiveSeconds::expert, "dispatch and combine of the mean layer that nothing hides");
  out.note("traffic.expert_parallel has the bytes; no measured run tells how much of it hides: none is assumed to");
}

void derive_pipeline_transfers(const OnCluster& given, Derivation& out) {
  const Busiest rank(given);
  out.let("micro_batches", rank.run().micro_batches(), Unit::number, "of a step")
      .let("chunks", rank.layout().chunks, Unit::number, "of a rank")
      .let("exchange", rank.step().exchange, Unit::seconds, "that a turn waits for its paired messages")
      .let("blocked", rank.blocked(), Unit::seconds, "a micro-batch, in which messages take the rank at either end")
      .let("pipeline", rank.step().pipeline, Unit::seconds, "the schedule played on a clock")
      .let("turns", rank.turns(), Unit::seconds, "of one micro-batch, forward and backward")
      .is("micro_batches · 2 · chunks · exchange + min(micro_batches · blocked, pipeline − micro_batches · turns)");
}

void derive_bubble(const OnCluster& given, Derivation& out) {
  const Busiest rank(given);
  out.let("micro_batches", rank.run().micro_batches(), Unit::number, "of a step")
      .let("pipeline", rank.step().pipeline, Unit::seconds,
           fmt::format("the {} schedule played on a clock", program::name(rank.layout().schedule)))
      .let("turns", rank.turns(), Unit::seconds, "of one micro-batch, forward and backward, on the busiest rank")
      .let("messages", rank.step().messages, Unit::seconds, "of its waiting (step.pipeline_transfers)")
      .is("pipeline − micro_batches · turns − messages")
      .note("always from the played schedule; bubble.closed_form has the textbook's, for equal stages without messages");
}

/// Formulas of the exchange after the pipeline, each a sum over the groups of data_groups().
struct Exchange {
  std::string traffic, latency;
  void add(const std::string& more) { traffic += (traffic.empty() ? "" : " + ") + more; }
};

/// The terms of one group, their symbols behind `prefix`.
void let_group(const Busiest& rank, const cost::DataGroup& group, const std::string& prefix, Exchange& exchange, Derivation& out) {
  const auto with = [&](std::string_view formula) { return fmt::format(fmt::runtime(formula), prefix); };
  const bool sharded = rank.layout().zero > 0, by_layer = cost::shards_by_layer(rank.run());
  exchange.latency += with(sharded && !by_layer ? " + latency · log2({0}ranks) + shard_latency" : " + latency · log2({0}ranks)");
  out.let(prefix + "ranks", group.ranks, Unit::number,
          prefix.empty() ? "dp·cp, which hold the same" : "dp·cp·tp ÷ ep, of the same experts");
  if (!sharded || !by_layer || group.copies() > 1)
    out.let(prefix + "parameters", group.parameters, Unit::parameters, "of the pipeline rank that exchanges most");
  if (!sharded) {
    out.let(prefix + "bandwidth", rank.prices().exchange_bandwidth(group.ranks, group.stride), Unit::bytes_per_second,
            "of a rank in the ring");
    return exchange.add(with("2 · reduce_bytes · ({0}ranks − 1) ÷ {0}ranks · {0}parameters ÷ {0}bandwidth"));
  }
  out.let(prefix + "shards", group.shards, Unit::number, "of them share one copy of the states");
  if (group.copies() > 1) {
    out.let(prefix + "copies", group.copies(), Unit::number, "of the states (HSDP), which add up their pieces")
        .let(prefix + "across_bandwidth", rank.prices().exchange_bandwidth(group.copies(), group.shards * group.stride),
             Unit::bytes_per_second, "between copies");
    exchange.add(with("2 · reduce_bytes · ({0}copies − 1) ÷ {0}copies · ({0}parameters ÷ {0}shards) ÷ {0}across_bandwidth"));
  }
  if (by_layer || group.shards == 1) return;
  out.let(prefix + "bandwidth", rank.prices().exchange_bandwidth(group.shards, group.stride), Unit::bytes_per_second,
          "of a rank in the ring");
  exchange.add(with("(reduce_bytes + 2) · ({0}shards − 1) ÷ {0}shards · {0}parameters ÷ {0}bandwidth"));
}

/// What runs after the pipeline: terms, and their formula.
std::string derive_exchange(const Busiest& rank, Derivation& out) {
  const bool sharded = rank.layout().zero > 0;
  out.let("reduce_bytes", rank.read("reduce_bytes"), Unit::bytes_per_parameter, "of a gradient as it travels (calibration)")
      .let("latency", rank.read("dp_latency"), Unit::seconds, "for each doubling of the ranks (calibration)");
  if (sharded && !cost::shards_by_layer(rank.run()))
    out.let("shard_latency", rank.read("dp_shard_latency"), Unit::seconds, "of a sharded optimizer's exchange (calibration)");
  const cost::HeldParameters held =
      rank.longest([&](const cost::HeldParameters& each) { return data_parallel_seconds(rank.run(), rank.prices(), each, rank.turns()); });
  const auto [dense, experts] = cost::data_groups(rank.run(), held);
  Exchange exchange;
  if (dense.ranks > 1) let_group(rank, dense, "", exchange, out);
  if (experts.ranks > 1) let_group(rank, experts, "expert_", exchange, out);
  if (experts.parameters > 0 && experts.ranks == 1) out.note("every expert is on one rank alone (ep = dp·cp·tp): none is exchanged");
  if (exchange.traffic.empty()) return exchange.latency;
  out.define("traffic", exchange.traffic, Unit::seconds,
             sharded ? "gradients scattered and 16-bit weights gathered, unless layer by layer; pieces of copies added up"
                     : "ring all-reduce (accounting C4)");
  if (sharded || rank.read("dp_overlap") <= 0) return " + traffic" + exchange.latency;
  out.let("overlap", rank.read("dp_overlap"), Unit::share, "of a micro-batch that hides the exchange (calibration)")
      .let("turns", rank.turns(), Unit::seconds, "of one micro-batch")
      .define("cover", "overlap · turns", Unit::seconds, "work it runs beside")
      .define("exposed", "(traffic − cover + sqrt((traffic − cover)^2 + (0.1 · traffic)^2)) ÷ 2", Unit::seconds,
              "max(0, traffic − cover) with a soft edge");
  return " + exposed" + exchange.latency;
}

void derive_data_parallel(const OnCluster& given, Derivation& out) {
  const Busiest rank(given);
  let_content(rank, out)
      .let("layer_sharding", rank.step().layer.exposed_sharding, Unit::seconds, "gathers and scatters of a layer that nothing hides")
      .let("head_sharding", rank.step().head.exposed_sharding, Unit::seconds, "the same of the head");
  const std::string during = "micro_batches · (layers · layer_sharding + has_head · head_sharding)";
  const auto [dense, experts] = cost::data_groups(rank.run(), {});
  if (dense.ranks == 1 && experts.ranks == 1)
    out.is(during).note("dp·cp = 1: nothing to exchange");
  else
    out.is(during + derive_exchange(rank, out));
}

void derive_optimizer(const OnCluster& given, Derivation& out) {
  const Busiest rank(given);
  const bool sharded = rank.layout().zero > 0;
  const auto [dense, experts] = cost::data_groups(
      rank.run(), rank.longest([&](const cost::HeldParameters& held) { return optimizer_seconds(rank.run(), rank.prices(), held); }));
  out.let("parameters", dense.parameters, Unit::parameters, "of the pipeline rank that has most to update, on one tensor-parallel rank")
      .let("optimizer_bytes", rank.read("optimizer_bytes"), Unit::bytes_per_parameter, "moved for states that ZeRO divides (calibration)")
      .let("whole_bytes", rank.read("optimizer_bytes_whole"), Unit::bytes_per_parameter, "moved on every rank (calibration)")
      .let("shards", sharded ? dense.shards : 1, Unit::number, "ranks that share the states")
      .let("bandwidth", rank.prices().device().memory, Unit::bytes_per_second, "memory bandwidth that work gets");
  const std::string of_dense = "parameters · (optimizer_bytes ÷ shards + whole_bytes)";
  if (experts.parameters == 0) return void(out.is(of_dense + " ÷ bandwidth"));
  out.let("expert_parameters", experts.parameters, Unit::parameters, "of the experts on that rank")
      .let("expert_shards", sharded ? experts.shards : 1, Unit::number, "ranks that share an expert's states")
      .is("(" + of_dense + " + expert_parameters · (optimizer_bytes ÷ expert_shards + whole_bytes)) ÷ bandwidth");
}

void derive_other(const OnCluster& given, Derivation& out) {
  const Busiest rank(given);
  out.let("straggling", rank.read("straggling"), Unit::share, "spread of the devices' speeds (calibration)")
      .let("slowest", rank.run().devices > 1 ? cost::expected_normal_maximum(rank.run().devices) : 0, Unit::number,
           fmt::format("expected maximum of {} standard normals (accounting C8)", rank.run().devices))
      .let("pipeline", rank.step().pipeline, Unit::seconds, "from the first turn to the last")
      .let("tied", cost::tied_embedding_seconds(rank.run(), rank.prices(), rank.head_parameters()), Unit::seconds,
           "first and last stage add up a tied embedding's gradients")
      .let("loop", rank.read("loop"), Unit::seconds, "the loop itself (calibration)")
      .is("straggling · slowest · pipeline + tied + loop");
}

void derive_step(const OnCluster& given, Derivation& out) {
  const cost::StepEstimate& s = given.plan.step;
  out.let("compute", s.compute, Unit::seconds, "step.compute")
      .let("tensor_parallel", s.tensor_parallel, Unit::seconds, "step.tensor_parallel")
      .let("context_parallel", s.context_parallel, Unit::seconds, "step.context_parallel")
      .let("expert_parallel", s.expert_parallel, Unit::seconds, "step.expert_parallel")
      .let("pipeline_transfers", s.pipeline_transfers, Unit::seconds, "step.pipeline_transfers")
      .let("bubble", s.bubble, Unit::seconds, "step.bubble")
      .let("data_parallel", s.data_parallel, Unit::seconds, "step.data_parallel")
      .let("optimizer", s.optimizer, Unit::seconds, "step.optimizer")
      .let("other", s.other, Unit::seconds, "step.other")
      .is("compute + tensor_parallel + context_parallel + expert_parallel + pipeline_transfers + bubble + data_parallel + optimizer + "
          "other")
      .note("parts that are exposed: what overlaps counts once (accounting C6)");
}

double closed_form(const cost::RunShape& run) {
  const program::Layout& l = run.layout;
  const int m = run.micro_batches();
  if (l.schedule == program::ScheduleKind::interleaved) return cost::bubble_interleaved(l.pp, m, l.chunks);
  if (l.schedule == program::ScheduleKind::zb_h1) return cost::bubble_zb_h1(l.pp, m);
  return cost::bubble_1f1b(l.pp, m);
}

void derive_closed_form(const OnCluster& given, Derivation& out) {
  const program::Layout& layout = given.run().layout;
  out.let("pp", layout.pp, Unit::number, "pipeline ranks").let("micro_batches", given.run().micro_batches(), Unit::number, "of a step");
  if (layout.schedule == program::ScheduleKind::interleaved)
    out.let("chunks", layout.chunks, Unit::number, "of a rank").is("(pp − 1) ÷ (chunks · micro_batches + pp − 1)");
  else if (layout.schedule == program::ScheduleKind::zb_h1)
    out.is("(pp − 1) ÷ (3 · micro_batches + pp − 1)").note("for forward = input gradient = weight gradient and micro_batches ≥ pp");
  else
    out.is("(pp − 1) ÷ (micro_batches + pp − 1)");
  const cost::StepEstimate& s = given.plan.step;
  out.note(fmt::format("as played, with this plan's uneven stages and messages: {:.1f} % of the pipeline's {}", 100 * s.bubble / s.pipeline,
                       format(s.pipeline, Unit::seconds)));
}

void derive_rate(const OnCluster& given, Derivation& out) {
  out.let("tokens", static_cast<double>(given.run().tokens_per_step()), Unit::tokens, "tokens_per_step")
      .let("seconds", given.plan.step.seconds, Unit::seconds, "step.seconds")
      .is("tokens ÷ seconds");
}

void let_use(const OnCluster& given, Derivation& out) {
  out.let("flops_per_token", given.plan.flops_per_token.value, Unit::flops, "flops.per_token")
      .let("tokens_per_s", given.plan.tokens_per_second(), Unit::tokens_per_second, "step.tokens_per_s")
      .let("devices", given.plan.cluster.devices, Unit::number, given.plan.cluster.id)
      .let("peak", given.plan.peak_flops / given.plan.cluster.devices, Unit::flops_per_second,
           fmt::format("dense {} peak of one {} as its maker states it", given.run().precision == cost::Precision::fp8 ? "fp8" : "16-bit",
                       given.plan.cluster.accelerator.name));
}

void derive_mfu(const OnCluster& given, Derivation& out) {
  let_use(given, out);
  out.is("flops_per_token · tokens_per_s ÷ (devices · peak)")
      .note("of model FLOPs by the convention `standard`: say peak and convention with the figure");
}

void derive_hfu(const OnCluster& given, Derivation& out) {
  let_use(given, out);
  out.let("again", given.plan.recomputed_flops_per_token().value, Unit::flops,
          "a token's forward pass run again: of every layer with recompute=layer, its attention with recompute=selective")
      .is("(flops_per_token + again) · tokens_per_s ÷ (devices · peak)");
}

}  // namespace

std::vector<ForecastLine> step_lines() {
  using enum LeverKind;
  const auto line = [](const std::string& name, const std::string& title, const std::string& source, double cost::StepEstimate::*member,
                       void (*derive)(const OnCluster&, Derivation&), std::vector<LeverKind> levers) {
    return ForecastLine{"step." + name,
                        title,
                        Unit::seconds,
                        fmt::format("/step/split/{}_seconds", name),
                        source,
                        [member](const OnCluster& g) { return g.plan.step.*member; },
                        derive,
                        std::move(levers),
                        ""};
  };
  const std::vector<LeverKind> all{tensor, pipeline, schedule, micro_batch, recompute, zero, devices};
  return {
      line("compute", "the busiest rank computes", "cost/layer_time.h; accounting D1, F6", &cost::StepEstimate::compute, derive_compute,
           {recompute, micro_batch, tensor, precision, devices}),
      line("tensor_parallel", "exposed collectives of tensor parallelism", "Shoeybi et al. 2019 §3; accounting C4, C9",
           &cost::StepEstimate::tensor_parallel, derive_tensor_parallel, {tensor, sequence_parallel, micro_batch}),
      line("context_parallel", "exposed exchange of keys and values", "Liu et al. 2023 (ring attention); accounting C9",
           &cost::StepEstimate::context_parallel, derive_context_parallel, {tensor, pipeline}),
      line("expert_parallel", "exposed exchange of tokens among experts", "Lepikhin et al. 2021 (GShard); accounting C9",
           &cost::StepEstimate::expert_parallel, derive_expert_parallel, {pipeline, micro_batch}),
      line("pipeline_transfers", "messages between stages", "Narayanan et al. 2021 §4.1; accounting C9",
           &cost::StepEstimate::pipeline_transfers, derive_pipeline_transfers, {pipeline, schedule, micro_batch}),
      line("bubble", "the busiest rank waits for other stages", "Narayanan et al. 2021 §2.2; accounting C3", &cost::StepEstimate::bubble,
           derive_bubble, {schedule, pipeline, micro_batch, global_batch}),
      line("data_parallel", "exposed exchange of gradients and parameters", "Rajbhandari et al. 2020 §7; accounting C4, C9",
           &cost::StepEstimate::data_parallel, derive_data_parallel, {zero, tensor, pipeline, micro_batch, global_batch, devices}),
      line("optimizer", "the update", "cost/exchange.h: bytes of states ÷ memory bandwidth", &cost::StepEstimate::optimizer,
           derive_optimizer, {zero, tensor, pipeline, devices}),
      line("other", "stragglers, tied embeddings, the loop", "accounting C8", &cost::StepEstimate::other, derive_other, {devices}),
      {"step.seconds", "one optimizer step", Unit::seconds, "/step/seconds", "accounting F6: the parts add up",
       [](const OnCluster& g) { return g.plan.step.seconds; }, derive_step, all, ""},
      {"step.tokens_per_s", "tokens a second of the whole job", Unit::tokens_per_second, "/step/tokens_per_s", "accounting G",
       [](const OnCluster& g) { return g.plan.tokens_per_second(); }, derive_rate, all, ""},
      {"bubble.closed_form",
       "share of the pipeline that equal stages idle, by the closed form",
       Unit::share,
       "",
       "Narayanan et al. 2021 §2.2; Qi et al. 2023 §2.3; accounting C3",
       [](const OnCluster& g) { return closed_form(g.run()); },
       derive_closed_form,
       {schedule, pipeline, micro_batch, global_batch},
       ""},
      {"mfu", "model FLOPs utilisation", Unit::share, "/step/mfu", "Chowdhery et al. 2022 (PaLM), appendix B; accounting D2",
       [](const OnCluster& g) { return g.plan.mfu(); }, derive_mfu, all, ""},
      {"hfu",
       "hardware FLOPs utilisation: recomputed work counts",
       Unit::share,
       "/step/hfu",
       "Korthikanti et al. 2022 §6; accounting D2",
       [](const OnCluster& g) { return g.plan.hfu(); },
       derive_hfu,
       {recompute, tensor, pipeline, micro_batch},
       ""},
  };
}

}  // namespace longhaul::plan
