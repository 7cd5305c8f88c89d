// What it costs to divide a step over two ranks of one thread, against one rank of two threads: tokens/s in pairs, in turn; and of each
// layout the share of a step that its ranks spend in transfers, waiting for each other included.
//
//   ranks_cost [MODEL] [ROUNDS]      default: gpt2-124m 3; four micro-batches of one sequence of 256 tokens, V = 4
#include <fmt/format.h>

#include <chrono>
#include <cstdlib>
#include <mutex>
#include <vector>

#include "config/resolve.h"
#include "data/loader.h"
#include "program/layout.h"
#include "train/engine.h"
#include "train/ranks.h"
#include "units/statistics.h"

using namespace longhaul;

namespace {

struct Measured {
  double seconds = 0;    ///< of the last of three steps, the slowest rank's
  double transfers = 0;  ///< share of it, mean over ranks
};

Measured measure(const std::string& model, const std::string& layout, int threads) {
  config::Overrides sets = {"batch.sequence_length=256", "batch.micro_batch=1", "batch.global_batch=4", "batch.virtual_ranks=4",
                            fmt::format("run.threads={}", threads)};
  const program::Layout parsed = program::parse_layout(layout);
  for (const std::string_view key : {"dp", "pp", "zero", "schedule"})
    sets.push_back(fmt::format("parallel.{}={}", key, program::layout_value(parsed, key)));
  const config::RunConfig config = config::resolve_model(model, sets).config;
  std::mutex mutex;
  Measured all;
  train::run_ranks(parsed, threads, [&](comm::Communicator& communicator) {
    train::Engine engine(config, train::Engine::Use::training, &communicator);
    engine.initialise();
    const data::Batch batch = data::synthetic_batch(1, config.model.vocab, 0, config.batch.global_batch, config.batch.sequence_length);
    double seconds = 0, transfers = 0;
    for (int step = 0; step < 3; ++step) {  // the first touches every page
      communicator.agree(0);
      const auto start = std::chrono::steady_clock::now();
      engine.step().gradients(batch);
      engine.step().gradient_norm();
      engine.step().update({1e-4, 0.9, 0.95, 1e-8, 0.1, 1.0, 0.0, step + 1});
      seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
      transfers = 0;
      const std::vector<program::Operation>& operations = engine.step_program().operations;
      for (std::size_t i = 0; i < operations.size(); ++i)
        if (program::is_transfer(operations[i].kind)) transfers += engine.step().seconds()[i];
    }
    const std::scoped_lock lock(mutex);
    all.seconds = std::max(all.seconds, seconds);
    all.transfers += transfers / seconds / communicator.ranks();
  });
  return all;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string model = argc > 1 ? argv[1] : "gpt2-124m";
  const int rounds = argc > 2 ? std::atoi(argv[2]) : 3;
  const std::vector<std::string> layouts = {"dp=2", "dp=2,zero=1", "dp=2,zero=3", "pp=2", "pp=2,schedule=zb-h1"};
  std::vector<std::vector<double>> ratios(layouts.size()), transfers(layouts.size());
  for (int round = 0; round < rounds; ++round)
    for (std::size_t i = 0; i < layouts.size(); ++i) {
      const Measured one = measure(model, "dp=1", 2), two = measure(model, layouts[i], 1);
      ratios[i].push_back(one.seconds / two.seconds);
      transfers[i].push_back(two.transfers);
    }
  fmt::print("{}: tokens/s of two ranks of one thread, against one rank of two threads; medians of {} pairs\n", model, rounds);
  for (std::size_t i = 0; i < layouts.size(); ++i)
    fmt::print("{:24} {:.3f} x   transfers and waiting {:4.1f} % of a step\n", layouts[i], median(ratios[i]), 100 * median(transfers[i]));
  return 0;
}
