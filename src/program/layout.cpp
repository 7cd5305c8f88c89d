#include "program/layout.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <iterator>
#include <numeric>
#include <optional>

#include "config/derive.h"
#include "config/options.h"
#include "units/error.h"
#include "units/format.h"
#include "units/nearest.h"

namespace longhaul::program {
namespace {

constexpr std::array<std::string_view, 13> kGroups{"pipeline",       "tensor",    "heads",  "context",     "data",
                                                   "shard",          "replica",   "expert", "expert_data", "expert_shard",
                                                   "expert_replica", "embedding", "world"};
std::vector<std::string_view> split(std::string_view text, char at) {
  std::vector<std::string_view> parts;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(at, begin), text.size());
    parts.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

[[noreturn]] void fail(std::string_view text, const std::string& what) { throw UsageError(fmt::format("layout '{}': {}", text, what)); }

/// The rows of the option table that a layout is made of.
const std::vector<const config::Option*>& layout_options() {
  static const std::vector<const config::Option*> kOptions = [] {
    std::vector<const config::Option*> out;
    for (const config::Option& option : config::options())
      if (option.table == "parallel" && option.effect == config::Effect::none) out.push_back(&option);
    return out;
  }();
  return kOptions;
}

const config::Option& option_of(std::string_view layout, std::string_view key) {
  for (const config::Option* option : layout_options())
    if (option->key == key) return *option;
  const auto keys = layout_keys();
  fail(layout, fmt::format("key = '{}' is unknown; allowed: {}; nearest: {}", key, fmt::join(keys, ", "), nearest(key, keys)));
}

/// Sets one key=value of the text `layout`.
void set(config::RunConfig& run, std::string_view layout, std::string_view key, std::string_view value) {
  const config::Option& option = option_of(layout, key);
  config::Value read = std::string(value);
  if (option.kind == config::Kind::integer) {
    const bool all = key == "shard" && value == "all";
    if (const auto number = all ? 0 : parse_count(value)) read = *number;
  }
  if (const auto problem = config::set(option, run, read)) fail(layout, fmt::format("{} = '{}' {}", key, value, *problem));
}

std::string value_of(const config::Option& option, const config::RunConfig& run) {
  return option.key == "shard" && run.parallel.shard == 0 ? "all" : config::plain_text(option, run);
}

/// The inverse of layout_of(): the same layout as a run file has it.
config::RunConfig run_of(const Layout& l) {
  config::RunConfig run;
  config::ParallelTable& p = run.parallel;
  p.dp = l.dp, p.tp = l.tp, p.pp = l.pp, p.cp = l.cp, p.ep = l.ep;
  p.zero = l.zero, p.shard = l.shard_ranks, p.chunks = l.chunks, p.sequence_parallel = l.sequence_parallel ? 1 : 0;
  p.recompute = l.recompute, p.schedule = l.schedule;
  p.stages.assign(l.stage_layers.begin(), l.stage_layers.end());
  return run;
}

/// "tp = 3 does not divide heads = 32; 2 and 4 do": the divisors nearest on either side; of a part above the whole, the whole.
std::string not_dividing(std::string_view field, std::int64_t part, std::string_view of, std::int64_t whole) {
  std::int64_t below = 1, above = whole;
  for (std::int64_t d = 1; d <= std::min(whole, config::kMostRanks); ++d)
    if (whole % d == 0) {
      if (d < part) below = d;
      if (d > part) {
        above = d;
        break;
      }
    }
  const std::string which = part > whole ? fmt::format("{} does", whole) : fmt::format("{} and {} do", below, above);
  return fmt::format("{} = {} does not divide {} = {}; {}", field, part, of, whole, which);
}

}  // namespace

std::string_view name(Group group) { return kGroups[static_cast<std::size_t>(group)]; }

int ranks_of(Group group, const Layout& l, std::int64_t kv_heads) {
  const int data = l.dp * l.cp, expert_data = l.ep > 1 ? data * l.tp / l.ep : data;
  // Of a divided expert's copies, those inside one group of shards, so that its pieces stay as near as the others.
  const int inside = l.shards() * l.tp % l.ep == 0 ? l.shards() * l.tp / l.ep : 1, expert_shards = l.ep > 1 ? inside : l.shards();
  switch (group) {
    case Group::pipeline:
      return l.pp;
    case Group::tensor:
      return l.tp;
    case Group::heads:
      return static_cast<int>(l.tp / key_value_parts(l, kv_heads));
    case Group::context:
      return l.cp;
    case Group::data:
      return data;
    case Group::shard:
      return l.shards();
    case Group::replica:
      return data / l.shards();
    case Group::expert:
      return l.ep;
    case Group::expert_data:
      return expert_data;
    case Group::expert_shard:
      return expert_shards;
    case Group::expert_replica:
      return expert_data / expert_shards;
    case Group::embedding:
      return 2;
    case Group::world:
      return l.world();
  }
  return 1;
}

std::int64_t key_value_parts(const Layout& layout, std::int64_t kv_heads) { return std::clamp<std::int64_t>(kv_heads, 1, layout.tp); }

Layout layout_of(const config::ParallelTable& p) {
  const auto narrow = [](std::int64_t size) { return static_cast<int>(size); };  // the option table allows kMostRanks at most
  Layout l;
  l.dp = narrow(p.dp), l.tp = narrow(p.tp), l.pp = narrow(p.pp), l.cp = narrow(p.cp), l.ep = narrow(p.ep);
  l.zero = narrow(p.zero), l.shard_ranks = narrow(p.shard), l.chunks = narrow(p.chunks), l.sequence_parallel = p.sequence_parallel == 1;
  l.recompute = p.recompute, l.schedule = p.schedule;
  std::transform(p.stages.begin(), p.stages.end(), std::back_inserter(l.stage_layers), narrow);
  return l;
}

std::string to_text(const Layout& l) {
  static const config::RunConfig kOneRank = run_of(Layout{});
  const config::RunConfig run = run_of(l);
  std::string out = fmt::format("dp={},tp={},pp={}", l.dp, l.tp, l.pp);
  for (const config::Option* option : std::span(layout_options()).subspan(3)) {
    // Several chunks imply the interleaved schedule (parse_layout): then every schedule is said.
    const bool implied = option->key == "schedule" && l.chunks > 1;
    if (const std::string value = value_of(*option, run); implied || value != value_of(*option, kOneRank))
      out += fmt::format(",{}={}", option->key, value);
  }
  return out;
}

std::span<const std::string_view> layout_keys() {
  static const std::vector<std::string_view> kKeys = [] {
    std::vector<std::string_view> out;
    for (const config::Option* option : layout_options()) out.push_back(option->key);
    return out;
  }();
  return kKeys;
}

std::string layout_value(const Layout& layout, std::string_view key) { return value_of(option_of(key, key), run_of(layout)); }
void set_layout_value(Layout& layout, std::string_view key, std::string_view value) {
  config::RunConfig run = run_of(layout);
  set(run, fmt::format("{}={}", key, value), key, value);
  layout = layout_of(run.parallel);
}

Layout parse_layout(std::string_view text) {
  config::RunConfig run;
  std::vector<std::string_view> seen;
  for (const std::string_view part : split(text, ',')) {
    const std::size_t equals = part.find('=');
    if (equals == std::string_view::npos || equals == 0)
      fail(text, fmt::format("'{}' is not key=value; write for example dp=8,tp=4,pp=2,zero=1", part));
    const std::string_view key = part.substr(0, equals);
    if (std::find(seen.begin(), seen.end(), key) != seen.end()) fail(text, fmt::format("{} is given twice", key));
    seen.push_back(key);
    set(run, text, key, part.substr(equals + 1));
  }
  if (std::find(seen.begin(), seen.end(), "schedule") == seen.end())
    run.parallel.schedule = config::default_pipeline_schedule(run.parallel.chunks);
  if (const auto reason = config::too_many_ranks(run.parallel)) fail(text, *reason);
  return layout_of(run.parallel);
}

std::vector<int> even_stages(int layers, int stages) {
  std::vector<int> out(static_cast<std::size_t>(stages), layers / stages);
  for (int i = 0; i < layers % stages; ++i) ++out[static_cast<std::size_t>(i)];
  return out;
}

std::vector<std::string> contradictions(const model::ModelSpec& spec, const Layout& l, std::int64_t sequence_length, int micro_batches) {
  std::vector<std::string> out;
  const auto divides = [&](std::string_view field, std::int64_t part, std::string_view of, std::int64_t whole) {
    if (whole % part != 0) out.push_back(not_dividing(field, part, of, whole));
  };
  if (spec.head_dim == 0 && !spec.has_latent_attention()) out.push_back(not_dividing("heads", spec.heads, "width", spec.width));
  divides("tp", l.tp, "heads", spec.heads);
  if (l.tp > spec.kv_heads && l.tp % spec.kv_heads != 0) out.push_back(not_dividing("tp", l.tp, "kv_heads", spec.kv_heads));
  if (l.tp <= spec.kv_heads) divides("tp", l.tp, "kv_heads", spec.kv_heads);
  divides("tp", l.tp, "ffn_width", spec.ffn_width);
  divides("cp", l.cp, "sequence_length", sequence_length);
  if (l.sequence_parallel) divides("tp·cp", static_cast<std::int64_t>(l.tp) * l.cp, "sequence_length (sp=1)", sequence_length);
  if (l.virtual_stages() > spec.layers && l.stage_layers.empty())
    out.push_back(
        fmt::format("pp·virtual = {} stages for {} layers leaves stages empty; use at most {}, or say with stages which are empty",
                    l.virtual_stages(), spec.layers, spec.layers));
  if (!l.stage_layers.empty()) {
    if (static_cast<int>(l.stage_layers.size()) != l.virtual_stages())
      out.push_back(
          fmt::format("stages lists {} numbers for pp·virtual = {} stages; give one for each", l.stage_layers.size(), l.virtual_stages()));
    const std::int64_t sum = std::accumulate(l.stage_layers.begin(), l.stage_layers.end(), std::int64_t{0});
    if (sum != spec.layers)
      out.push_back(fmt::format("stages add up to {} layers, the model has {}; {} {}", sum, spec.layers,
                                sum < spec.layers ? "add" : "take away", std::abs(spec.layers - sum)));
  }
  if (l.shard_ranks > 0) {
    if (l.zero == 0) out.push_back("shard is given but zero = 0 shards nothing; use zero=1, 2 or 3");
    divides("shard", l.shard_ranks, "dp·cp", static_cast<std::int64_t>(l.dp) * l.cp);
  }
  const bool interleaved = l.schedule == ScheduleKind::interleaved;
  if (l.chunks > 1 && !interleaved)
    out.push_back(fmt::format("virtual = {} needs schedule=interleaved, not {}", l.chunks, name(l.schedule)));
  if (interleaved && l.chunks < 2) out.push_back("schedule=interleaved needs virtual of at least 2");
  if (interleaved && micro_batches % l.pp != 0) divides("pp (interleaved)", l.pp, "micro-batches of a step", micro_batches);
  if (l.ep > 1) {
    if (spec.experts.count == 0)
      out.push_back(fmt::format("ep = {} but the model has no experts; use ep=1", l.ep));
    else
      divides("ep", l.ep, "experts", spec.experts.count);
    divides("ep", l.ep, "dp·cp·tp", static_cast<std::int64_t>(l.dp) * l.cp * l.tp);
    if (l.tp > 1 && !l.sequence_parallel) out.push_back("ep > 1 with tp > 1 sends every token to its experts tp times; use sp=1");
  }
  return out;
}

}  // namespace longhaul::program
