#include "config/parallel.h"

namespace longhaul::config {
namespace {

/// "b" is part 1 of "a|b|c".
std::string_view part(std::string_view names, int index) {
  for (; index > 0; --index) names.remove_prefix(names.find('|') + 1);
  return names.substr(0, names.find('|'));
}

}  // namespace

std::string_view name(Recompute recompute) { return part(kRecomputeNames, static_cast<int>(recompute)); }
std::string_view name(PipelineSchedule schedule) { return part(kPipelineScheduleNames, static_cast<int>(schedule)); }

}  // namespace longhaul::config
