// SPDX-License-Identifier: Apache-2.0
#include "cpu/tuning.hpp"

#include "operations/tuning.hpp"

namespace warpbag::operations {

std::vector<tuning_choice> cpu_tuning() {
  namespace tuning = cpu::tuning;
  return {
      {"lookups_per_chunk", tuning::lookups_per_chunk,
       "finding the first bag is below 1 ns a lookup; 10,000 lookups are ten pieces of work"},
      {"occurrences_per_chunk", tuning::occurrences_per_chunk,
       "what is known of them fits L1 beside the rows"},
      {"values_per_chunk", tuning::values_per_chunk, "64 KiB of ids: some microseconds"},
      {"rows_per_chunk", tuning::rows_per_chunk, "128 KiB at dim 128"},
      {"columns_per_part", tuning::columns_per_part, "two cache lines of fp32"},
      {"long_runs_per_thread", tuning::long_runs_per_thread,
       "a run of more than 1 / (4 threads) of all would keep one thread busy alone"},
      {"shortest_long_run", tuning::shortest_long_run, "waking threads takes longer than less"},
      {"longest_windowed_run", tuning::longest_windowed_run,
       "leaves of longer ones have eight occurrences: a pass each is cheap"},
      {"most_vectors_added_blindly", tuning::most_vectors_added_blindly,
       "a mispredicted branch costs more than four additions of so few"},
      {"max_digit_bits", tuning::max_digit_bits,
       "2048 places are a quarter of L1; 22-bit rows take two passes"},
      {"most_counted_rows", tuning::most_counted_rows, "64 KiB of counters a thread, in L2"},
      {"spins_before_sleep", tuning::spins_before_sleep,
       "a forward of four bags takes 2 us, 8 where threads sleep"},
      {"near_table_bytes", tuning::near_table_bytes,
       "rows in L1 or L2: asking costs a third of pooling them"},
      {"bytes_ahead", tuning::bytes_ahead,
       "128 lines; half waits, twice pushes lines out of L1 (19 instead of 23 ns at dim 128)"},
      {"most_rows_ahead", tuning::most_rows_ahead, "further ahead gains nothing at dim 32"},
      {"fewest_rows_ahead", tuning::fewest_rows_ahead, "for the widest rows"},
      {"most_bytes_asked_for", tuning::most_bytes_asked_for,
       "longer rows are the hardware's own streams"},
      {"bags_ahead", tuning::bags_ahead, "the first of two dependent reads of random places"},
  };
}

}  // namespace warpbag::operations
