// checkpoint/commit.h — a commit by name, and the identity of the run that wrote it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace longhaul::checkpoint {

/// What a checkpoint must agree with to be continued.
struct RunIdentity {
  std::string config_hash;  ///< of everything in the configuration that affects a bit
  std::string config_text;  ///< the text that was hashed ("key = value" lines, [table] headers allowed), to show what differs
  std::string order;        ///< summation order: "dp2", "amx", "fma"
};

/// The settings of a configuration's text by name ("optimizer.learning_rate"), with their values as written.
std::map<std::string, std::string> settings(const std::string& config_text);

/// A setting that two configurations' texts have with different values.
struct Difference {
  std::string key;           ///< "optimizer.learning_rate", "data.content"
  std::string theirs, ours;  ///< as in the text; empty where one has none
};
/// In order of their keys.
std::vector<Difference> differences(const std::string& theirs_text, const std::string& ours_text);

/// A directory that was published; verified only by loading.
struct Commit {
  std::int64_t step = 0;
  std::int64_t generation = 0;
  std::filesystem::path directory;
  std::string name() const { return directory.filename().string(); }
};

}  // namespace longhaul::checkpoint
