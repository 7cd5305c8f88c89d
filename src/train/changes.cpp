#include "train/changes.h"

#include <fmt/format.h>

#include <optional>

#include "config/options.h"
#include "train/schedule.h"
#include "units/error.h"
#include "units/format.h"

namespace longhaul::train {
namespace {

constexpr std::string_view kSteps = "run.steps", kEndLoss = "data.end_of_text_loss";

/// Checkpoints made before the end of a document was a target have no such setting. Without isolation it has no say in that, and where ends
/// are left out the bits are those of then.
bool same_without_ends(const checkpoint::Difference& difference, const config::RunConfig& config) {
  return difference.key == kEndLoss && difference.theirs.empty() && (!config.data.isolate_documents || !config.data.end_of_text_loss);
}

/// How many steps from the start have the same learning rate in a run of this length and in one of another: `step`, where all so far do.
std::int64_t same_steps(const config::RunConfig& config, std::int64_t other_steps, std::int64_t step) {
  const Schedule now = schedule_of(config);
  Schedule before = now;
  before.total_steps = other_steps;
  for (std::int64_t s = 0; s < step; ++s)
    if (learning_rate(before, s) != learning_rate(now, s)) return s;
  return step;
}

/// What keeps the length from changing; nothing where it may.
std::optional<std::string> obstacle_to_length(const checkpoint::Difference& difference, const config::RunConfig& config,
                                              std::int64_t step) {
  const std::optional<std::int64_t> before = parse_count(difference.theirs);
  if (!before || difference.ours.empty()) return "";  // another kind of schedule
  if (step > config.run.steps) return fmt::format("step {} is done already", step);
  const std::int64_t same = same_steps(config, *before, step);
  if (same == step) return std::nullopt;
  return fmt::format("the learning rate differs after step {}; from a checkpoint up to there, --from-step goes on with the new length",
                     same);
}

/// What keeps a difference from being a change of the same run; nothing where it may be one.
std::optional<std::string> obstacle(const checkpoint::Difference& difference, const config::RunConfig& config, std::int64_t step) {
  if (difference.key == kSteps) return obstacle_to_length(difference, config, step);
  if (difference.key == kEndLoss && difference.theirs.empty())
    return "when it was made, no end of an isolated document was a target; data.end_of_text_loss = false goes on with the same bits";
  const config::Option* option = config::find_option(difference.key);
  if (option && option->effect == config::Effect::recorded) return std::nullopt;
  return "";
}

/// Whether a value follows from others, or the option counts in one of the two configurations alone: the cause is another difference.
bool is_consequence(const checkpoint::Difference& difference, const config::ResolvedConfig& resolved) {
  const auto origin = resolved.origins.find(difference.key);
  return difference.theirs.empty() || difference.ours.empty() ||
         (origin != resolved.origins.end() && origin->second.starts_with("computed"));
}

std::string or_not_set(const std::string& value) { return value.empty() ? "(not set)" : value; }

}  // namespace

std::vector<ledger::Change> changes_since(const checkpoint::RunIdentity& theirs, const checkpoint::RunIdentity& ours,
                                          const config::ResolvedConfig& resolved, const checkpoint::Commit& commit) {
  std::vector<ledger::Change> changes;
  std::vector<std::string> causes, consequences;
  for (const checkpoint::Difference& d : checkpoint::differences(theirs.config_text, ours.config_text)) {
    if (same_without_ends(d, resolved.config)) continue;
    if (const std::optional<std::string> why = obstacle(d, resolved.config, commit.step))
      (d.key != kEndLoss && is_consequence(d, resolved) ? consequences : causes)
          .push_back(fmt::format("{}: checkpoint {}, run {}{}", d.key, or_not_set(d.theirs), or_not_set(d.ours),
                                 why->empty() ? "" : " (" + *why + ")"));
    else
      changes.push_back({commit.step, d.key, d.theirs, d.ours, ours.config_hash});
  }
  if (causes.empty() && consequences.empty()) return changes;
  throw CheckpointError(fmt::format(
      "{}: belongs to another configuration. {}. Restore these values; or begin a run of its own from it, with another run.directory{}: "
      "`longhaul train NEW.toml --branch-from {}`",
      commit.directory.string(), fmt::join(causes.empty() ? consequences : causes, "; "),
      commit.step < resolved.config.run.steps ? "" : " and more run.steps", resolved.config.run.directory));
}

}  // namespace longhaul::train
