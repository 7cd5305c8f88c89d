// Bytes that one rank sends in a step (cost/traffic.h).
#include "cost/traffic.h"

#include <fmt/format.h>

#include <algorithm>

#include "cost/framework.h"
#include "cost/layer_time.h"
#include "cost/stages.h"
#include "cost/work.h"
#include "plan/explain/lines.h"

namespace longhaul::plan {
namespace {

/// Halves of all-reduces among the items of a group; an all-reduce counts two, an all-to-all one.
double halves(const std::vector<cost::WorkItem>& items, cost::Group group) {
  double count = 0;
  for (const cost::WorkItem& item : items)
    if (item.kind == cost::WorkKind::collective && item.group == group)
      count += item.collective == cost::CollectiveKind::all_reduce ? 2 : 1;
  return count;
}
double bytes_of(const std::vector<cost::WorkItem>& items, cost::Group group) {
  const auto at = std::find_if(items.begin(), items.end(),
                               [&](const cost::WorkItem& item) { return item.kind == cost::WorkKind::collective && item.group == group; });
  return at == items.end() ? 0 : at->bytes;
}

/// What each pipeline rank holds.
std::vector<cost::StageContent> contents(const cost::RunShape& run) {
  const std::vector<cost::StageContent> stages = cost::split_stages(run);
  std::vector<cost::StageContent> out;
  for (int rank = 0; rank < run.layout.pp; ++rank) out.push_back(cost::rank_content(run, stages, rank));
  return out;
}
int most_layers(const cost::RunShape& run) {
  int most = 0;
  for (const cost::StageContent& content : contents(run)) most = std::max(most, content.layers);
  return most;
}

void derive_tensor(const OnCluster& given, Derivation& out) {
  const cost::RunShape& run = given.run();
  const double of_layer = halves(cost::layer_work(run), cost::Group::tensor);
  cost::StageContent most;
  double ends = 0, highest = -1;
  for (const cost::StageContent& content : contents(run)) {
    const double more = (content.embedding ? halves(cost::embedding_work(run), cost::Group::tensor) : 0) +
                        (content.head ? halves(cost::head_work(run), cost::Group::tensor) : 0);
    if (content.layers * of_layer + more > highest) most = content, ends = more, highest = content.layers * of_layer + more;
  }
  out.let("micro_batches", run.micro_batches(), Unit::number, "of a step")
      .let("layers", most.layers, Unit::number, "of the rank that sends most")
      .let("of_layer", of_layer, Unit::number, "gathers and scatters of a layer, both passes; an all-reduce is two")
      .let("of_ends", ends, Unit::number, "of embedding and head on that rank")
      .let("tp", run.layout.tp, Unit::number, "ranks of the ring")
      .let("tokens", cost::tokens(run), Unit::tokens, "of a micro-batch on one context-parallel rank")
      .let("width", static_cast<double>(run.model.width), Unit::number, "hidden size")
      .define("boundary", "2 · tokens · width", Unit::bytes, "activations between two layers, 16 bits")
      .is("micro_batches · (layers · of_layer + of_ends) · (tp − 1) ÷ tp · boundary")
      .note(
          "sequence parallelism cuts each all-reduce in its two halves: the bytes stay, but weight gradients gather their input once more");
}

void derive_context(const OnCluster& given, Derivation& out) {
  const cost::RunShape& run = given.run();
  const std::vector<cost::WorkItem> layer = cost::layer_work(run);
  out.let("micro_batches", run.micro_batches(), Unit::number, "of a step")
      .let("layers", most_layers(run), Unit::number, "of the rank that has most")
      .let("rounds", halves(layer, cost::Group::context), Unit::number, "keys and values forward; they and their gradients backward")
      .let("cp", run.layout.cp, Unit::number, "context-parallel ranks")
      .let("keys_values", bytes_of(layer, cost::Group::context), Unit::bytes, "of a micro-batch's whole sequence, 16 bits")
      .is("micro_batches · layers · rounds · (cp − 1) ÷ cp · keys_values");
}

void derive_expert(const OnCluster& given, Derivation& out) {
  const cost::RunShape& run = given.run();
  const std::vector<cost::WorkItem> layer = cost::layer_work(run, run.model.experts.count > 0);
  out.let("micro_batches", run.micro_batches(), Unit::number, "of a step")
      .let("layers", most_layers(run), Unit::number, "of the rank that has most")
      .let("sparse", cost::sparse_share(run.model), Unit::number, "of the layers that have experts")
      .let("exchanges", halves(layer, cost::Group::expert), Unit::number, "dispatch and combine, both passes")
      .let("ep", run.layout.ep, Unit::number, "expert-parallel ranks")
      .let("sent", bytes_of(layer, cost::Group::expert), Unit::bytes, "a micro-batch's tokens, once for each of top_k experts, 16 bits")
      .is("micro_batches · layers · sparse · exchanges · (ep − 1) ÷ ep · sent");
}

void derive_pipeline(const OnCluster& given, Derivation& out) {
  const cost::RunShape& run = given.run();
  const program::Layout& layout = run.layout;
  int neighbours = 0;
  for (int rank = 0; rank < layout.pp && layout.pp > 1; ++rank) {
    int count = 0;
    for (int stage = rank; stage < layout.virtual_stages(); stage += layout.pp)
      count += (stage > 0) + (stage + 1 < layout.virtual_stages());
    neighbours = std::max(neighbours, count);
  }
  const bool split = cost::framework(run.framework).splits_messages || layout.sequence_parallel;
  out.let("micro_batches", run.micro_batches(), Unit::number, "of a step")
      .let("sends", neighbours, Unit::number, "to the stages before and after, over all chunks of a rank")
      .let("tokens", cost::tokens(run), Unit::tokens, "of a micro-batch on one context-parallel rank")
      .let("width", static_cast<double>(run.model.width), Unit::number, "hidden size")
      .let("split", split ? layout.tp : 1, Unit::number, "tensor-parallel ranks that send a part each")
      .is("micro_batches · sends · 2 · tokens · width ÷ split");
}

/// The formula of one group, its symbols behind `prefix`.
std::string let_group(const cost::RunShape& run, const cost::DataGroup& group, const std::string& prefix, Derivation& out) {
  const auto with = [&](std::string_view formula) { return fmt::format(fmt::runtime(formula), prefix); };
  out.let(prefix + "parameters", group.parameters, Unit::parameters,
          prefix.empty() ? "of the pipeline rank that sends most, on one tensor-parallel rank" : "of the experts on that rank");
  if (run.layout.zero == 0) {
    out.let(prefix + "ranks", group.ranks, Unit::number, prefix.empty() ? "dp·cp" : "dp·cp·tp ÷ ep, of the same experts");
    return with("2 · ({0}ranks − 1) ÷ {0}ranks · gradient · {0}parameters");
  }
  out.let(prefix + "shards", group.shards, Unit::number, "ranks that share one copy of the states")
      .let(prefix + "copies", group.copies(), Unit::number, "of them (HSDP), which add up their pieces");
  return with(
      "often · ({0}shards − 1) ÷ {0}shards · (gathers · 2 + gradient) · {0}parameters + 2 · ({0}copies − 1) ÷ {0}copies · gradient · "
      "{0}parameters ÷ {0}shards");
}

void derive_data(const OnCluster& given, Derivation& out) {
  const cost::RunShape& run = given.run();
  const program::Layout& layout = run.layout;
  const std::vector<cost::HeldParameters> held = cost::held_by_ranks(run, cost::StageParameters(run), cost::split_stages(run));
  const auto most = std::max_element(held.begin(), held.end(), [&](const cost::HeldParameters& a, const cost::HeldParameters& b) {
    return data_bytes(run, a) < cost::data_bytes(run, b);
  });
  out.let("gradient", run.fp32_gradients ? 4 : 2, Unit::bytes_per_parameter, "of a gradient");
  if (layout.zero == 0) {
    out.note("a ring all-reduce: reduce-scatter and all-gather, each (N − 1)/N of the gradients (accounting C5)");
  } else {
    const bool by_layer = cost::shards_by_layer(run);
    out.let("gathers", by_layer && layout.zero == 3 ? 2 : 1, Unit::number,
            "of the 16-bit weights; sharded ones once more for the backward pass")
        .let("often", by_layer && layout.pp == 1 ? run.micro_batches() : 1, Unit::number, "a step; layer by layer, for each micro-batch");
  }
  const auto [dense, experts] = cost::data_groups(run, *most);
  const std::string formula = let_group(run, dense, "", out);
  out.is(experts.parameters > 0 ? formula + " + " + let_group(run, experts, "expert_", out) : formula);
}

}  // namespace

std::vector<ForecastLine> traffic_lines() {
  using enum LeverKind;
  const auto line = [](const std::string& name, const std::string& title, const std::string& source, double cost::StepTraffic::*member,
                       void (*derive)(const OnCluster&, Derivation&), std::vector<LeverKind> levers) {
    return ForecastLine{"traffic." + name,
                        title + ", bytes that one rank sends in a step",
                        Unit::bytes,
                        "",
                        source,
                        [member](const OnCluster& g) { return step_traffic(g.run()).*member; },
                        derive,
                        std::move(levers),
                        ""};
  };
  return {
      line("tensor_parallel", "tensor parallelism", "Shoeybi et al. 2019 §3; Korthikanti et al. 2022 §4; accounting C9",
           &cost::StepTraffic::tensor, derive_tensor, {tensor, sequence_parallel, pipeline}),
      line("context_parallel", "context parallelism", "Liu et al. 2023 (ring attention); accounting C9", &cost::StepTraffic::context,
           derive_context, {tensor, pipeline}),
      line("expert_parallel", "expert parallelism", "Lepikhin et al. 2021 (GShard); accounting C9", &cost::StepTraffic::expert,
           derive_expert, {pipeline}),
      line("pipeline", "messages between stages", "Narayanan et al. 2021 §4.1; accounting C9", &cost::StepTraffic::pipeline,
           derive_pipeline, {tensor, schedule, sequence_parallel}),
      line("data_parallel", "gradients and parameters among data-parallel ranks", "Rajbhandari et al. 2020 §7; accounting C4, C5, C9",
           &cost::StepTraffic::data, derive_data, {zero, tensor, pipeline, micro_batch}),
  };
}

}  // namespace longhaul::plan
