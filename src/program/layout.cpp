#include "program/layout.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <numeric>
#include <span>

#include "units/error.h"
#include "units/format.h"
#include "units/nearest.h"

namespace longhaul::program {
namespace {

constexpr std::array<std::string_view, 3> kRecomputes{"none", "selective", "layer"};
constexpr std::array<std::string_view, 5> kSchedules{"gpipe", "1f1b", "interleaved", "zb-h1", "zb-h2"};
constexpr std::array<std::string_view, 13> kGroups{"pipeline",       "tensor",    "heads",  "context",     "data",
                                                   "shard",          "replica",   "expert", "expert_data", "expert_shard",
                                                   "expert_replica", "embedding", "world"};
/// More devices than anyone has, few enough that no product of sizes overflows.
constexpr std::int64_t kLargest = 1 << 20;

[[noreturn]] void fail(std::string_view text, const std::string& what) { throw UsageError(fmt::format("layout '{}': {}", text, what)); }

int whole_number(std::string_view layout, std::string_view key, std::string_view value, std::int64_t least, std::int64_t most) {
  const auto number = parse_count(value);
  if (!number || *number < least || *number > most)
    fail(layout, fmt::format("{} = '{}' is not a whole number from {} to {}", key, value, least, most));
  return static_cast<int>(*number);
}

template <std::size_t N>
int choice(std::string_view layout, std::string_view key, std::string_view value, const std::array<std::string_view, N>& names) {
  const auto found = std::find(names.begin(), names.end(), value);
  if (found == names.end())
    fail(layout, fmt::format("{} = '{}' is unknown; allowed: {}; nearest: {}", key, value, fmt::join(names, ", "), nearest(value, names)));
  return static_cast<int>(found - names.begin());
}

std::vector<std::string_view> split(std::string_view text, char at) {
  std::vector<std::string_view> parts;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(at, begin), text.size());
    parts.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

/// One key=value of a layout's text.
struct Setting {
  std::string_view layout, key, value;
  int number(std::int64_t least, std::int64_t most) const { return whole_number(layout, key, value, least, most); }
  int size() const { return number(1, kLargest); }
};
struct Key {
  std::string_view name;
  void (*set)(Layout&, const Setting&);
  std::string (*get)(const Layout&);
};
constexpr std::array kKeys = {
    Key{"dp", [](Layout& l, const Setting& s) { l.dp = s.size(); }, [](const Layout& l) { return std::to_string(l.dp); }},
    Key{"tp", [](Layout& l, const Setting& s) { l.tp = s.size(); }, [](const Layout& l) { return std::to_string(l.tp); }},
    Key{"pp", [](Layout& l, const Setting& s) { l.pp = s.size(); }, [](const Layout& l) { return std::to_string(l.pp); }},
    Key{"cp", [](Layout& l, const Setting& s) { l.cp = s.size(); }, [](const Layout& l) { return std::to_string(l.cp); }},
    Key{"ep", [](Layout& l, const Setting& s) { l.ep = s.size(); }, [](const Layout& l) { return std::to_string(l.ep); }},
    Key{"zero", [](Layout& l, const Setting& s) { l.zero = s.number(0, 3); }, [](const Layout& l) { return std::to_string(l.zero); }},
    Key{"shard", [](Layout& l, const Setting& s) { l.shard_ranks = s.value == "all" ? 0 : s.size(); },
        [](const Layout& l) { return l.shard_ranks > 0 ? std::to_string(l.shard_ranks) : "all"; }},
    Key{"virtual", [](Layout& l, const Setting& s) { l.chunks = s.size(); }, [](const Layout& l) { return std::to_string(l.chunks); }},
    Key{"sp", [](Layout& l, const Setting& s) { l.sequence_parallel = s.number(0, 1) == 1; },
        [](const Layout& l) { return std::string(l.sequence_parallel ? "1" : "0"); }},
    Key{"recompute",
        [](Layout& l, const Setting& s) { l.recompute = static_cast<Recompute>(choice(s.layout, s.key, s.value, kRecomputes)); },
        [](const Layout& l) { return std::string(name(l.recompute)); }},
    Key{"schedule",
        [](Layout& l, const Setting& s) { l.schedule = static_cast<ScheduleKind>(choice(s.layout, s.key, s.value, kSchedules)); },
        [](const Layout& l) { return std::string(name(l.schedule)); }},
    Key{"stages",
        [](Layout& l, const Setting& s) {
          for (const std::string_view part : split(s.value, '+'))
            l.stage_layers.push_back(whole_number(s.layout, s.key, part, 0, kLargest));
        },
        [](const Layout& l) { return fmt::format("{}", fmt::join(l.stage_layers, "+")); }},
};
static_assert(kKeys.size() == kLayoutKeys.size());

const Key& find_key(std::string_view layout, std::string_view key) {
  return kKeys[static_cast<std::size_t>(choice(layout, "key", key, kLayoutKeys))];
}

/// "tp = 3 does not divide heads = 32; 2 and 4 do": the divisors nearest on either side; of a part above the whole, the whole.
std::string not_dividing(std::string_view field, std::int64_t part, std::string_view of, std::int64_t whole) {
  std::int64_t below = 1, above = whole;
  for (std::int64_t d = 1; d <= std::min(whole, kLargest); ++d)
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

std::string_view name(Recompute recompute) { return kRecomputes[static_cast<std::size_t>(recompute)]; }
std::string_view name(ScheduleKind kind) { return kSchedules[static_cast<std::size_t>(kind)]; }
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

std::string to_text(const Layout& l) {
  std::string out = fmt::format("dp={},tp={},pp={}", l.dp, l.tp, l.pp);
  for (const Key& key : std::span(kKeys).subspan(3)) {
    // Several chunks imply the interleaved schedule (parse_layout): then every schedule is said.
    const bool implied = key.name == "schedule" && l.chunks > 1;
    if (const std::string value = key.get(l); implied || value != key.get(Layout{})) out += fmt::format(",{}={}", key.name, value);
  }
  return out;
}

std::string layout_value(const Layout& layout, std::string_view key) { return find_key(key, key).get(layout); }
void set_layout_value(Layout& layout, std::string_view key, std::string_view value) {
  const std::string text = fmt::format("{}={}", key, value);
  find_key(text, key).set(layout, {text, key, value});
}

Layout parse_layout(std::string_view text) {
  Layout layout;
  std::vector<std::string_view> seen;
  for (const std::string_view part : split(text, ',')) {
    const std::size_t equals = part.find('=');
    if (equals == std::string_view::npos || equals == 0)
      fail(text, fmt::format("'{}' is not key=value; write for example dp=8,tp=4,pp=2,zero=1", part));
    const std::string_view key = part.substr(0, equals);
    if (std::find(seen.begin(), seen.end(), key) != seen.end()) fail(text, fmt::format("{} is given twice", key));
    seen.push_back(key);
    find_key(text, key).set(layout, {text, key, part.substr(equals + 1)});
  }
  if (layout.chunks > 1 && std::find(seen.begin(), seen.end(), "schedule") == seen.end()) layout.schedule = ScheduleKind::interleaved;
  if (static_cast<double>(layout.dp) * layout.tp * layout.pp * layout.cp > static_cast<double>(kLargest))
    fail(text, fmt::format("dp·tp·pp·cp is more than {} ranks", kLargest));
  if (static_cast<double>(layout.pp) * layout.chunks > static_cast<double>(kLargest))
    fail(text, fmt::format("pp·virtual is more than {} stages", kLargest));
  return layout;
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
  if (l.virtual_stages() > spec.layers)
    out.push_back(fmt::format("pp·virtual = {} stages for {} layers leaves stages empty; use at most {}", l.virtual_stages(), spec.layers,
                              spec.layers));
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
