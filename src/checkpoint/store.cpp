#include "checkpoint/store.h"

#include <algorithm>
#include <cerrno>
#include <nlohmann/json.hpp>
#include <set>
#include <stdexcept>
#include <utility>

#include "checkpoint/commit_files.h"
#include "checkpoint/manifest.h"
#include "checkpoint/safetensors.h"
#include "files/disk.h"
#include "files/read.h"

namespace longhaul::checkpoint {
namespace {

namespace fs = std::filesystem;

Loaded loaded_from(const Commit& commit, const Manifest& manifest) {
  return {commit, manifest.tokens, manifest.state, manifest.ledger, manifest.state_hash, manifest.identity, {}};
}

std::vector<TensorView> views_of(std::span<const TensorEntry> tensors, const std::string& group) {
  std::vector<TensorView> views;
  for (const TensorEntry& tensor : tensors) {
    if (tensor.group == group) views.push_back({tensor.name, ElementType::f32, tensor.shape, std::as_bytes(tensor.data)});
  }
  return views;
}

std::vector<fs::path> entries_with(const fs::path& directory, bool (*wanted)(std::string_view)) {
  std::vector<fs::path> found;
  for (const fs::directory_entry& entry : fs::directory_iterator(directory)) {
    if (wanted(entry.path().filename().string())) found.push_back(entry.path());
  }
  std::ranges::sort(found);
  return found;
}

bool is_quarantined(std::string_view name) { return name.starts_with(kQuarantinePrefix); }

}  // namespace

Store::Store(const files::RunLock& lock, RunIdentity identity, StoreOptions options)
    : directory_(lock.run_directory() / kCheckpointsName), identity_(std::move(identity)), options_(std::move(options)) {
  if (options_.retention.keep_last < 1) throw UsageError("checkpoint.keep_last must be at least 1: the newest checkpoint is never removed");
  if (options_.retention.keep_every < 0) throw UsageError("checkpoint.keep_every must be 0 (off) or a number of steps");
  if (!fs::exists(directory_)) {
    options_.disk.create_directory(directory_);
    options_.disk.sync_directory(lock.run_directory());
  }
  for (const fs::path& path : entries_with(directory_, is_leftover)) {
    if (remove_directory(options_.disk, path, messages_)) {
      messages_.push_back("removed " + path.filename().string() + ", which a save or a removal that was cut short had left");
    }
  }
}

std::vector<Commit> Store::list() const { return scan(directory_); }

// --- saving -----------------------------------------------------------------------------------------------------------------------------

Commit Store::next_commit(std::int64_t step) const {
  std::int64_t generation = 0;
  const std::vector<Commit> commits = list();
  if (!commits.empty()) {
    // Newest first, so the first has the highest generation and, in it, the highest step.
    generation = commits.front().generation + (commits.front().step >= step ? 1 : 0);
  }
  return {step, generation, directory_ / commit_name(step, generation)};
}

bool Store::already_committed(const Snapshot& snapshot, const RunIdentity& identity, const std::string& state_hash, Saved& saved) const {
  const std::vector<Commit> commits = list();
  if (commits.empty() || commits.front().step != snapshot.step) return false;
  try {
    const Manifest manifest = read_manifest(commits.front());
    const auto same = [](const nlohmann::json& a, const nlohmann::json& b) { return files::canonical_json(a) == files::canonical_json(b); };
    if (manifest.state_hash != state_hash || manifest.tokens != snapshot.tokens || !same(manifest.state, snapshot.state) ||
        !same(manifest.ledger, snapshot.ledger) || manifest.identity.config_hash != identity.config_hash) {
      return false;
    }
    verify_contents(commits.front(), manifest, false);
  } catch (const Error&) {
    return false;  // whatever is wrong with it, this save makes a good one, under a new generation
  }
  saved.commit = commits.front();
  saved.already_there = true;
  return true;
}

void Store::write_and_publish(const Snapshot& snapshot, const RunIdentity& identity, const StateHash& hash, const fs::path& temporary,
                              Saved& saved) {
  const files::Disk& disk = options_.disk;
  Manifest manifest{
      snapshot.step, saved.commit.generation, snapshot.tokens, identity, saved.state_hash, snapshot.state, snapshot.ledger, {}, {}};
  for (const std::size_t index : hash_order(snapshot.tensors)) {
    const TensorEntry& tensor = snapshot.tensors[index];
    manifest.tensors.push_back({tensor.group, tensor.name, tensor.shape, hash.tensors[index]});
  }
  disk.create_directory(temporary);
  for (const std::string& group : groups_in_order(snapshot.tensors)) {
    const std::string name = group + ".safetensors";
    manifest.files.push_back({name, write_safetensors(disk, temporary / name, views_of(snapshot.tensors, group), {{"format", "pt"}})});
    saved.bytes += manifest.files.back().digest.bytes;
  }
  const std::string text = manifest_text(manifest);
  if (text.size() > files::kMaxDocumentBytes) throw Error("the manifest would be larger than 16 MiB");
  files::FileWriter writer(disk, temporary / kManifestName);
  writer.write(text);
  writer.finish();
  saved.bytes += text.size();
  disk.sync_directory(temporary);
  if (options_.read_back) {
    const Commit written{saved.commit.step, saved.commit.generation, temporary};
    verify_contents(written, read_manifest(written, false), true);
  }

  disk.rename(temporary, saved.commit.directory);
  try {
    disk.sync_directory(directory_);
  } catch (const files::FileError& failure) {
    // Published in memory but perhaps not on the device: nothing may rely on it, so it is removed.
    try {
      disk.rename(saved.commit.directory, temporary);
    } catch (const files::FileError&) {
      throw Error(std::string(failure.what()) +
                  ", and the commit could not be taken back: it is complete but may not survive a power failure");
    }
    throw;
  }
}

Saved Store::commit(const Snapshot& snapshot) {
  Saved saved = publish(snapshot, identity_);
  if (!saved.already_there) retain(saved.messages);
  return saved;
}

Saved Store::publish(const Snapshot& snapshot, const RunIdentity& identity) {
  check_registry(snapshot.tensors);
  const StateHash hash = hash_state(snapshot.tensors, options_.hash_threads);
  Saved saved;
  saved.state_hash = hash.root.hex();
  if (already_committed(snapshot, identity, saved.state_hash, saved)) {
    in_use_ = saved.commit.name();
    return saved;
  }
  saved.commit = next_commit(snapshot.step);
  const fs::path temporary = directory_ / (saved.commit.name() + ".tmp-" + files::random_uuid());
  try {
    write_and_publish(snapshot, identity, hash, temporary, saved);
  } catch (const std::exception& error) {
    std::vector<std::string> left;
    if (fs::exists(temporary)) remove_directory(options_.disk, temporary, left);
    const auto* file_error = dynamic_cast<const files::FileError*>(&error);
    const std::vector<Commit> commits = list();
    throw SaveFailed("checkpoint of step " + std::to_string(snapshot.step) + " not saved: " + error.what() + "; the newest is " +
                         (commits.empty() ? "none" : commits.front().name()) + (left.empty() ? "" : "; " + left.front()),
                     file_error != nullptr ? file_error->errno_value : 0);
  }
  in_use_ = saved.commit.name();
  if (options_.read_back) verified_[in_use_] = fingerprint(saved.commit);
  return saved;
}

// --- retention --------------------------------------------------------------------------------------------------------------------------

bool Store::still_verified(const Commit& commit, std::vector<std::string>& messages) {
  try {
    std::string& known = verified_[commit.name()];
    const std::string now = fingerprint(commit);
    if (known == now) return true;
    verify_contents(commit, read_manifest(commit), false);
    known = now;
    return true;
  } catch (const std::exception& error) {
    verified_.erase(commit.name());
    messages.push_back(commit.name() + " does not verify and is not counted among the checkpoints to keep: " + error.what());
    return false;
  }
}

/// The first commit of each interval [k·every, (k+1)·every), k ≥ 1, of the newest generation that has one: after going back the run's own
/// history takes the place of the abandoned one.
std::vector<Commit> Store::kept_for_good(std::vector<Commit> commits) const {
  const std::int64_t every = options_.retention.keep_every;
  if (every <= 0) return {};
  std::ranges::sort(commits, {}, [](const Commit& commit) { return std::pair(-commit.generation, commit.step); });
  std::set<std::int64_t> reached;
  std::vector<Commit> kept;
  for (const Commit& commit : commits) {
    std::int64_t position = commit.step;
    try {
      if (options_.retention.by_tokens) position = read_manifest(commit).tokens;
    } catch (const Error&) {
      continue;  // what it is worth is for the next start to say
    }
    if (position >= every && reached.insert(position / every).second) kept.push_back(commit);
  }
  return kept;
}

void Store::retain(std::vector<std::string>& messages) {
  const Retention& rule = options_.retention;
  std::int64_t kept = 0;
  std::vector<Commit> surplus;
  const std::vector<Commit> commits = list(), for_good = kept_for_good(commits);
  const auto stays = [&](const Commit& commit) {
    return std::any_of(for_good.begin(), for_good.end(), [&](const Commit& c) { return c.name() == commit.name(); });
  };
  for (const Commit& commit : commits) {
    if (kept < rule.keep_last && commit.generation == commits.front().generation) {
      // One that does not verify stays too: the next start quarantines it and reports why.
      if (still_verified(commit, messages)) ++kept;
    } else if (commit.name() != in_use_ && !stays(commit)) {
      surplus.push_back(commit);
    }
  }
  if (kept < rule.keep_last) return;
  for (const Commit& commit : surplus) remove_commit(commit, messages);
}

void Store::remove_commit(const Commit& commit, std::vector<std::string>& messages) {
  try {
    const std::vector<std::string> foreign = foreign_files(commit.directory);
    if (!foreign.empty()) {
      messages.push_back(commit.name() + ": kept, because it holds a file that is not the checkpoint's: " + foreign.front());
      return;
    }
    // Out of sight first: a removal cut short must not look like a damaged commit.
    const fs::path removed = directory_ / (commit.name() + ".removed-" + files::random_uuid());
    options_.disk.rename(commit.directory, removed);
    verified_.erase(commit.name());
    if (remove_directory(options_.disk, removed, messages)) messages.push_back("removed " + commit.name());
  } catch (const std::exception& error) {
    messages.push_back("could not remove " + commit.name() + ": " + error.what());
  }
}

// --- loading ----------------------------------------------------------------------------------------------------------------------------

void Store::quarantine(const Commit& commit, const std::string& why, std::vector<std::string>& messages) const {
  std::string name = std::string(kQuarantinePrefix) + commit.name();
  for (int i = 2; fs::exists(fs::symlink_status(directory_ / name)); ++i) {
    name = std::string(kQuarantinePrefix) + commit.name() + "-" + std::to_string(i);
  }
  try {
    options_.disk.rename(commit.directory, directory_ / name);
    options_.disk.sync_directory(directory_);
    messages.push_back(why + "; moved to " + name);
  } catch (const files::FileError& error) {
    messages.push_back(why + "; it could not be moved away: " + error.what());
  }
}

Loaded Store::load(const Commit& commit, std::span<const TensorEntry> tensors) {
  check_registry(tensors);
  const Manifest manifest = read_manifest(commit);
  if (options_.accept)
    options_.accept(manifest.identity, commit);
  else
    check_identity(manifest.identity, identity_, commit.directory.string());
  verify_contents(commit, manifest, false);
  fill(commit, manifest, tensors, true, options_.hash_threads);
  in_use_ = commit.name();
  verified_[in_use_] = fingerprint(commit);
  return loaded_from(commit, manifest);
}

Loaded Store::go_back(std::int64_t step, std::span<const TensorEntry> tensors, const std::function<void(const Loaded&)>& check) {
  Loaded loaded = load(commit_of_step(directory_.parent_path(), step), tensors);
  if (check) check(loaded);
  if (list().front().name() == loaded.commit.name()) return loaded;
  Saved saved = publish({step, loaded.tokens, tensors, loaded.state, loaded.ledger}, loaded.identity);
  loaded.commit = saved.commit;
  loaded.messages = std::move(saved.messages);
  return loaded;
}

std::optional<Loaded> Store::load_newest(std::span<const TensorEntry> tensors) {
  std::vector<std::string> messages;
  for (const Commit& commit : list()) {
    try {
      Loaded loaded = load(commit, tensors);
      loaded.messages = std::move(messages);
      return loaded;
    } catch (const DamagedCommit& damage) {
      quarantine(commit, damage.what(), messages);
    }
  }
  const std::vector<fs::path> quarantined = entries_with(directory_, is_quarantined);
  if (quarantined.empty() && messages.empty()) return std::nullopt;
  std::string all;
  for (const std::string& message : messages) all += message + ". ";
  throw CheckpointError(all + "No usable checkpoint is left in " + directory_.string() + " (" + std::to_string(quarantined.size()) +
                        " in quarantine). Restore one from a copy; or, to start from step 0, remove the quarantined ones or set another "
                        "run.directory");
}

// --- readers ----------------------------------------------------------------------------------------------------------------------------

std::vector<Commit> list_commits(const fs::path& run_directory) { return scan(run_directory / kCheckpointsName); }

Commit commit_of_step(const fs::path& run_directory, std::int64_t step) {
  std::set<std::int64_t> steps;
  for (const Commit& commit : list_commits(run_directory)) {
    if (commit.step == step) return commit;
    steps.insert(commit.step);
  }
  std::string there;
  for (const std::int64_t other : steps) there += (there.empty() ? "" : ", ") + std::to_string(other);
  throw UsageError((run_directory / kCheckpointsName).string() + ": no checkpoint of step " + std::to_string(step) + "; there are " +
                   (there.empty() ? "none" : there));
}

bool has_quarantined(const fs::path& run_directory) {
  const fs::path directory = run_directory / kCheckpointsName;
  return fs::is_directory(directory) && !entries_with(directory, is_quarantined).empty();
}

RunIdentity read_identity(const Commit& commit) { return read_manifest(commit).identity; }

Loaded read_commit(const Commit& commit, std::span<const TensorEntry> tensors) {
  check_registry(tensors);
  const Manifest manifest = read_manifest(commit);
  verify_contents(commit, manifest, false);
  fill(commit, manifest, tensors, false, 1);
  return loaded_from(commit, manifest);
}

namespace {

/// One pass over the commits; nothing if none was seen, or one vanished meanwhile: the run's writer may be replacing the old by the new.
std::optional<Loaded> read_pass(const fs::path& run_directory, const std::function<Loaded(const Commit&)>& read) {
  std::string all;
  std::vector<std::string> messages;
  const std::vector<Commit> commits = list_commits(run_directory);
  if (commits.empty()) return std::nullopt;
  for (const Commit& commit : commits) {
    try {
      Loaded loaded = read(commit);
      loaded.messages = std::move(messages);
      return loaded;
    } catch (const DamagedCommit& damage) {
      if (!fs::exists(commit.directory)) return std::nullopt;
      messages.push_back(std::string(damage.what()) + "; the next older one is used");
      all += std::string(damage.what()) + ". ";
    }
  }
  throw CheckpointError(all + (run_directory / kCheckpointsName).string() + ": no usable checkpoint is left; restore one from a copy");
}

}  // namespace

Loaded read_newest(const fs::path& run_directory, std::span<const TensorEntry> tensors) {
  return read_newest(run_directory, [&](const Commit& commit) { return read_commit(commit, tensors); });
}

Loaded read_newest(const fs::path& run_directory, const std::function<Loaded(const Commit&)>& read) {
  constexpr int kPasses = 5;  // each lost to a save that finished within one read
  for (int pass = 0; pass < kPasses; ++pass) {
    if (std::optional<Loaded> loaded = read_pass(run_directory, read)) return *std::move(loaded);
  }
  const std::string where = (run_directory / kCheckpointsName).string();
  if (list_commits(run_directory).empty()) throw CheckpointError(where + ": no checkpoint; train the run first, or give its directory");
  throw CheckpointError(where + ": checkpoints vanish faster than they can be read; raise checkpoint.keep_last");
}

}  // namespace longhaul::checkpoint
