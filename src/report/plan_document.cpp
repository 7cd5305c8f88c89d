#include "report/plan_document.h"

#include <charconv>
#include <functional>
#include <map>
#include <string_view>

#include "files/read.h"

namespace longhaul::report {
namespace {

PlanDocument read_plan(const std::filesystem::path& run_directory, const std::string& name) {
  PlanDocument out{name, files::parse_json(files::read_file(run_directory / name), (run_directory / name).string()), std::nullopt};
  if (out.document.contains("/step/rates"_json_pointer)) out.rates = out.document.at("step").at("rates").get<std::string>();
  return out;
}

/// Launch N of "plan-N.json"; nothing for another name.
std::optional<std::int64_t> launch_of(const std::string& name) {
  constexpr std::string_view kBefore = "plan-", kAfter = ".json";
  if (!name.starts_with(kBefore) || !name.ends_with(kAfter) || name.size() <= kBefore.size() + kAfter.size()) return std::nullopt;
  std::int64_t launch = 0;
  const char *first = name.data() + kBefore.size(), *last = name.data() + name.size() - kAfter.size();
  const auto [end, error] = std::from_chars(first, last, launch);
  return error == std::errc() && end == last ? std::optional(launch) : std::nullopt;
}

}  // namespace

std::string PlanDocument::basis() const {
  return file + (rates ? ", time estimated from kernels " + *rates : ", unmeasured: it has no time");
}

PlanDocument newest_plan(const std::filesystem::path& run_directory) {
  std::map<std::int64_t, std::string, std::greater<>> by_launch;
  for (const auto& entry : std::filesystem::directory_iterator(run_directory))
    if (const auto launch = launch_of(entry.path().filename().string())) by_launch.emplace(*launch, entry.path().filename().string());
  for (const auto& [launch, name] : by_launch)
    if (PlanDocument plan = read_plan(run_directory, name); plan.rates) return plan;
  return read_plan(run_directory, "plan.json");
}

}  // namespace longhaul::report
