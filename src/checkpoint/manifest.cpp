#include "checkpoint/manifest.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>

#include "files/read.h"

namespace longhaul::checkpoint {
namespace {

using nlohmann::json;

constexpr const char* kFormat = "longhaul-checkpoint";
constexpr const char* kSelfHash = "manifest_sha256";

bool plain_name(const std::string& name) {
  const auto allowed = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.'; };
  return std::ranges::all_of(name, allowed) && name.ends_with(".safetensors") && name.find("..") == std::string::npos &&
         name.front() != '.';
}

Manifest decode(const json& document) {
  Manifest manifest;
  document.at("step").get_to(manifest.step);
  document.at("generation").get_to(manifest.generation);
  document.at("tokens").get_to(manifest.tokens);
  document.at("config_hash").get_to(manifest.identity.config_hash);
  document.at("config").get_to(manifest.identity.config_text);
  document.at("order").get_to(manifest.identity.order);
  document.at("state_hash").get_to(manifest.state_hash);
  manifest.state = document.at("state");
  manifest.ledger = document.at("ledger");
  for (const json& file : document.at("files")) {
    manifest.files.push_back({file.at("name"), {file.at("sha256"), file.at("bytes")}});
    if (!plain_name(manifest.files.back().name)) throw Error("a file's name leaves the directory");
  }
  for (const json& tensor : document.at("tensors")) {
    const auto digest = digest_from_hex(tensor.at("digest").get_ref<const std::string&>());
    if (!digest) throw Error("a tensor's digest is not 32 hexadecimal digits");
    manifest.tensors.push_back({tensor.at("group"), tensor.at("name"), tensor.at("shape"), *digest});
  }
  return manifest;
}

}  // namespace

std::string manifest_text(const Manifest& manifest) {
  json files = json::array(), tensors = json::array();
  for (const ManifestFile& file : manifest.files) {
    files.push_back({{"name", file.name}, {"sha256", file.digest.sha256}, {"bytes", file.digest.bytes}});
  }
  for (const ManifestTensor& tensor : manifest.tensors) {
    tensors.push_back({{"group", tensor.group}, {"name", tensor.name}, {"shape", tensor.shape}, {"digest", tensor.digest.hex()}});
  }
  json document = {{"format", kFormat},
                   {"version", kManifestVersion},
                   {"step", manifest.step},
                   {"generation", manifest.generation},
                   {"tokens", manifest.tokens},
                   {"config_hash", manifest.identity.config_hash},
                   {"config", manifest.identity.config_text},
                   {"order", manifest.identity.order},
                   {"state_hash", manifest.state_hash},
                   {"state", manifest.state},
                   {"ledger", manifest.ledger},
                   {"files", std::move(files)},
                   {"tensors", std::move(tensors)}};
  document[kSelfHash] = files::sha256_hex(files::canonical_json(document));
  return files::canonical_json(document) + "\n";
}

Manifest parse_manifest(const std::string& text, const std::string& what) {
  json document;
  try {
    document = files::parse_json(text, what);
  } catch (const Error& error) {
    throw DamagedCommit(error.what());
  }
  if (!document.is_object() || !document.contains(kSelfHash)) throw DamagedCommit(what + ": is not a manifest");
  if (files::canonical_json(document) + "\n" != text) throw DamagedCommit(what + ": its bytes are not the ones that were written");
  const json recorded = document[kSelfHash];
  document.erase(kSelfHash);
  if (recorded != files::sha256_hex(files::canonical_json(document))) {
    throw DamagedCommit(what + ": does not have the hash it carries (manifest_sha256)");
  }
  // From here on the text is what some program wrote; it may still be another program.
  if (document.value("format", json()) != kFormat) throw CheckpointError(what + ": is not a longhaul checkpoint");
  if (document.value("version", json()) != kManifestVersion) {
    throw CheckpointError(what + ": has version " + document.value("version", json()).dump() + ", this program reads version " +
                          std::to_string(kManifestVersion) + "; use the program that wrote it, or a newer one");
  }
  try {
    return decode(document);
  } catch (const std::exception& error) {
    throw DamagedCommit(what + ": " + error.what());
  }
}

// "key = value" lines under [table] headers; lines of another form stand for themselves.
std::map<std::string, std::string> settings(const std::string& config_text) {
  const auto trimmed = [](std::string_view part) {
    const auto begin = part.find_first_not_of(" \t\r");
    return begin == std::string_view::npos ? std::string() : std::string(part.substr(begin, part.find_last_not_of(" \t\r") - begin + 1));
  };
  std::map<std::string, std::string> found;
  std::istringstream lines(config_text);
  std::string line, table;
  while (std::getline(lines, line)) {
    line = trimmed(line);
    if (line.empty() || line.front() == '#') continue;
    if (line.front() == '[' && line.back() == ']') {
      table = line.substr(1, line.size() - 2) + ".";
      continue;
    }
    const auto equals = line.find('=');
    if (equals == std::string::npos) {
      found[table + line] = "";
    } else {
      found[table + trimmed(line.substr(0, equals))] = trimmed(line.substr(equals + 1));
    }
  }
  return found;
}

std::vector<Difference> differences(const std::string& theirs_text, const std::string& ours_text) {
  std::map<std::string, Difference> merged;
  for (const auto& [key, value] : settings(theirs_text)) merged[key] = {key, value, ""};
  for (const auto& [key, value] : settings(ours_text)) merged.try_emplace(key, Difference{key, "", ""}).first->second.ours = value;
  std::vector<Difference> found;
  for (auto& [key, values] : merged)
    if (values.theirs != values.ours) found.push_back(std::move(values));
  return found;
}

void check_identity(const RunIdentity& theirs, const RunIdentity& ours, const std::string& what) {
  if (theirs.order != ours.order) {
    throw CheckpointError(what + ": was computed in summation order '" + theirs.order + "', the run asks for '" + ours.order +
                          "'; set precision.order = \"" + theirs.order + "\" or start a new run in another run.directory");
  }
  if (theirs.config_hash == ours.config_hash) return;
  std::string changed;
  const auto value = [](const std::string& text) { return text.empty() ? "(not set)" : text; };
  for (const Difference& d : differences(theirs.config_text, ours.config_text))
    changed += (changed.empty() ? "" : "; ") + d.key + ": checkpoint " + value(d.theirs) + ", run " + value(d.ours);
  throw CheckpointError(what + ": belongs to another configuration. " + (changed.empty() ? "The hashes differ" : changed) +
                        ". Restore these values, or start a new run in another run.directory");
}

}  // namespace longhaul::checkpoint
