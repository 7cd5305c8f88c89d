// longhaul replay: steps of a run trained again, and compared.
#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "audit/replay.h"
#include "command_line.h"
#include "console.h"
#include "files/disk.h"
#include "run_arguments.h"
#include "units/error.h"
#include "verbs.h"

namespace longhaul::app {
namespace {

nlohmann::json to_json(const audit::Replay& r, std::int64_t from, std::int64_t to) {
  nlohmann::json out = {{"from_step", from},  {"to_step", to},        {"began_at_step", r.began_at},
                        {"equal", r.equal()}, {"records", r.records}, {"checkpoints", r.checkpoints},
                        {"record", nullptr},  {"checkpoint", nullptr}};
  if (r.record)
    out["record"] = {{"step", r.record->step},
                     {"field", r.record->field},
                     {"recorded", r.record->recorded.dump()},
                     {"replayed", r.record->replayed.dump()}};
  if (const auto& c = r.checkpoint)
    out["checkpoint"] = {{"step", c->step},
                         {"group", c->where.group},
                         {"tensor", c->where.tensor},
                         {"block", c->where.block},
                         {"element", c->where.element}};
  return out;
}

void print(const audit::Replay& r, std::int64_t from, std::int64_t to) {
  fmt::print("began {}\n", r.began_at == 0 ? "at the seed" : fmt::format("at the checkpoint of step {}", r.began_at));
  if (r.equal()) {
    fmt::print("steps {} to {}: {} records and {} checkpoint{} are equal\n", from, to, r.records, r.checkpoints,
               r.checkpoints == 1 ? "" : "s");
    return;
  }
  if (r.record)
    fmt::print("step {}: {} is {}, recorded {}\n", r.record->step, r.record->field, r.record->replayed.dump(), r.record->recorded.dump());
  if (const auto& c = r.checkpoint)
    fmt::print("checkpoint of step {}: {}/{} differs from block {} on (element {})\n", c->step, c->where.group, c->where.tensor,
               c->where.block, c->where.element);
}

}  // namespace

int verb_replay(int argc, char** argv) {
  CommandLine line(
      "longhaul replay",
      "Trains steps of a run again, from the newest kept checkpoint before them, and compares every result of its ledger (losses,\n"
      "norms, validations, state hashes) and the checkpoints on the way. The run itself is not written. Exit code 3 when\n"
      "anything differs: the first record and field, and the first tensor and block of 65,536 elements.\n"
      "Example: longhaul replay examples/demo.toml --from 401 --to 420 --ranks 2\n"
      "         longhaul replay examples/demo.toml --from 401 --to 420 --set run.threads=1 --set run.family=avx2");
  RunArguments arguments;
  arguments.add_to(line);
  RanksArguments ranks;
  ranks.add_to(line);
  audit::ReplayOptions options;
  line.option("--from", options.from, "first step to compare").required().positive();
  line.option("--to", options.to, "last step to compare").required().positive();
  if (const std::optional<int> code = line.parse(argc, argv)) return *code;

  const std::filesystem::path directory = arguments.resolve().config.run.directory;
  if (!std::filesystem::exists(directory / "run.toml"))
    throw UsageError(fmt::format("{}: is no run's directory: it has no run.toml", directory.string()));
  options.run_directory = directory;
  options.scratch = std::filesystem::temp_directory_path() / ("longhaul-replay-" + files::random_uuid());
  // The settings of the run are those that it resolved; only what reaches no bit is this command's.
  RunArguments of_run = arguments;
  of_run.run_file = (directory / "run.toml").string();
  of_run.model.clear();
  ranks.apply(of_run);
  options.sets = of_run.sets;
  const train::Console console = make_console();
  const audit::Replay found = audit::replay(options, {[](const std::string&) {}, console.live, console.begin});
  if (arguments.json)
    print_json(to_json(found, options.from, options.to));
  else
    print(found, options.from, options.to);
  return static_cast<int>(found.equal() ? ExitCode::done : ExitCode::damaged);
}

}  // namespace longhaul::app
