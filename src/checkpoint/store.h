// checkpoint/store.h — commits of the training state, which are either whole and verified, or absent.
//
//   run/checkpoints/step-00001000.g0/{manifest.json, weights.safetensors, moment1.safetensors, …}
//
// A save writes a directory under a temporary name, fsyncs every file, writes the manifest last (hash and size of each file, hash of
// itself), renames the directory and fsyncs its parent; only then is anything old removed. A commit is never overwritten. Loading scans the
// directory (there is no "latest" file to be torn), newest first, verifies every hash, fills the registry and recomputes the state hash;
// a damaged commit is renamed to quarantine-… and the next older one is used, and messages report it.
//
// Newest = highest generation, then highest step. The generation (.g0) rises when a step is saved that is not above the last one: after a
// roll-back the abandoned, higher steps are older. Commit right after rolling back, so that a crash cannot return to the abandoned ones.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "checkpoint/commit.h"
#include "checkpoint/registry.h"
#include "checkpoint/state_hash.h"
#include "files/disk.h"
#include "files/run_lock.h"

namespace longhaul::checkpoint {

/// Everything that affects the next step: the tensors, and one JSON document for the rest (step counters, RNG, data cursor, schedule,
/// guard windows; doubles survive exactly, non-finite ones through files::double_bits).
struct Snapshot {
  std::int64_t step = 0;
  std::int64_t tokens = 0;
  std::span<const TensorEntry> tensors;
  nlohmann::json state;
  nlohmann::json ledger;  ///< ledger::Cursor as JSON: records written and the head of their hash chain
};

struct Loaded {
  Commit commit;
  std::int64_t tokens = 0;
  nlohmann::json state;
  nlohmann::json ledger;
  std::string state_hash;             ///< recomputed from the registry after loading
  RunIdentity identity;               ///< of the run that wrote it
  std::vector<std::string> messages;  ///< what was found damaged, quarantined, skipped
};

struct Saved {
  Commit commit;
  std::string state_hash;
  std::uint64_t bytes = 0;
  bool already_there = false;         ///< the newest commit already held this state; nothing was written
  std::vector<std::string> messages;  ///< what retention removed, and what it could not
};

/// A save that did not happen: what failed, and which commit is still the newest. Nothing of it is published; its disk space is free again.
struct SaveFailed : Error {
  SaveFailed(const std::string& message, int error_number) : Error(message), errno_value(error_number) {}
  int errno_value;  ///< ENOSPC, EIO, …; 0 when no file operation was at fault
};

/// Which commits stay: the newest `keep_last` of the newest generation that verify (at least 1; until there are so many, all of the others
/// too), and the first that reaches each multiple of `keep_every` (0: none), of the newest generation that has one.
struct Retention {
  std::int64_t keep_last = 3;
  std::int64_t keep_every = 0;
  bool by_tokens = false;  ///< multiples of tokens instead of steps
};

/// Decides whether a run may go on from a commit of another identity: throws where not.
using Accept = std::function<void(const RunIdentity& theirs, const Commit& commit)>;

struct StoreOptions {
  Retention retention{};
  int hash_threads = 1;
  bool read_back = true;  ///< read a new commit from the device and compare its hashes before anything older is removed
  files::Disk disk{};
  Accept accept{};  ///< absent: the identities must be equal
};

/// The writer's view; holds the run's lock as evidence that it is the only one.
class Store {
 public:
  /// Opens run/checkpoints (created if missing) and removes the remains of saves and removals that were interrupted.
  Store(const files::RunLock& lock, RunIdentity identity, StoreOptions options = {});

  /// Saves; returns only when the commit is durable. @throws SaveFailed
  Saved commit(const Snapshot& snapshot);

  /// Fills the registry from the newest commit that verifies; nothing if there is none and never was.
  /// @throws CheckpointError if a commit belongs to another configuration or model, or if damaged ones are all there is
  std::optional<Loaded> load_newest(std::span<const TensorEntry> tensors);
  /// Fills the registry from the newest commit of this step, which must verify. Where there are later ones it is published anew, as the
  /// first of the next generation and under the identity it has, so that load_newest() gives it from then on, whatever happens next.
  /// Nothing is removed.
  /// @param check  of what was loaded, before anything is published: throws where the run cannot go back to it
  /// @throws UsageError listing the steps that there are; CheckpointError; SaveFailed, which leaves everything as it was
  Loaded go_back(std::int64_t step, std::span<const TensorEntry> tensors, const std::function<void(const Loaded&)>& check = {});
  /// What opening cleaned up.
  const std::vector<std::string>& messages() const { return messages_; }

 private:
  /// Newest first.
  std::vector<Commit> list() const;
  /// Fills the registry from this commit. @throws CheckpointError
  Loaded load(const Commit& commit, std::span<const TensorEntry> tensors);
  Commit next_commit(std::int64_t step) const;
  Saved publish(const Snapshot& snapshot, const RunIdentity& identity);
  bool already_committed(const Snapshot& snapshot, const RunIdentity& identity, const std::string& state_hash, Saved& saved) const;
  void write_and_publish(const Snapshot& snapshot, const RunIdentity& identity, const StateHash& hash,
                         const std::filesystem::path& temporary, Saved& saved);
  void retain(std::vector<std::string>& messages);
  std::vector<Commit> kept_for_good(std::vector<Commit> commits) const;
  void remove_commit(const Commit& commit, std::vector<std::string>& messages);
  bool still_verified(const Commit& commit, std::vector<std::string>& messages);
  void quarantine(const Commit& commit, const std::string& why, std::vector<std::string>& messages) const;

  std::filesystem::path directory_;
  RunIdentity identity_;
  StoreOptions options_;
  std::vector<std::string> messages_;
  std::map<std::string, std::string> verified_;  ///< commit name → fingerprint of its files when their hashes were last checked
  std::string in_use_;                           ///< name of the commit just loaded or written: never removed
};

// --- without the lock: for evaluation, export, audits; nothing on disk is changed -------------------------------------------------------

/// Published commits, newest first.
std::vector<Commit> list_commits(const std::filesystem::path& run_directory);
/// The newest commit of a step. @throws UsageError listing the steps that there are
Commit commit_of_step(const std::filesystem::path& run_directory, std::int64_t step);
/// Whether damaged commits lie in quarantine.
bool has_quarantined(const std::filesystem::path& run_directory);
/// Of the run that wrote a commit. @throws CheckpointError when its manifest is damaged
RunIdentity read_identity(const Commit& commit);
/// Fills a registry from this commit, which must verify. @throws CheckpointError
Loaded read_commit(const Commit& commit, std::span<const TensorEntry> tensors);
/// Fills a registry (all groups, or only some, such as the weights) from the newest commit that verifies.
/// @throws CheckpointError if there is none
Loaded read_newest(const std::filesystem::path& run_directory, std::span<const TensorEntry> tensors);
/// What `read` makes of the newest commit that it does not find damaged; `read` ends with read_commit().
Loaded read_newest(const std::filesystem::path& run_directory, const std::function<Loaded(const Commit&)>& read);

}  // namespace longhaul::checkpoint
