#include "checkpoint/commit_files.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <map>
#include <set>
#include <tuple>

#include "checkpoint/safetensors.h"
#include "files/disk.h"
#include "files/read.h"

namespace longhaul::checkpoint {
namespace {

namespace fs = std::filesystem;

/// Digits at the front of `text`, taken off; -1 if there are none or too many.
std::int64_t take_number(std::string_view& text) {
  std::int64_t value = -1;
  if (text.empty() || text.front() < '0' || text.front() > '9') return -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc()) return -1;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return value;
}

bool take(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

/// Parses "step-N.gG" at the front of `text`.
bool take_commit_name(std::string_view& text, std::int64_t& step, std::int64_t& generation) {
  const std::string_view whole = text;
  if (!take(text, "step-") || (step = take_number(text)) < 0 || !take(text, ".g") || (generation = take_number(text)) < 0) return false;
  return commit_name(step, generation) == whole.substr(0, whole.size() - text.size());  // one spelling only
}

bool is_uuid(std::string_view text) {
  if (text.size() != 36) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    if (dash ? c != '-' : !((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) return false;
  }
  return true;
}

/// Runs `read`; what the file itself is to blame for becomes DamagedCommit, the rest (no descriptors, no permission) stays what it is.
template <class Read>
auto or_damaged(Read read) {
  try {
    return read();
  } catch (const files::FileError& error) {
    for (const int damage : {ENOENT, EIO, EISDIR, ENOTDIR, EINVAL, ELOOP, ENXIO, EUCLEAN, EBADMSG}) {
      if (error.errno_value == damage) throw DamagedCommit(error.what());
    }
    throw;
  }
}

Digest digest_of(const SafetensorsFile& file, const TensorInfo& info, const std::string& group) {
  std::vector<Digest> blocks;
  std::vector<float> aligned;
  auto bytes = file.bytes(info);
  while (!bytes.empty()) {
    const auto block = bytes.first(std::min<std::size_t>(bytes.size(), kHashBlockElements * sizeof(float)));
    // Our writer aligns; a file without alignment is foreign or damaged, and reading floats in place would be undefined.
    aligned.resize(block.size() / sizeof(float));
    std::memcpy(aligned.data(), block.data(), aligned.size() * sizeof(float));
    blocks.push_back(hash_block(aligned));
    bytes = bytes.subspan(block.size());
  }
  return hash_tensor(group, info.name, info.shape, blocks);
}

/// The first tensor of a group whose stored bytes are not those recorded, in a sentence; empty if all are.
std::string wrong_tensor(const fs::path& path, const Manifest& manifest, const std::string& group) {
  const SafetensorsFile file(path);
  std::size_t expected = 0;
  for (const ManifestTensor& tensor : manifest.tensors) {
    if (tensor.group != group) continue;
    ++expected;
    const TensorInfo* info = file.find(tensor.name);
    if (info == nullptr) return "tensor " + tensor.name + " is missing";
    if (info->dtype != ElementType::f32 || info->shape != tensor.shape) {
      return "tensor " + tensor.name + " is " + std::string(name(info->dtype)) + shape_text(info->shape) + ", recorded as F32" +
             shape_text(tensor.shape);
    }
    if (digest_of(file, *info, group) != tensor.digest) return "tensor " + tensor.name + " does not have the values that were saved";
  }
  if (file.tensors().size() != expected) return "it holds tensors that the manifest does not name";
  return {};
}

/// Why a file whose SHA-256 or size is wrong is wrong: the tensor if it can be told.
std::string explain(const fs::path& path, const ManifestFile& file, const files::FileDigest& found, const Manifest& manifest) {
  const std::string start = path.string() + ": damaged: ";
  if (found.bytes != file.digest.bytes) {
    return start + "it has " + std::to_string(found.bytes) + " bytes, " + std::to_string(file.digest.bytes) + " were written";
  }
  try {
    const std::string tensor = wrong_tensor(path, manifest, path.stem().string());
    if (!tensor.empty()) return start + tensor;
  } catch (const Error& error) {
    return start + error.what();
  }
  return start + "its SHA-256 is " + found.sha256.substr(0, 16) + "…, recorded " + file.digest.sha256.substr(0, 16) + "…";
}

}  // namespace

std::string commit_name(std::int64_t step, std::int64_t generation) {
  const std::string digits = std::to_string(step);
  return "step-" + std::string(digits.size() < 8 ? 8 - digits.size() : 0, '0') + digits + ".g" + std::to_string(generation);
}

bool is_leftover(std::string_view name) {
  std::int64_t step = 0, generation = 0;
  return take_commit_name(name, step, generation) && (take(name, ".tmp-") || take(name, ".removed-")) && is_uuid(name);
}

std::vector<Commit> scan(const fs::path& checkpoints) {
  std::vector<Commit> commits;
  std::error_code error;
  fs::directory_iterator entries(checkpoints, error);
  if (error == std::errc::no_such_file_or_directory) return commits;
  if (error) throw files::FileError("list", checkpoints, error.value());
  for (const fs::directory_entry& entry : entries) {
    const std::string name = entry.path().filename().string();
    std::string_view rest = name;
    Commit commit;
    if (take_commit_name(rest, commit.step, commit.generation) && rest.empty()) {
      commit.directory = entry.path();
      commits.push_back(commit);
    }
  }
  std::ranges::sort(commits, std::greater{}, [](const Commit& commit) { return std::pair(commit.generation, commit.step); });
  return commits;
}

Manifest read_manifest(const Commit& commit, bool name_matters) {
  if (!fs::is_directory(fs::symlink_status(commit.directory))) throw DamagedCommit(commit.directory.string() + ": is not a directory");
  const fs::path path = commit.directory / kManifestName;
  const std::string text = or_damaged([&] {
    try {
      return files::read_file(path);
    } catch (const files::FileError&) {
      throw;
    } catch (const Error& error) {
      throw DamagedCommit(error.what());  // larger than a manifest can be
    }
  });
  Manifest manifest = parse_manifest(text, path.string());
  if (name_matters && commit_name(manifest.step, manifest.generation) != commit.name()) {
    throw DamagedCommit(path.string() + ": describes " + commit_name(manifest.step, manifest.generation) + ", not this directory");
  }
  return manifest;
}

void verify_contents(const Commit& commit, const Manifest& manifest, bool from_disk) {
  std::set<std::string> groups;
  for (const ManifestFile& file : manifest.files) {
    const fs::path path = commit.directory / file.name;
    const files::FileDigest found = or_damaged([&] { return files::digest_file(path, from_disk); });
    if (found != file.digest) throw DamagedCommit(explain(path, file, found, manifest));
    // The digests were taken from memory before the bytes were written: they see what went wrong in between.
    const std::string wrong = or_damaged([&] { return wrong_tensor(path, manifest, path.stem().string()); });
    if (!wrong.empty()) throw DamagedCommit(path.string() + ": damaged: " + wrong);
    groups.insert(path.stem().string());
  }
  std::vector<Digest> digests;
  for (const ManifestTensor& tensor : manifest.tensors) {
    if (!groups.contains(tensor.group)) throw DamagedCommit(commit.directory.string() + ": has no file for the tensors of " + tensor.group);
    digests.push_back(tensor.digest);
  }
  if (hash_root(digests).hex() != manifest.state_hash) {
    throw DamagedCommit((commit.directory / kManifestName).string() + ": its tensor digests do not give its state hash");
  }
}

void fill(const Commit& commit, const Manifest& manifest, std::span<const TensorEntry> tensors, bool whole, int threads) {
  const std::string where = commit.directory.string();
  std::map<std::pair<std::string, std::string>, const ManifestTensor*> recorded;
  for (const ManifestTensor& tensor : manifest.tensors) recorded[{tensor.group, tensor.name}] = &tensor;
  for (const TensorEntry& tensor : tensors) {
    const auto found = recorded.find({tensor.group, tensor.name});
    if (found == recorded.end())
      throw CheckpointError(where + ": has no tensor " + tensor.group + "/" + tensor.name + ", which the run needs");
    if (found->second->shape != tensor.shape) {
      throw CheckpointError(where + ": tensor " + tensor.group + "/" + tensor.name + " has shape " + shape_text(found->second->shape) +
                            ", the run needs " + shape_text(tensor.shape));
    }
  }
  if (whole && recorded.size() != tensors.size()) {
    for (const TensorEntry& tensor : tensors) recorded.erase({tensor.group, tensor.name});
    const auto& [group, name] = recorded.begin()->first;
    throw CheckpointError(where + ": holds tensor " + group + "/" + name + ", which the run does not have");
  }
  for (const std::string& group : groups_in_order(tensors)) {
    const SafetensorsFile file = or_damaged([&] { return SafetensorsFile(commit.directory / (group + ".safetensors")); });
    for (const TensorEntry& tensor : tensors) {
      if (tensor.group != group) continue;
      const auto bytes = file.bytes(*file.find(tensor.name));
      if (!bytes.empty()) std::memcpy(tensor.data.data(), bytes.data(), bytes.size());
    }
  }
  const StateHash arrived = hash_state(tensors, threads);
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    if (arrived.tensors[i] != recorded.at({tensors[i].group, tensors[i].name})->digest) {
      throw DamagedCommit(where + ": tensor " + tensors[i].group + "/" + tensors[i].name + " changed while it was read");
    }
  }
  if (whole && arrived.root.hex() != manifest.state_hash) {
    throw CheckpointError(where + ": the run registers its tensors in another order than the checkpoint, so their state hashes differ");
  }
}

std::string fingerprint(const Commit& commit) {
  std::vector<std::string> parts;
  for (const fs::directory_entry& entry : fs::directory_iterator(commit.directory)) {
    struct stat status {};
    if (::lstat(entry.path().c_str(), &status) != 0) throw files::FileError("examine", entry.path(), errno);
    std::string part = entry.path().filename().string();
    for (const std::int64_t value : {static_cast<std::int64_t>(status.st_ino), static_cast<std::int64_t>(status.st_size),
                                     static_cast<std::int64_t>(status.st_mtim.tv_sec), static_cast<std::int64_t>(status.st_mtim.tv_nsec),
                                     static_cast<std::int64_t>(status.st_ctim.tv_sec), static_cast<std::int64_t>(status.st_ctim.tv_nsec)}) {
      part += ' ' + std::to_string(value);
    }
    parts.push_back(part);
  }
  std::ranges::sort(parts);
  std::string text;
  for (const std::string& part : parts) text += part + '\n';
  return text;
}

std::vector<std::string> foreign_files(const fs::path& directory) {
  std::vector<std::string> names;
  for (const fs::directory_entry& entry : fs::directory_iterator(directory)) {
    const std::string name = entry.path().filename().string();
    const bool ours = name == kManifestName || name.ends_with(".safetensors");
    if (!ours || !fs::is_regular_file(entry.symlink_status())) names.push_back(name);
  }
  return names;
}

bool remove_directory(const files::Disk& disk, const fs::path& directory, std::vector<std::string>& messages) {
  try {
    const std::vector<std::string> foreign = foreign_files(directory);
    std::vector<fs::path> ours;
    for (const fs::directory_entry& entry : fs::directory_iterator(directory)) {
      if (std::ranges::find(foreign, entry.path().filename().string()) == foreign.end()) ours.push_back(entry.path());
    }
    for (const fs::path& path : ours) disk.remove_file(path);
    if (!foreign.empty()) {
      messages.push_back(directory.string() + ": kept, because it holds a file that is not the checkpoint's: " + foreign.front());
      return false;
    }
    disk.remove_directory(directory);
    return true;
  } catch (const Error& error) {
    messages.push_back("could not remove " + directory.string() + ": " + error.what());
  } catch (const fs::filesystem_error& error) {
    messages.push_back("could not remove " + directory.string() + ": " + error.what());
  }
  return false;
}

}  // namespace longhaul::checkpoint
