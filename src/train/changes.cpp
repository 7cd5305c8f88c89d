#include "train/changes.h"

#include <fmt/format.h>

#include <optional>

#include "config/options.h"
#include "train/schedule.h"
#include "units/error.h"
#include "units/format.h"

namespace longhaul::train {
namespace {

constexpr std::string_view kSteps = "run.steps";

/// Whether the run would have come to its present step in the same way had it had this length from the start.
bool same_so_far(const config::RunConfig& config, std::int64_t other_steps, std::int64_t step) {
  if (step > config.run.steps) return false;
  const Schedule now = schedule_of(config);
  Schedule before = now;
  before.total_steps = other_steps;
  for (std::int64_t s = 0; s < step; ++s)
    if (learning_rate(before, s) != learning_rate(now, s)) return false;
  return true;
}

/// What keeps a difference from being a change of the same run; nothing where it may be one.
std::optional<std::string> obstacle(const checkpoint::Difference& difference, const config::RunConfig& config, std::int64_t step) {
  if (difference.key == kSteps) {
    const std::optional<std::int64_t> before = parse_count(difference.theirs);
    if (before && same_so_far(config, *before, step)) return std::nullopt;
    if (step > config.run.steps) return fmt::format("step {} is done already", step);
    return "steps that are done would have had another learning rate";
  }
  const config::Option* option = config::find_option(difference.key);
  if (option && option->effect == config::Effect::recorded) return std::nullopt;
  return "";
}

std::string or_not_set(const std::string& value) { return value.empty() ? "(not set)" : value; }

}  // namespace

std::vector<ledger::Change> changes_since(const checkpoint::RunIdentity& theirs, const checkpoint::RunIdentity& ours,
                                          const config::RunConfig& config, const checkpoint::Commit& commit) {
  std::vector<ledger::Change> changes;
  std::string refused;
  for (const checkpoint::Difference& d : checkpoint::differences(theirs.config_text, ours.config_text)) {
    if (const std::optional<std::string> why = obstacle(d, config, commit.step))
      refused += fmt::format("{}{}: checkpoint {}, run {}{}", refused.empty() ? "" : "; ", d.key, or_not_set(d.theirs), or_not_set(d.ours),
                             why->empty() ? "" : " (" + *why + ")");
    else
      changes.push_back({commit.step, d.key, d.theirs, d.ours, ours.config_hash});
  }
  if (refused.empty()) return changes;
  throw CheckpointError(fmt::format(
      "{}: belongs to another configuration. {}. Restore these values; or begin a run of its own from it, with another run.directory: "
      "`longhaul train NEW.toml --branch-from {}`",
      commit.directory.string(), refused, config.run.directory));
}

}  // namespace longhaul::train
