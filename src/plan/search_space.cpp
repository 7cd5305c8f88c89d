#include "plan/search_space.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <set>

#include "cost/framework.h"
#include "cost/stages.h"
#include "units/error.h"
#include "units/format.h"

namespace longhaul::plan {
namespace {

using program::Layout;
using program::ScheduleKind;

constexpr std::string_view kMicroBatch = "micro_batch";
constexpr std::int64_t kLargestMicroBatch = 1 << 20;

void set(cost::RunShape& run, std::string_view key, std::string_view value) {
  if (key != kMicroBatch) return set_layout_value(run.layout, key, value);
  const auto number = parse_count(value);
  if (!number || *number < 1 || *number > kLargestMicroBatch)
    throw UsageError(fmt::format("micro_batch = '{}' is not a whole number from 1 to {}", value, kLargestMicroBatch));
  run.micro_batch = *number;
}

std::vector<std::string> texts(const std::vector<std::int64_t>& numbers) {
  std::vector<std::string> out;
  for (const std::int64_t number : numbers) out.push_back(std::to_string(number));
  return out;
}
std::vector<std::string> powers_of_two(std::int64_t most) {
  std::vector<std::int64_t> out;
  for (std::int64_t n = 1; n <= most; n *= 2) out.push_back(n);
  return texts(out);
}
std::vector<std::string> divisors(std::int64_t of, std::int64_t most) {
  std::vector<std::int64_t> out;
  for (std::int64_t n = 1; n <= std::min(of, most); ++n)
    if (of % n == 0) out.push_back(n);
  return texts(out);
}

/// Several texts are one layout: a schedule without stages, sequence parallelism without tensor parallelism, ZeRO over one rank.
void normalise(program::Layout& l) {
  const int data = l.dp * l.cp;
  if (l.pp == 1) l.schedule = ScheduleKind::one_f_one_b, l.chunks = 1;
  if (l.tp == 1) l.sequence_parallel = false;
  if (data == 1) l.zero = 0;
  if (l.zero == 0 || l.shard_ranks >= data) l.shard_ranks = 0;
}
/// Chunks and the interleaved schedule need each other, and chunks of unequal work are never better.
bool pointless(const cost::RunShape& run) {
  const Layout& l = run.layout;
  const bool chunked = l.chunks > 1;
  return chunked != (l.schedule == ScheduleKind::interleaved) ||
         (chunked && run.model.layers % l.virtual_stages() != 0 && !cost::ends_count_as_layers(run));
}

/// False when tp · pp · cp leave no whole number of data-parallel ranks; sets it otherwise.
bool fill_with_data_parallelism(cost::RunShape& run) {
  const std::int64_t others = std::int64_t{run.layout.tp} * run.layout.pp * run.layout.cp;
  if (others > run.devices || run.devices % others != 0) return false;
  run.layout.dp = static_cast<int>(run.devices / others);
  return true;
}

}  // namespace

Restriction parse_restriction(std::string_view text) {
  Restriction out;
  cost::RunShape probe;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    const std::string_view part = text.substr(begin, end - begin);
    const std::size_t equals = part.find('=');
    const std::string_view key = part.substr(0, equals);
    if (equals == std::string_view::npos || key == "dp" || key == "stages")
      throw UsageError(
          fmt::format("'{}' of '{}': write key=value+value, for example tp=4+8,zero=1; dp follows from the devices", part, text));
    std::vector<std::string>& values = out[std::string(key)];
    if (!values.empty()) throw UsageError(fmt::format("'{0}': {1} is given twice; its values go together: {1}=1+2", text, key));
    for (std::size_t at = equals + 1; at <= part.size();) {
      const std::size_t stop = std::min(part.find('+', at), part.size());
      const std::string value(part.substr(at, stop - at));
      set(probe, key, value);
      if (std::find(values.begin(), values.end(), value) == values.end()) values.push_back(value);
      at = stop + 1;
    }
    begin = end + 1;
  }
  return out;
}

Restriction search_space(const cost::RunShape& base, const Restriction& user) {
  const model::Experts& experts = base.model.experts;
  const std::string node = std::to_string(base.devices_per_node);
  Restriction out{{"tp", powers_of_two(std::min(base.devices_per_node, base.devices))},
                  {"pp", divisors(base.devices, base.model.layers)},
                  {"cp", {"1"}},
                  {"ep", powers_of_two(std::max<std::int64_t>(1, std::min<std::int64_t>(experts.count, base.devices)))},
                  {"zero", {"0", "1", "2", "3"}},
                  {"shard", base.devices > base.devices_per_node ? std::vector<std::string>{"all", node} : std::vector<std::string>{"all"}},
                  {"virtual", {"1", "2", "3", "4", "6", "8"}},
                  {"sp", {"0", "1"}},
                  {"recompute", {"none", "selective", "layer"}},
                  {"schedule", {"1f1b", "interleaved", "gpipe", "zb-h1", "zb-h2"}},
                  {std::string(kMicroBatch), {"1", "2", "4", "8"}}};
  for (const Restriction& narrower : {parse_restriction(cost::framework(base.framework).offers), user})
    for (const auto& [key, values] : narrower) out[key] = values;
  return out;
}

std::vector<cost::RunShape> enumerate(const cost::RunShape& base, const Restriction& space) {
  std::vector<cost::RunShape> runs{base};
  // Sizes first: most combinations of them leave no whole number of data-parallel ranks.
  std::vector<std::string_view> keys{"tp", "pp", "cp"};
  for (const auto& [key, values] : space)
    if (std::find(keys.begin(), keys.begin() + 3, key) == keys.begin() + 3) keys.emplace_back(key);
  for (std::size_t i = 0; i < keys.size(); ++i) {
    std::vector<cost::RunShape> more;
    for (const cost::RunShape& run : runs)
      for (const std::string& value : space.find(keys[i])->second) {
        more.push_back(run);
        set(more.back(), keys[i], value);
        if (i == 2 && !fill_with_data_parallelism(more.back())) more.pop_back();
      }
    runs = std::move(more);
  }
  std::set<std::string> seen;
  std::erase_if(runs, [&](cost::RunShape& run) {
    if (run.layout.pp > 1 && pointless(run)) return true;
    normalise(run.layout);
    return !seen.insert(fmt::format("{} {}", to_text(run.layout), run.micro_batch)).second;
  });
  return runs;
}

}  // namespace longhaul::plan
