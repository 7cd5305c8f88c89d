// checkpoint/manifest.h — the content of a commit's directory, with hashes; written last and verified first.
//
// One line of canonical JSON (docs/formats.md, section Checkpoint). The field manifest_sha256 is the SHA-256 of the document without it,
// and the file must be the canonical text byte for byte, so that a change of any bit is detected. It names every tensor with its own
// digest, in the order of the state hash: damage can be named by tensor, and the state hash can be checked without the model that made it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "checkpoint/commit.h"
#include "checkpoint/state_hash.h"
#include "files/hash.h"
#include "units/error.h"

namespace longhaul::checkpoint {

inline constexpr std::string_view kManifestName = "manifest.json";
inline constexpr std::int64_t kManifestVersion = 1;

/// A commit whose bytes are not what was written: it is quarantined, where one that merely does not belong is an error.
struct DamagedCommit : CheckpointError {
  using CheckpointError::CheckpointError;
};

struct ManifestFile {
  std::string name;  ///< "<group>.safetensors"
  files::FileDigest digest;
};
struct ManifestTensor {
  std::string group, name;
  std::vector<std::int64_t> shape;
  Digest digest;
};

struct Manifest {
  std::int64_t step = 0, generation = 0, tokens = 0;
  RunIdentity identity;
  std::string state_hash;
  nlohmann::json state, ledger;
  std::vector<ManifestFile> files;
  std::vector<ManifestTensor> tensors;  ///< in the order of the state hash
};

/// The file's text.
std::string manifest_text(const Manifest& manifest);
/// @throws DamagedCommit; CheckpointError for a version this program does not know
Manifest parse_manifest(const std::string& text, const std::string& what);

/// Throws a CheckpointError that names what differs, key by key, if a commit of `theirs` cannot be continued by `ours`.
void check_identity(const RunIdentity& theirs, const RunIdentity& ours, const std::string& what);

}  // namespace longhaul::checkpoint
