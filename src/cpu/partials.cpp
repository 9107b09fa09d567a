// SPDX-License-Identifier: Apache-2.0
// Partial sums of rows on their way to the owners of the rows.

#include "cpu/backend.hpp"

namespace warpbag::cpu {

using operations::packed_record;
using operations::partial_record;

namespace {

constexpr std::int64_t partials_per_chunk = 4096;

std::int64_t chunks_of_partials(std::int64_t count) {
  return (count + partials_per_chunk - 1) / partials_per_chunk;
}

/// How many sums go to each destination: pairs ascend, and so do the destinations of compact ids.
void count_sums(const operations::gradient_record& gradient, const packed_record& to) {
  const std::int64_t* first = gradient.rows;
  const std::int64_t* const end = gradient.rows + *gradient.count;
  std::int64_t routed = 0;
  for (std::int32_t d = 0; d < to.num_destinations; ++d) {
    routed += to.counts[d];
    const std::int64_t* const last = std::lower_bound(first, end, routed * to.num_subtrees);
    to.sums[d] = last - first;
    first = last;
  }
}

}  // namespace

void cpu_backend::pack_partials(const problem& problem, std::span<const packed_record> features) {
  const workspace_arrays& arrays = workspace_.arrays();
  const auto table_of = [&](std::size_t f) {
    return static_cast<std::size_t>(problem.features[f].table);
  };
  for (std::size_t f = 0; f < features.size(); ++f) {
    count_sums(problem.tables[table_of(f)].gradient, features[f]);
  }
  for_each_chunk(
      features.size(),
      [&](std::size_t f) {
        return chunks_of_partials(*problem.tables[table_of(f)].gradient.count);
      },
      [&](std::size_t f, std::int64_t chunk, int) {
        const packed_record& to = features[f];
        const operations::gradient_record& gradient = problem.tables[table_of(f)].gradient;
        const std::uint32_t* const begins = arrays.run_begins + arrays.first_run[table_of(f)];
        const std::int64_t first = chunk * partials_per_chunk;
        const std::int64_t last = std::min(first + partials_per_chunk, *gradient.count);
        for (std::int64_t i = first; i < last; ++i) {
          to.packed[i] = operations::packed_partial(to, gradient.rows[i]);
          if (to.occurrences != nullptr) to.occurrences[i] = begins[i + 1] - begins[i];
        }
      });
}

void cpu_backend::unpack_partials(std::int64_t count, const std::int64_t* packed,
                                  const std::uint32_t* occurrences, std::int64_t* rows,
                                  partial_record* partials) {
  threads_.for_each(chunks_of_partials(count), [&](std::int64_t chunk, int) {
    const std::int64_t first = chunk * partials_per_chunk;
    const std::int64_t last = std::min(first + partials_per_chunk, count);
    for (std::int64_t i = first; i < last; ++i) {
      rows[i] = packed[i] / numerics::num_slices;
      partials[i] = {static_cast<std::int32_t>(packed[i] % numerics::num_slices),
                     occurrences == nullptr ? 1U : occurrences[i]};
    }
  });
}

}  // namespace warpbag::cpu
