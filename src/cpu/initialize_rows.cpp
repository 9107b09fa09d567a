// SPDX-License-Identifier: Apache-2.0
// First values of tables and of optimizer states.

#include "cpu/backend.hpp"
#include "numerics/float_formats.hpp"

namespace warpbag::cpu {

namespace {

template <typename Row>
void initialize_row(const table_record& table, std::int64_t row, numerics::init_kind kind,
                    float scale) {
  Row* const to = static_cast<Row*>(table.rows) + row * table.row_stride;
  const numerics::init_kind kind_of_row =
      row == table.padding_idx ? numerics::init_kind::zero : kind;
  const auto id = static_cast<std::uint64_t>(table.shard.id_of(row));
  for (std::int64_t j = 0; j < table.dim; j += 4) {
    const auto quad = static_cast<std::uint32_t>((table.shard.first_column + j) / 4);
    const numerics::philox_block random = numerics::random_words(
        table.seed, numerics::random_use::initialisation, table.rng_table, id, quad, 0);
    const std::int64_t count = std::min<std::int64_t>(4, table.dim - j);
    for (std::int64_t k = 0; k < count; ++k) {
      to[j + k] =
          numerics::narrow<Row>(numerics::initial_value(kind_of_row, scale, random.word[k]));
    }
  }
}

}  // namespace

void cpu_backend::initialize_rows(const table_record& table, numerics::init_kind kind,
                                  float scale) {
  constexpr std::int64_t rows_per_chunk = 1024;
  threads_.for_each((table.num_rows + rows_per_chunk - 1) / rows_per_chunk,
                    [&](std::int64_t chunk, int) {
                      const std::int64_t first = chunk * rows_per_chunk;
                      const std::int64_t last = std::min(first + rows_per_chunk, table.num_rows);
                      for (std::int64_t row = first; row < last; ++row) {
                        switch (table.row_type) {
                          case dtype::f32: initialize_row<float>(table, row, kind, scale); break;
                          case dtype::f16:
                            initialize_row<numerics::f16>(table, row, kind, scale);
                            break;
                          case dtype::bf16:
                            initialize_row<numerics::bf16>(table, row, kind, scale);
                            break;
                        }
                      }
                    });
}

void cpu_backend::fill(float* memory, std::int64_t count, float value) {
  constexpr std::int64_t floats_per_chunk = std::int64_t{1} << 18;
  threads_.for_each((count + floats_per_chunk - 1) / floats_per_chunk,
                    [&](std::int64_t chunk, int) {
                      const std::int64_t first = chunk * floats_per_chunk;
                      std::fill_n(memory + first, std::min(floats_per_chunk, count - first), value);
                    });
}

}  // namespace warpbag::cpu
