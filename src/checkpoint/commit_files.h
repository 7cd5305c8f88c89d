// checkpoint/commit_files.h — the names, the verification and the reading of one commit's directory (internal to the room).
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/commit.h"
#include "checkpoint/manifest.h"
#include "checkpoint/registry.h"
#include "files/disk.h"

namespace longhaul::checkpoint {

inline constexpr std::string_view kCheckpointsName = "checkpoints";
inline constexpr std::string_view kQuarantinePrefix = "quarantine-";

/// "step-00001000.g0"; more digits when the step needs them.
std::string commit_name(std::int64_t step, std::int64_t generation);
/// A save cut short ("<commit>.tmp-<uuid>") or a removal cut short ("<commit>.removed-<uuid>"): names that only this program gives.
bool is_leftover(std::string_view name);
/// Every commit in a checkpoints directory (nothing is verified), newest first: highest generation, then highest step.
std::vector<Commit> scan(const std::filesystem::path& checkpoints);

/// The manifest, checked against itself and the directory's name (name_matters: not while it is still a temporary one).
Manifest read_manifest(const Commit& commit, bool name_matters = true);
/// Files, sizes, SHA-256, tensor digests, state hash. from_disk: reads the device, not the page cache. @throws DamagedCommit
void verify_contents(const Commit& commit, const Manifest& manifest, bool from_disk);
/// Copies the tensors of a verified commit into the registry and compares what arrived with the digests recorded.
/// whole: the registry must hold exactly the commit's tensors; else it may hold fewer. @throws CheckpointError, DamagedCommit
void fill(const Commit& commit, const Manifest& manifest, std::span<const TensorEntry> tensors, bool whole, int threads);

/// Size, inode and times of the commit's files: while these are the same, nothing was written to them.
std::string fingerprint(const Commit& commit);

/// Removes the files that a commit may hold, then the directory. Other files in it stay, and so does the directory.
/// Adds a sentence to `messages` when something stays; true if all is gone.
bool remove_directory(const files::Disk& disk, const std::filesystem::path& directory, std::vector<std::string>& messages);
/// Names in `directory` that no commit of ours holds.
std::vector<std::string> foreign_files(const std::filesystem::path& directory);

}  // namespace longhaul::checkpoint
