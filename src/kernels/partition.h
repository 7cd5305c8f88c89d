// kernels/partition.h — cuts a pass over memory into tasks: ranges of rows, of elements or of columns. Where the cuts fall reaches no bit.
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/context.h"

namespace longhaul::kernels {

/// A task moves about this much memory: some 20 µs, far above the price of handing it out, small enough to even out two threads.
inline constexpr std::int64_t kTaskBytes = 128 << 10;

/// task(begin, end) over [0, count) in ranges of a multiple of `step` items; `item_bytes`: memory that one item reads and writes.
template <typename Task>
void run_ranges(const Context& context, std::int64_t count, std::int64_t item_bytes, std::int64_t step, const Task& task) {
  const std::int64_t items = std::max<std::int64_t>(kTaskBytes / std::max<std::int64_t>(item_bytes, 1) / step, 1) * step;
  context.pool.run((count + items - 1) / items,
                   [&](std::int64_t index, int) { task(index * items, std::min(count, (index + 1) * items)); });
}
/// Rows of a matrix.
template <typename Task>
void run_rows(const Context& context, std::int64_t rows, std::int64_t row_bytes, const Task& task) {
  run_ranges(context, rows, row_bytes, 1, task);
}
/// Elements: whole vectors but for the last.
template <typename Task>
void run_elements(const Context& context, std::int64_t count, std::int64_t element_bytes, const Task& task) {
  run_ranges(context, count, element_bytes, 16, task);
}
/// Columns of a matrix whose chains run down the rows: one wide range a thread, whole cache lines, not below kTaskBytes of memory.
template <typename Task>
void run_columns(const Context& context, std::int64_t columns, std::int64_t column_bytes, const Task& task) {
  const std::int64_t worthwhile = std::max<std::int64_t>(columns * column_bytes / kTaskBytes, 1);
  const std::int64_t parts = std::min<std::int64_t>({context.pool.threads(), worthwhile, (columns + 63) / 64});
  const std::int64_t wide = ((columns + parts - 1) / parts + 15) / 16 * 16;
  context.pool.run((columns + wide - 1) / wide, [&](std::int64_t part, int) { task(part * wide, std::min(columns, (part + 1) * wide)); });
}

}  // namespace longhaul::kernels
