// longhaul scale: what model and how many tokens a budget is best spent on, by published laws, one's own, and a cluster's modelled time.
#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "cluster_arguments.h"
#include "console.h"
#include "files/disk.h"
#include "plan/budget/scale.h"
#include "scaling/law_file.h"
#include "scaling/text.h"
#include "units/error.h"
#include "units/format.h"
#include "verbs.h"

namespace longhaul::app {
namespace {
constexpr double kLeastFlops = 1e9, kMostFlops = 1e32;

struct ScaleArguments {
  ClusterArguments on;
  std::string law, served, unique, tokens_per_step, vocab = "32000", out_model;
  double flops = 0, device_hours = 0, days = 0, dollars = 0, watts = 0, serving_price = 0, serving_mfu = 0;
  std::int64_t sequence_length = 4096;
  bool lifetime = false, tied = false, list = false, json = false;
};

/// Every law with what it rests on.
void print_laws(bool json) {
  nlohmann::json all = nlohmann::json::array();
  for (const scaling::Law& law : scaling::published_laws()) {
    if (json) {
      all.push_back({{"law", law.id},
                     {"title", law.title},
                     {"source", law.source},
                     {"trust", scaling::name(law.trust)},
                     {"parameters_count_embeddings", law.embeddings},
                     {"form", scaling::name(law.form)},
                     {"flops", scaling::range_json(law.flops)},
                     {"caveats", law.caveats}});
      continue;
    }
    fmt::print("{}\n  {}\n  source: {} ({}); N counts {}\n", law.id, law.title, law.source, scaling::name(law.trust),
               law.embeddings ? "embeddings" : "no embeddings");
    const std::vector<std::string> names = scaling::coefficient_names(law.form);
    for (std::size_t i = 0; i < names.size(); ++i) {
      const auto error = law.standard_errors.find(names[i]);
      fmt::print("{}{} = {:.6g}{}", i == 0 ? "  " : ", ", names[i], law.coefficients[i],
                 error == law.standard_errors.end() ? "" : fmt::format(" ± {:.4g}", error->second));
    }
    if (!names.empty()) fmt::print("\n");
    if (law.flops) fmt::print("  runs of {:.3g} to {:.3g} FLOP\n", law.flops->low, law.flops->high);
    for (const std::string& caveat : law.caveats) fmt::print("  - {}\n", caveat);
  }
  if (json) print_json(nlohmann::json{{"laws", all}});
}

std::int64_t count_of(const char* option, const std::string& text, std::int64_t least, std::int64_t most) {
  const auto count = parse_count(text);
  if (!count || *count < least || *count > most)
    throw UsageError(fmt::format("{} '{}': write a whole number from {} to {}, like 32k or 4M", option, text, least, most));
  return *count;
}

/// Device-hours of whichever budget was given; nothing for FLOPs.
std::optional<double> device_hours(const ScaleArguments& a, const cluster::Cluster* on) {
  if ((a.flops > 0) + (a.device_hours > 0) + (a.days > 0) + (a.dollars > 0) != 1)
    throw UsageError("give one budget: --flops, or with --cluster --device-hours, --days, or --dollars with --price");
  if (a.flops > 0) return std::nullopt;
  if (!on) throw UsageError("--device-hours, --days and --dollars need --cluster: what an hour is worth is the cluster's modelled pace");
  if (a.device_hours > 0) return a.device_hours;
  if (a.days > 0) return a.days * 24 * on->devices;
  if (!(a.on.price > 0)) throw UsageError("--dollars needs --price, dollars a device-hour");
  return a.dollars / a.on.price;
}

scaling::Serving serving_of(const ScaleArguments& a) {
  scaling::Serving serving;
  serving.tokens = static_cast<double>(tokens_of("--served-tokens", a.served).value);
  if (a.serving_price > 0 && !(a.on.price > 0))
    throw UsageError("--serving-price needs --price: serving is weighed against what training costs");
  return serving;
}

/// Serving's weight in money: price ÷ utilisation of serving over that of training, which is the best shape's, modelled.
void weigh_serving(const ScaleArguments& a, plan::ScaleRequest& request) {
  if (a.serving_price <= 0 && a.serving_mfu <= 0) return;
  double training_mfu = 0;
  if (a.serving_mfu > 0) {
    if (!request.base) throw UsageError("--serving-mfu needs --cluster: it is weighed against the modelled utilisation of training");
    plan::ScaleRequest unserved = request;
    unserved.serving.reset();
    const plan::ScaleResult result = plan::scale(unserved);
    training_mfu = result.walked[*result.best].mfu;
  }
  request.serving->weight =
      (a.serving_price > 0 ? a.serving_price / a.on.price : 1) * (a.serving_mfu > 0 ? training_mfu / a.serving_mfu : 1);
}

/// @param tokens_per_step 0: the usual
cost::RunShape base_of(const ScaleArguments& a, const cluster::Cluster& on, double tokens_per_step) {
  config::RunConfig config;
  config.batch.sequence_length = a.sequence_length;
  config.batch.global_batch = tokens_per_step > 0
                                  ? std::max<std::int64_t>(1, std::llround(tokens_per_step / static_cast<double>(a.sequence_length)))
                                  : usual_batch(a.sequence_length, {on.devices});
  return a.on.shape(config, on);
}

void choose_laws(const ScaleArguments& a, plan::ScaleRequest& request) {
  request.laws = scaling::published_laws();
  request.surface = request.chosen = scaling::find_law("epoch-2024");
  if (a.law.empty()) return;
  request.chosen = scaling::find_law(a.law);
  if (request.chosen.surface()) request.surface = request.chosen;
  const auto same = [&](const scaling::Law& law) { return law.id == request.chosen.id; };
  if (std::none_of(request.laws.begin(), request.laws.end(), same)) request.laws.insert(request.laws.begin(), request.chosen);
}

void run(const ScaleArguments& a) {
  plan::ScaleRequest request;
  choose_laws(a, request);
  std::optional<cluster::Cluster> on;
  if (!a.on.cluster.empty()) on = cluster::find_cluster(a.on.cluster);
  request.device_hours = device_hours(a, on ? &*on : nullptr);
  if (a.flops > 0) request.flops = a.flops;
  request.family = {.vocab = count_of("--vocab", a.vocab, 1, 10'000'000), .sequence_length = a.sequence_length, .tied_embeddings = a.tied};
  if (!a.tokens_per_step.empty())
    request.tokens_per_step = static_cast<double>(count_of("--tokens-per-step", a.tokens_per_step, 1, 1'000'000'000'000));
  if (!a.unique.empty()) request.unique_tokens = tokens_of("--unique-tokens", a.unique);
  if (!a.served.empty()) request.serving = serving_of(a);
  request.lifetime = a.lifetime;
  if (a.on.price > 0) request.price = a.on.price;
  if (a.watts > 0) request.watts = a.watts;
  const train::Console console = make_console();
  request.progress = [&](const std::string& said) { console.live(said); };
  cost::Calibration calibration;
  if (on) {
    calibration = a.on.calibrate(*on);
    plan::check_framework(a.on.framework, calibration);
    if (!on->accelerator.memory)
      throw UsageError(fmt::format("the catalogue has no memory of {}: give a hardware file that does", on->accelerator.id));
    request.base = base_of(a, *on, request.tokens_per_step);
    request.tokens_per_step = static_cast<double>(request.base->tokens_per_step());
    request.calibration = &calibration, request.device_memory = static_cast<double>(on->accelerator.memory->value);
  }
  if (request.serving) weigh_serving(a, request);
  const plan::ScaleResult result = plan::scale(std::move(request));
  if (!a.out_model.empty()) {
    if (!result.suggestion.model) throw UsageError(fmt::format("--out-model: {}", result.warnings.front()));
    files::write_named_file(a.out_model, plan::model_toml(result));
  }
  if (a.json)
    print_json(to_json(result));
  else
    fmt::print("{}", to_text(result));
}

}  // namespace

int verb_scale(int argc, char** argv) {
  CommandLine line(
      "longhaul scale",
      "What model, on how many tokens, a budget is best spent on: by each published scaling law and one's own (`longhaul fit`), with\n"
      "uncertainty; on a cluster by the modelled time of shapes. FLOPs are 6·N·D. Seconds; on a cluster up to a minute.\n"
      "Example: longhaul scale --flops 1e21\n"
      "         longhaul scale --flops 1e23 --served-tokens 2T --out-model my.toml\n"
      "         longhaul scale --days 14 --cluster h100x64 --price 2.5\n"
      "         longhaul scale --flops 1e21 --law law.toml --unique-tokens 10B --json");
  ScaleArguments a;
  line.option("--flops", a.flops, "budget: FLOPs of training, 6·N·D, like 1e21").between(kLeastFlops, kMostFlops);
  line.option("--device-hours", a.device_hours, "budget: hours × devices of --cluster").between(1e-3, 1e12);
  line.option("--days", a.days, "budget: days of all devices of --cluster").between(1e-4, 1e5);
  line.option("--dollars", a.dollars, "budget: with --cluster and --price").between(1e-2, 1e15);
  const Option hardware = a.on.add_hardware_to(line);
  line.option("--law", a.law, "whose optimum is suggested: NAME of examples/laws or FILE.toml of `longhaul fit` (default: epoch-2024)")
      .not_empty();
  line.flag("--laws", a.list, "every published law with source, trust and caveats, instead of a budget");
  line.option("--served-tokens", a.served, "tokens the model will serve in its life, 2T: least cost of training and serving").not_empty();
  line.flag("--lifetime", a.lifetime, "with --served-tokens: the budget pays for serving too");
  line.option("--serving-price", a.serving_price, "with --served-tokens and --price: dollars a device-hour of serving").between(1e-6, 1e6);
  line.option("--serving-mfu", a.serving_mfu, "with --served-tokens and --cluster: utilisation of serving, 0…1 (default: training's)")
      .between(1e-4, 1);
  line.option("--watts", a.watts, "power of a device, for the energy; with --cluster").between(1, 1e5).needs(hardware);
  line.option("--unique-tokens", a.unique, "of the data, 100B; warns above 4 epochs").not_empty();
  line.option("--sequence-length", a.sequence_length, "tokens (default 4096)").between(16, 1 << 24);
  line.option("--tokens-per-step", a.tokens_per_step, "like 4M (default on a cluster: about 4,194,304, divided by the devices)")
      .not_empty();
  line.option("--vocab", a.vocab, "of the suggested shape (default 32000)");
  line.flag("--tied-embeddings", a.tied, "the suggested shape's head is its embedding");
  line.option("--out-model", a.out_model, "write the suggested shape, for --model of other verbs").not_empty();
  line.flag("--json", a.json, "one JSON document on stdout");
  if (const std::optional<int> code = line.parse(argc, argv)) return *code;
  if ((a.lifetime || a.serving_price > 0 || a.serving_mfu > 0) && a.served.empty())
    throw UsageError("--lifetime, --serving-price and --serving-mfu need --served-tokens");
  if (a.list)
    print_laws(a.json);
  else
    run(a);
  return 0;
}

}  // namespace longhaul::app
