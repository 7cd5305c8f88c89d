// Memory of the fullest pipeline rank, line by line (cost/memory.h), and whether it fits.
#include <fmt/format.h>

#include "cost/stages.h"
#include "cost/work.h"
#include "plan/explain/lines.h"

namespace longhaul::plan {
namespace {

using program::Recompute;

/// The numbers that the memory model reads for the fullest rank.
class Rank {
 public:
  explicit Rank(const OnCluster& given, int rank)
      : given_(given), parameters_(given.run()), content_(cost::rank_content(given.run(), cost::split_stages(given.run()), rank)) {}
  explicit Rank(const OnCluster& given) : Rank(given, given.plan.memory.fullest) {}

  const cost::RunShape& run() const { return given_.run(); }
  const program::Layout& layout() const { return run().layout; }
  const cost::StageMemory& stage() const { return given_.plan.memory.stages[static_cast<std::size_t>(given_.plan.memory.fullest)]; }
  const cost::StageContent& content() const { return content_; }
  const cost::StageParameters& parameters() const { return parameters_; }
  cost::HeldParameters held() const { return parameters_.of(content_); }
  double read(const std::string& name) const { return given_.calibration("memory." + name, cost::parameter_key(run())); }

 private:
  const OnCluster& given_;
  cost::StageParameters parameters_;
  cost::StageContent content_;
};

/// Bytes a parameter, times what a tensor-parallel rank of the stage holds, divided from a ZeRO stage on.
void derive_states(const Rank& rank, Derivation& out, const std::string& per_parameter, int divided_from) {
  const auto [dense, experts] = cost::data_groups(rank.run(), rank.held());
  const bool divided = rank.layout().zero >= divided_from;
  out.let("parameters", dense.parameters, Unit::parameters,
          fmt::format("of {} layers{}{} on one of tp = {} ranks", rank.content().layers, rank.content().embedding ? ", embedding" : "",
                      rank.content().head ? ", head" : "", rank.layout().tp));
  std::string formula = fmt::format("{} · parameters", per_parameter);
  if (divided) {
    out.let("shards", dense.shards, Unit::number, fmt::format("ranks that share the states: zero = {}", rank.layout().zero));
    formula += " ÷ shards";
  }
  if (experts.parameters > 0) {
    out.let("expert_parameters", experts.parameters, Unit::parameters,
            fmt::format("routed experts on one of ep = {} ranks", rank.layout().ep));
    formula += fmt::format(" + {} · expert_parameters", per_parameter);
    if (divided) {
      out.let("expert_shards", experts.shards, Unit::number, "ranks that share an expert's states: shards · tp ÷ ep");
      formula += " ÷ expert_shards";
    }
  }
  out.is(formula);
}

void derive_weights(const OnCluster& given, Derivation& out) {
  const Rank rank(given);
  out.let("weight_bytes", rank.read("weights"), Unit::bytes_per_parameter, "weights that compute uses");
  derive_states(rank, out, "weight_bytes", 3);
}

void derive_gradients(const OnCluster& given, Derivation& out) {
  const Rank rank(given);
  const bool fp32 = rank.run().fp32_gradients;
  out.let("gradient_bytes", rank.read("gradients"), Unit::bytes_per_parameter, "gradients in 16 bits");
  if (fp32) out.let("fp32_bytes", rank.read("fp32_gradients"), Unit::bytes_per_parameter, "in addition, accumulated in fp32");
  derive_states(rank, out, fp32 ? "(gradient_bytes + fp32_bytes)" : "gradient_bytes", 2);
  out.note(
      "zero=2 and 3 divide gradients only where a micro-batch's pieces are sent to their owners at once; until its last micro-batch a "
      "rank that accumulates holds them whole (accounting B2)");
}

void derive_optimizer_states(const OnCluster& given, Derivation& out) {
  const Rank rank(given);
  const bool sharded = rank.layout().zero > 0;
  out.let("optimizer_bytes", rank.read("optimizer"), Unit::bytes_per_parameter, "fp32 master weights 4, two Adam moments 8");
  if (sharded) out.let("shard_copy", rank.read("shard_copy"), Unit::bytes_per_parameter, "copies that the framework makes of its shard");
  derive_states(rank, out, sharded ? "(optimizer_bytes + shard_copy)" : "optimizer_bytes", 1);
  out.note(
      "\"12 bytes a parameter for Adam\" leaves out weights and gradients: all states are 16 to 20 in practice, 12 only without master "
      "weights and with 16-bit gradients (accounting B1); say which is counted");
}

/// Defines `layer_bytes`: all that autograd keeps of a layer for one micro-batch.
void define_layer(const Rank& rank, Derivation& out) {
  const cost::LayerActivations kept = cost::kept_activations(rank.run());
  out.let("tokens", cost::tokens(rank.run()), Unit::tokens, "of a micro-batch on one context-parallel rank")
      .let("hidden_bytes", kept.hidden, Unit::bytes_per_token, "norm inputs, residuals, q, k, v, attention's output of one layer")
      .let("hidden_share", rank.read("hidden"), Unit::number, "of them the framework keeps (calibration memory.hidden)")
      .let("ffn_bytes", kept.ffn, Unit::bytes_per_token, "gate, up and their product")
      .let("ffn_share", rank.read("ffn"), Unit::number, "of them the framework keeps (calibration memory.ffn)")
      .let("score_bytes", kept.scores, Unit::bytes_per_token, "5·heads·s ÷ tp of scores; none with flash attention")
      .let("score_share", rank.read("scores"), Unit::number, "of them the framework keeps (calibration memory.scores)")
      .define("layer_bytes", "tokens · (hidden_share · hidden_bytes + ffn_share · ffn_bytes + score_share · score_bytes)", Unit::bytes,
              "one whole layer");
}

void derive_activations(const OnCluster& given, Derivation& out) {
  const Rank rank(given);
  const program::Layout& layout = rank.layout();
  if (rank.content().layers == 0) {
    out.is("0").note("the fullest rank holds no layers");
    return;
  }
  define_layer(rank, out);
  if (layout.recompute == Recompute::none) out.define("stored", "layer_bytes", Unit::bytes, "of a layer and micro-batch in flight");
  if (layout.recompute == Recompute::selective)
    out.let("kept", rank.read("selective"), Unit::number, "of the rest when attention runs again")
        .define("stored", "kept · (layer_bytes − tokens · score_share · score_bytes)", Unit::bytes, "of a layer and micro-batch in flight");
  if (layout.recompute == Recompute::layer)
    out.let("width", static_cast<double>(rank.run().model.width), Unit::number, "hidden size")
        .let("sp_ranks", layout.sequence_parallel ? layout.tp : 1, Unit::number, "ranks that share the sequence")
        .define("stored", "2 · tokens · width ÷ sp_ranks", Unit::bytes, "a layer's input in 16 bits");
  out.let("layers", rank.content().layers, Unit::number, "of this rank")
      .let("in_flight", rank.stage().in_flight, Unit::number, "micro-batches, in chunks, that it holds at once (memory.in_flight)")
      .let("chunks", layout.chunks, Unit::number, "of a rank");
  if (layout.recompute == Recompute::layer)
    out.let("again", rank.read("recomputed"), Unit::number, "layers that live whole while they run again")
        .is("layers · in_flight ÷ chunks · stored + again · layer_bytes");
  else
    out.is("layers · in_flight ÷ chunks · stored");
  const double shortcut = static_cast<double>(rank.run().micro_batch * rank.run().sequence_length) *
                          static_cast<double>(given.plan.parameters.total.value) / 1e9 * 0.5;
  out.note(fmt::format(
      "the circulating shortcut \"batch · seq · params · 0.5 GB\" would say {:.0f} GB here, {:.0f} times the figure: activations "
      "grow with the hidden size and the layers, not with the parameters (accounting D9)",
      shortcut, shortcut * 1e9 / rank.stage().activations));
  out.note(
      "√L checkpointed segments store about √L layers; that is the boundaries alone: a segment's own layers live too while it runs again "
      "(accounting B4)");
}

void derive_gathered(const OnCluster& given, Derivation& out) {
  const Rank rank(given);
  const program::Layout& layout = rank.layout();
  const cost::RunShape& run = rank.run();
  if (layout.tp == 1 || rank.content().layers == 0) {
    out.is("0").note("inputs are gathered by sequence parallelism or copied for tensor parallelism alone: tp = 1");
    return;
  }
  out.let("tokens", cost::tokens(run), Unit::tokens, "of a micro-batch on one context-parallel rank")
      .let("width", static_cast<double>(run.model.width), Unit::number, "hidden size")
      .let("gathered_bytes", rank.read("gathered"), Unit::number, "B per token, layer and hidden unit that stay gathered (calibration)")
      .let("exchange_bytes", rank.read("exchange"), Unit::number, "B per token and hidden unit of buffers for the exchange (calibration)")
      .let("layers", rank.content().layers, Unit::number, "of this rank")
      .let("in_flight", rank.stage().in_flight, Unit::number, "micro-batches, in chunks, that it holds at once")
      .let("chunks", layout.chunks, Unit::number, "of a rank")
      .define("live", "in_flight ÷ chunks", Unit::number, "micro-batches");
  if (given.plan.step.stalled)
    out.define("still", "0", Unit::number, "micro-batches whose gathered inputs are still allocated: none, the host waits");
  else if (layout.pp == 1 || run.devices <= run.devices_per_node)
    out.define("still", "live", Unit::number, "micro-batches whose gathered inputs are still allocated");
  else
    out.let("launch_ratio", std::max(given.plan.step.layer.launch_ratio(), 1e-9), Unit::number, "a layer's device time ÷ its launches")
        .let("pace", rank.read("pace_ratio"), Unit::number, "ratio at which the host runs ahead half the time")
        .let("sharpness", rank.read("pace_sharpness"), Unit::number, "of that change")
        .define("ahead", "1 ÷ (1 + (pace ÷ launch_ratio)^sharpness)", Unit::share, "how far the host runs ahead")
        .define("still", "ahead · live + (1 − ahead) · max(live − 2, 0)", Unit::number,
                "micro-batches whose gathered inputs are still allocated");
  out.is("tokens · width · (gathered_bytes · layers · still + exchange_bytes)");
}

void derive_logits(const OnCluster& given, Derivation& out) {
  const Rank rank(given);
  if (!rank.content().head && !rank.content().loss) {
    out.is("0").note("the fullest rank has neither head nor loss; the last rank's logits are in memory.stages of --json");
    return;
  }
  out.let("logit_bytes", rank.read("logits"), Unit::number, "B for each logit: fp32 values, their cast and gradient (calibration)")
      .let("tokens", cost::tokens(rank.run()), Unit::tokens, "of a micro-batch on one context-parallel rank")
      .let("vocab", static_cast<double>(rank.run().model.vocab), Unit::number, "entries of the vocabulary")
      .let("tp", rank.layout().tp, Unit::number, "ranks that share the vocabulary")
      .is("logit_bytes · tokens · vocab ÷ tp")
      .note("the largest surprise of small models: the vocabulary does not shrink with them (accounting B5)");
}

void derive_workspace(const OnCluster& given, Derivation& out) {
  const Rank rank(given);
  std::string formula;
  if (rank.content().layers > 0) {
    out.let("layer_parameters", rank.parameters().layer().total(), Unit::parameters, "of one layer on this rank")
        .let("layer_copy", rank.read("layer_copy"), Unit::bytes_per_parameter, "buffers of the size of the layer in work (calibration)");
    formula = "layer_copy · layer_parameters";
  }
  if (rank.layout().zero == 3 && rank.layout().pp > 1) {
    out.let("stage_copy", rank.read("stage_copy"), Unit::bytes_per_parameter, "gathered once for all micro-batches of a step (calibration)")
        .let("stage_parameters", rank.held().total(), Unit::parameters, "of this rank, were nothing sharded");
    formula += formula.empty() ? "stage_copy · stage_parameters" : " + stage_copy · stage_parameters";
  } else if (rank.layout().zero == 3) {
    const double ends =
        (rank.content().embedding ? rank.parameters().embedding() : 0) + (rank.content().head ? rank.parameters().head() : 0);
    out.let("gathered_layer", rank.read("gathered_layer"), Unit::bytes_per_parameter, "weights and gradients of layers gathered for work")
        .let("gathered_ends", rank.read("gathered_ends"), Unit::bytes_per_parameter, "of the outermost module, gathered for the whole pass")
        .let("ends", ends, Unit::parameters, "embedding and head");
    formula += " + gathered_layer · layer_parameters + gathered_ends · ends";
  }
  out.is(formula.empty() ? "0" : formula);
}

void derive_fragmentation(const OnCluster& given, Derivation& out) {
  const Rank rank(given);
  const cost::StageMemory& m = rank.stage();
  out.let("share", rank.read("fragmentation"), Unit::share, "that the allocator keeps beside its blocks (calibration)")
      .let("activations", m.activations, Unit::bytes, "memory.activations")
      .let("gathered", m.gathered, Unit::bytes, "memory.gathered")
      .let("logits", m.logits, Unit::bytes, "memory.logits")
      .is("share · (activations + gathered + logits)");
}

void derive_framework(const OnCluster& given, Derivation& out) {
  out.let("gibibytes", Rank(given).read("framework"), Unit::number, "GiB of context, kernels, communication buffers (calibration)")
      .is("gibibytes · 2^30");
}

constexpr const char* kSumOfLines =
    "weights + gradients + optimizer + activations + gathered + logits + workspace + framework + fragmentation";

void let_lines(const cost::StageMemory& m, Derivation& out) {
  for (const auto& [name, line] : cost::kMemoryParts) out.let(std::string(name), m.*line, Unit::bytes, fmt::format("memory.{}", name));
}

void derive_peak(const OnCluster& given, Derivation& out) {
  let_lines(Rank(given).stage(), out);
  out.is(kSumOfLines)
      .note(
          "the peak of one moment on one rank, not a sum of maxima: lines of other ranks or other moments do not add to it (accounting "
          "B8)");
}

/// The verdict counts what must be there at once: nothing that the host runs ahead with, nothing that the allocator can give back.
void derive_needed(const OnCluster& given, Derivation& out) {
  const cost::MemoryEstimate memory = cost::estimate_memory(given.run(), given.calibration, cost::Pace{.launch_ratio = 0, .stalled = true});
  const cost::StageMemory* most = &memory.stages.front();
  for (const cost::StageMemory& stage : memory.stages)
    if (stage.needed() > most->needed()) most = &stage;
  let_lines(*most, out);
  out.is(std::string(kSumOfLines) + " − fragmentation")
      .note(fmt::format("{}: it must be below memory.available; {}", given.plan.fit->fits ? "it fits" : "it does NOT fit",
                        given.plan.fit->reason));
}

void derive_available(const OnCluster& given, Derivation& out) {
  out.let("usable", given.calibration("fit.usable_share", cost::parameter_key(given.run())), Unit::share,
          "of a device, before it fails (calibration)")
      .let("device_memory", static_cast<double>(given.plan.cluster.accelerator.memory->value), Unit::bytes,
           fmt::format("{}, as its maker states it", given.plan.cluster.accelerator.name))
      .is("usable · device_memory");
}

void derive_in_flight(const OnCluster& given, Derivation& out) {
  const program::Layout& layout = given.run().layout;
  const int rank = given.plan.memory.fullest;
  out.let("rank", rank, Unit::number, "the fullest, counted from 0")
      .let("pp", layout.pp, Unit::number, "pipeline ranks")
      .let("micro_batches", given.run().micro_batches(), Unit::number, "of a step");
  if (layout.schedule == program::ScheduleKind::one_f_one_b)
    out.is("min(micro_batches, pp − rank)");
  else if (layout.schedule == program::ScheduleKind::gpipe)
    out.is("micro_batches");
  else
    out.let("played", given.plan.memory.stages[static_cast<std::size_t>(rank)].in_flight, Unit::number,
            fmt::format("largest number of chunks alive when the {} schedule is played", program::name(layout.schedule)))
        .is("played");
  out.note("interleaving keeps 1 + (pp − 1)/(pp·virtual) times as much as 1F1B on the first rank (Korthikanti et al. 2022)");
}

}  // namespace

std::vector<ForecastLine> memory_lines(const Forecast& forecast) {
  using enum LeverKind;
  const std::string stage = fmt::format("/memory/stages/{}", forecast.memory.fullest);
  const auto of_stage = [](double cost::StageMemory::*member) {
    return [member](const OnCluster& g) { return g.plan.memory.stages[static_cast<std::size_t>(g.plan.memory.fullest)].*member; };
  };
  const auto line = [&](const std::string& name, const std::string& title, const std::string& source, double cost::StageMemory::*member,
                        void (*derive)(const OnCluster&, Derivation&), std::vector<LeverKind> levers) {
    return ForecastLine{"memory." + name,
                        title + ", on a rank of the fullest stage",
                        Unit::bytes,
                        fmt::format("{}/lines/{}_bytes", stage, name),
                        source,
                        of_stage(member),
                        derive,
                        std::move(levers),
                        ""};
  };
  const std::string no_memory = "the catalogue has no memory of this device";
  const auto fit = [](double cost::FitVerdict::*member) {
    return [member](const OnCluster& g) { return g.plan.fit ? std::optional(*g.plan.fit.*member) : std::nullopt; };
  };
  return {
      line("weights", "weights", "Rajbhandari et al. 2020 §3.1, §5; accounting B1, B2", &cost::StageMemory::weights, derive_weights,
           {zero, tensor, pipeline}),
      line("gradients", "gradients", "Rajbhandari et al. 2020 §3.1, §5; accounting B1, B2", &cost::StageMemory::gradients, derive_gradients,
           {zero, tensor, pipeline, devices}),
      line("optimizer", "fp32 master weights and Adam's moments", "Rajbhandari et al. 2020 §3.1, §5; accounting B1, B2",
           &cost::StageMemory::optimizer, derive_optimizer_states, {zero, tensor, pipeline, devices}),
      line("activations", "activations kept for the backward pass", "Korthikanti et al. 2022 §4, eq. 2; accounting B3, B6",
           &cost::StageMemory::activations, derive_activations,
           {recompute, sequence_parallel, tensor, pipeline, schedule, micro_batch, sequence_length}),
      line("gathered", "gathered inputs and exchange buffers of tensor parallelism", "Korthikanti et al. 2022 §4.2.2; accounting B7",
           &cost::StageMemory::gathered, derive_gathered, {tensor, pipeline, micro_batch}),
      line("logits", "logits, their cast and their gradient", "accounting B5", &cost::StageMemory::logits, derive_logits,
           {tensor, micro_batch, sequence_length}),
      line("workspace", "copies and gathered weights of the layer in work", "Zhao et al. 2023 (FSDP) §3; accounting B7",
           &cost::StageMemory::workspace, derive_workspace, {zero, tensor}),
      line("framework", "what the runtime takes", "accounting B7", &cost::StageMemory::framework, derive_framework, {}),
      line("fragmentation", "what the allocator holds beside its blocks", "accounting B7", &cost::StageMemory::fragmentation,
           derive_fragmentation, {recompute, micro_batch}),
      {"memory.in_flight",
       "micro-batches (in chunks) whose activations the fullest rank holds at once",
       Unit::number,
       stage + "/in_flight",
       "Narayanan et al. 2021 §2.2; accounting B6",
       [](const OnCluster& g) {
         return static_cast<double>(g.plan.memory.stages[static_cast<std::size_t>(g.plan.memory.fullest)].in_flight);
       },
       derive_in_flight,
       {pipeline, schedule},
       ""},
      {"memory.peak",
       "peak memory of the fullest rank",
       Unit::bytes,
       "/memory/peak_bytes_per_rank",
       "accounting B8",
       [](const OnCluster& g) { return g.plan.memory.peak(); },
       derive_peak,
       {zero, recompute, tensor, pipeline, sequence_parallel, micro_batch, devices},
       ""},
      {"memory.fit",
       "what the fullest rank must hold at once",
       Unit::bytes,
       "/memory/fit/needed_bytes",
       "accounting B8",
       fit(&cost::FitVerdict::needed),
       derive_needed,
       {zero, recompute, tensor, pipeline, sequence_parallel, micro_batch, devices},
       no_memory},
      {"memory.available",
       "what a device can hold",
       Unit::bytes,
       "/memory/fit/available_bytes",
       "the catalogue's accelerator; accounting B8",
       fit(&cost::FitVerdict::available),
       derive_available,
       {},
       no_memory},
  };
}

}  // namespace longhaul::plan
