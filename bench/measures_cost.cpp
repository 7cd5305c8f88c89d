// What a run shows, as a share of its step: squares of gradient leaves taken while they are added (gradient noise scale) and norms by
// tensor taken in the update (log.tensors_every), each in pairs with the same kernels without them, in turn.
//
//   measures_cost [MODEL] [ROUNDS]      default: gpt2-124m 5; one micro-batch of one sequence of 256 tokens a virtual rank, V = 4
#include <fmt/format.h>

#include <chrono>
#include <cstdlib>
#include <vector>

#include "config/resolve.h"
#include "data/loader.h"
#include "kernels/optimizer/optimizer.h"
#include "train/engine.h"
#include "units/statistics.h"

using namespace longhaul;

namespace {

template <typename Work>
double seconds(const Work& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// Blocks of all tensors; a tied embedding's second accumulator comes last.
std::vector<kernels::Block> blocks_of(const model::ParamTable& table, std::int64_t elements) {
  std::vector<kernels::Block> blocks;
  for (const model::ParamTensor& tensor : table.tensors()) kernels::append_blocks(tensor.offset, tensor.count, blocks);
  kernels::append_blocks(table.padded_count(), elements - table.padded_count(), blocks);
  return blocks;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string name = argc > 1 ? argv[1] : "gpt2-124m";
  const int rounds = argc > 2 ? std::atoi(argv[2]) : 5;
  const config::RunConfig config =
      config::resolve_model(name, {"batch.sequence_length=256", "batch.micro_batch=1", "batch.global_batch=4", "batch.virtual_ranks=4"})
          .config;
  train::Engine engine(config);
  engine.initialise();
  const data::Batch batch = data::synthetic_batch(1, config.model.vocab, 0, config.batch.global_batch, config.batch.sequence_length);
  const train::UpdateScalars scalars{1e-4, 0.9, 0.95, 1e-8, 0.1, 1.0, 0.0, 1};
  train::Executor& executor = engine.step();
  const std::int64_t elements = program::gradient_elements(engine.table());
  std::vector<float> left(static_cast<std::size_t>(elements), 1e-3F);
  const std::vector<float> right(left.size(), 2e-3F);
  const std::vector<kernels::Block> blocks = blocks_of(engine.table(), elements);
  std::vector<double> squares_left(blocks.size()), squares_right(blocks.size());

  std::vector<double> step, add, add_squares, update, update_norms;
  for (int round = -1; round < rounds; ++round) {  // the first touches every page
    train::UpdateNorms norms;
    const double gradients = seconds([&] { executor.gradients(batch), executor.gradient_norm(); });
    const double plain = seconds([&] { executor.update(scalars); });
    const double measured = seconds([&] { executor.update(scalars, &norms); });
    const double sum = seconds([&] { kernels::add_into(engine.context(), left.data(), right.data(), elements); });
    const double squares = seconds(
        [&] { kernels::add_leaves(engine.context(), left.data(), right.data(), blocks, squares_left.data(), squares_right.data()); });
    if (round < 0) continue;
    step.push_back(gradients + plain);
    update.push_back(plain);
    update_norms.push_back(measured);
    add.push_back(sum);
    add_squares.push_back(squares);
  }
  const double whole = median(step);
  // Of the three combinations of four leaves, two add leaves; the third adds sums.
  const double noise = 2 * (median(add_squares) - median(add)), norms = median(update_norms) - median(update);
  fmt::print("{}, {} threads, medians of {} rounds: a step takes {:.3f} s\n", name, engine.context().pool.threads(), rounds, whole);
  fmt::print("noise scale      adding leaves with squares {:.2f} x without; {:+.2f} % of a step\n", median(add_squares) / median(add),
             100 * noise / whole);
  fmt::print("norms by tensor  update with norms {:.2f} x without; {:+.2f} % of a step in which they are recorded\n",
             median(update_norms) / median(update), 100 * norms / whole);
  return 0;
}
