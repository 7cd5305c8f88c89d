#include "train/branch.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "config/resolve.h"
#include "files/disk.h"
#include "files/read.h"
#include "ledger/ledger.h"
#include "units/error.h"
#include "units/format.h"

namespace longhaul::train {

namespace fs = std::filesystem;

namespace {

constexpr const char* kIntent = "branch.json";

/// What the branch's beginning wrote down. @throws CheckpointError when it cannot be read
std::optional<BranchFrom> read_intent(const fs::path& run_directory) {
  const fs::path file = run_directory / kIntent;
  if (!fs::exists(file)) return std::nullopt;
  try {
    const nlohmann::json document = files::parse_json(files::read_file(file), file.string());
    BranchFrom intent{document.at("parent").get<std::string>(), document.at("step").get<std::int64_t>()};
    if (!document.at("step").is_number_integer() || *intent.step < 0) throw Error("step is no number of steps");
    intent.text = document.value("asked", "");
    intent.state_hash = document.value("state_hash", "");
    return intent;
  } catch (const std::exception& error) {
    throw CheckpointError(fmt::format("{}: cannot be read: {}; give the parent again with --branch-from", file.string(), error.what()));
  }
}

/// The same, where something else decides as well: nothing for a file that cannot be read.
std::optional<BranchFrom> readable_intent(const fs::path& run_directory) {
  try {
    return read_intent(run_directory);
  } catch (const CheckpointError&) {
    return std::nullopt;
  }
}

/// What was asked for; where it names no step, the step with which a beginning that was cut short had begun: the parent may train on.
BranchFrom with_step_of(const BranchFrom& asked, const std::optional<BranchFrom>& intent) {
  const bool same = intent && intent->parent == asked.parent && (!asked.step || asked.step == intent->step);
  return same ? *intent : asked;
}

void write_intent(const fs::path& run_directory, const BranchFrom& from, std::int64_t step, const std::string& state_hash) {
  const nlohmann::json document = {{"parent", from.parent.string()}, {"step", step}, {"asked", from.text}, {"state_hash", state_hash}};
  files::write_file_atomically(files::Disk(), run_directory / kIntent, document.dump(2) + "\n");
}

/// Of a branch that has begun: its record in the ledger.
std::optional<ledger::Branch> branch_record(const fs::path& run_directory) {
  return ledger::read_settings(run_directory / "ledger" / "metrics.jsonl").branch;
}

bool has_steps(const fs::path& run_directory) { return ledger::read_last_metric(run_directory / "ledger" / "metrics.jsonl").has_value(); }

bool is_of(const checkpoint::Difference& difference, std::string_view prefix) { return difference.key.starts_with(prefix); }

void require_same_weights(const std::vector<checkpoint::Difference>& differences, const checkpoint::Commit& commit) {
  std::string different;
  for (const checkpoint::Difference& d : differences)
    if (is_of(d, "model.") || is_of(d, "data.tokenizer"))
      different += fmt::format("\n  {}: parent {}, branch {}", d.key, d.theirs.empty() ? "(not set)" : d.theirs,
                               d.ours.empty() ? "(not set)" : d.ours);
  if (!different.empty())
    throw UsageError(fmt::format("{}: a branch keeps the model and the tokenizer of its parent; different are:{}",
                                 commit.directory.string(), different));
}

void require_steps(const config::RunConfig& config, const checkpoint::Commit& commit) {
  if (config.run.steps <= commit.step)
    throw UsageError(
        fmt::format("run.steps = {}: nothing is left to train after step {} of the parent, {}; raise run.steps, or begin at an "
                    "earlier step with --branch-from RUN@STEP",
                    config.run.steps, commit.step, commit.directory.string()));
}

/// Reads the tensors of the groups that the checkpoint has.
checkpoint::Loaded read_tensors(const checkpoint::Commit& commit, Engine& engine) {
  const bool has_average = fs::exists(commit.directory / (std::string(checkpoint::kAverage) + ".safetensors"));
  std::vector<checkpoint::TensorEntry> tensors;
  for (checkpoint::TensorEntry& entry : engine.registry())
    if (has_average || entry.group != checkpoint::kAverage) tensors.push_back(std::move(entry));
  checkpoint::Loaded loaded = checkpoint::read_commit(commit, tensors);
  if (!has_average && engine.average() != nullptr)
    std::copy(engine.weights(), engine.weights() + engine.table().padded_count(), engine.average());
  return loaded;
}

}  // namespace

BranchFrom parse_branch(const std::string& text) {
  BranchFrom from{text, std::nullopt};
  if (const std::size_t at = text.rfind('@'); at != std::string::npos && !fs::exists(text))
    if (const std::optional<std::int64_t> step = parse_count(text.substr(at + 1))) from = {text.substr(0, at), step};
  if (fs::is_regular_file(from.parent)) from.parent = config::resolve_file(from.parent.string()).config.run.directory;
  from.parent = fs::weakly_canonical(from.parent);
  from.text = text;
  return from;
}

std::optional<BranchFrom> branch_to_begin(const fs::path& run_directory, const std::optional<BranchFrom>& asked) {
  if (asked && asked->parent == fs::weakly_canonical(run_directory))
    throw UsageError(fmt::format("{}: a branch is a run of its own; set another run.directory, or go back in this one with --from-step",
                                 run_directory.string()));
  const bool saved = !checkpoint::list_commits(run_directory).empty() || checkpoint::has_quarantined(run_directory);
  const std::optional<ledger::Branch> record = branch_record(run_directory);
  if (saved || has_steps(run_directory)) {
    if (record && !saved)
      throw CheckpointError(
          fmt::format("{}: has steps of a branch and no checkpoint. Restore one from a copy; or, to begin again, set another run.directory",
                      run_directory.string()));
    if (!asked) return std::nullopt;
    const std::optional<BranchFrom> intent = readable_intent(run_directory);
    if (!record && !intent)
      throw UsageError(fmt::format("{}: holds a run that is no branch; set another run.directory", run_directory.string()));
    const std::string parent = record ? record->parent : intent->parent.string();
    const std::int64_t step = record ? record->step : *intent->step;
    const bool same_words = intent && !asked->text.empty() && intent->text == asked->text;
    if (!same_words && (parent != asked->parent || (asked->step && asked->step != step)))
      throw UsageError(fmt::format("{}: holds a branch from {}@{}; leave --branch-from out to go on with it, or set another run.directory",
                                   run_directory.string(), parent, step));
    return std::nullopt;
  }
  if (!asked) return read_intent(run_directory);
  if (!fs::is_directory(asked->parent))
    throw UsageError(fmt::format("--branch-from: {} is no run directory and no run file", asked->parent.string()));
  return with_step_of(*asked, readable_intent(run_directory));
}

std::optional<checkpoint::RunIdentity> predecessor(const fs::path& run_directory, const std::optional<BranchFrom>& asked) {
  BranchFrom from{run_directory, std::nullopt};
  if (checkpoint::list_commits(run_directory).empty()) {
    const std::optional<BranchFrom> intent = readable_intent(run_directory);
    if (!asked && !intent) return std::nullopt;
    from = asked ? with_step_of(*asked, intent) : *intent;
  }
  for (const checkpoint::Commit& commit : checkpoint::list_commits(from.parent)) {
    if (from.step && *from.step != commit.step) continue;
    try {
      return checkpoint::read_identity(commit);
    } catch (const CheckpointError&) {
      continue;  // for loading to say
    }
  }
  return std::nullopt;
}

Branched read_parent(const BranchFrom& from, const fs::path& run_directory, const checkpoint::RunIdentity& identity, Engine& engine) {
  std::vector<checkpoint::Difference> differences;
  const auto read = [&](const checkpoint::Commit& commit) {
    differences = checkpoint::differences(checkpoint::read_identity(commit).config_text, identity.config_text);
    require_same_weights(differences, commit);
    require_steps(engine.config(), commit);
    return read_tensors(commit, engine);
  };
  const checkpoint::Loaded loaded =
      from.step ? read(checkpoint::commit_of_step(from.parent, *from.step)) : checkpoint::read_newest(from.parent, read);
  const checkpoint::Commit& commit = loaded.commit;
  if (!from.state_hash.empty() && from.state_hash != loaded.state_hash)
    throw CheckpointError(fmt::format(
        "{}: is another state than the one that this branch had begun with (state hash {}…, recorded {}…): another run lies there now. "
        "Set another run.directory to begin with it",
        commit.directory.string(), loaded.state_hash.substr(0, 16), from.state_hash.substr(0, 16)));
  write_intent(run_directory, from, commit.step, loaded.state_hash);

  Branched branched;
  branched.messages = loaded.messages;
  branched.state = state_from_json(loaded.state);
  // As after the change of a guard: who begins with other settings means to go on after the updates that were skipped.
  if (!differences.empty()) branched.state.guards.skipped_in_a_row = 0;
  ledger::Branch& record = branched.record;
  const ledger::Cursor cursor = ledger::cursor_from_json(loaded.ledger);
  record.parent = from.parent.string();
  record.step = commit.step;
  record.tokens = loaded.tokens;
  record.state_hash = loaded.state_hash;
  record.config_hash = loaded.identity.config_hash;
  record.ledger_head = cursor.head;
  for (const checkpoint::Difference& d : differences)
    record.differences.push_back({commit.step, d.key, d.theirs, d.ours, identity.config_hash});
  record.data_restarts = std::any_of(differences.begin(), differences.end(), [](const checkpoint::Difference& d) {
    return d.key == "data.content" || d.key == "run.seed" || d.key == "batch.sequence_length";
  });
  if (record.data_restarts) branched.state.sample = 0;
  if (const std::optional<std::string> records = ledger::records_up_to(from.parent, cursor))
    branched.parent_records = *records;
  else
    branched.messages.push_back(
        fmt::format("{}: has not the records that led to step {}; the branch keeps none of its parent", from.parent.string(), commit.step));
  return branched;
}

}  // namespace longhaul::train
