// SPDX-License-Identifier: Apache-2.0
// What ranks owe each other when one of them fails.
#include <algorithm>
#include <sstream>

#include "sharding/faulty_run.hpp"

namespace warpbag::support {

namespace {

enum class error_type : std::uint8_t { none, lost, mismatch, bad_id, offsets, argument, other };

struct error_seen {
  error_type type = error_type::none;
  int rank = -1;
  std::string words = {};
};

error_seen seen(const std::exception_ptr& thrown) {
  if (!thrown) return {};
  try {
    std::rethrow_exception(thrown);
  } catch (const rank_lost& fault) {
    return {error_type::lost, fault.rank(), fault.what()};
  } catch (const rank_mismatch& fault) {
    return {error_type::mismatch, fault.rank(), fault.what()};
  } catch (const id_out_of_range& fault) {
    return {error_type::bad_id, -1, fault.what()};
  } catch (const bad_offsets& fault) {
    return {error_type::offsets, -1, fault.what()};
  } catch (const invalid_argument& fault) {
    return {error_type::argument, -1, fault.what()};
  } catch (const std::exception& fault) {
    return {error_type::other, -1, fault.what()};
  }
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/// What a rank must have thrown, if any rank threw.
error_type wanted_type(const planned_fault& fault, int rank) {
  switch (fault.kind) {
    case fault_kind::killed:
    case fault_kind::silently_killed: return error_type::lost;
    case fault_kind::corrupted:
    case fault_kind::other_call:
    case fault_kind::other_rate:
    case fault_kind::other_plan: return error_type::mismatch;
    case fault_kind::bad_argument:  // of a prefetched batch
      return rank == fault.rank ? error_type::argument : error_type::lost;
    case fault_kind::none:
    case fault_kind::bad_batch: break;
  }
  return error_type::none;
}

bool must_throw(const planned_fault& fault) {
  switch (fault.kind) {
    case fault_kind::other_call:
    case fault_kind::other_rate:
    case fault_kind::other_plan: return true;
    case fault_kind::bad_argument: return fault.prefetch && !fault.in_backward && fault.step > 0;
    default: return false;
  }
}

bool renormalizes(const sharded_case& drawn) {
  return std::any_of(drawn.tables.begin(), drawn.tables.end(),
                     [](const table_config& table) { return table.max_norm.has_value(); });
}

class judgement {
 public:
  judgement(const sharded_case& drawn, const planned_fault& fault,
            const std::vector<rank_outcome>& expected, const std::vector<rank_outcome>& actual)
      : case_(drawn), fault_(fault), expected_(expected), actual_(actual) {}

  std::string text() {
    const bool ended = std::any_of(actual_.begin(), actual_.end(),
                                   [](const rank_outcome& rank) { return rank.thrown != nullptr; });
    if (must_throw(fault_) && !ended) words_ << "nobody threw\n";
    for (int rank = 0; rank < case_.num_ranks; ++rank) {
      if (ended) check_error(rank);
      check_rejection(rank);
      check_contents(rank);
      if (!ended) check_outputs(rank);
    }
    if (ended) check_alike();
    return words_.str();
  }

 private:
  const rank_outcome& of(int rank) const { return actual_[static_cast<std::size_t>(rank)]; }
  bool is_live(int rank) const {
    return rank != fault_.rank ||
           (fault_.kind != fault_kind::killed && fault_.kind != fault_kind::silently_killed);
  }

  void check_error(int rank) {
    const error_seen error = seen(of(rank).thrown);
    if (error.type != wanted_type(fault_, rank)) {
      words_ << "rank " << rank << " threw another type than it must: " << error.words << '\n';
      return;
    }
    if (of(rank).went_on) words_ << "rank " << rank << " went on alone\n";
    // A silent death is found by deadline; who else is late then may be named instead.
    if (fault_.kind == fault_kind::silently_killed) return;
    if (contains(error.words, "did not come")) {
      words_ << "rank " << rank << " waited for the deadline: " << error.words << '\n';
    }
    if (fault_.kind == fault_kind::killed && error.rank != fault_.rank) {
      words_ << "rank " << rank << " names rank " << error.rank << ": " << error.words << '\n';
    }
  }

  void check_rejection(int rank) {
    const error_seen error = seen(of(rank).rejected);
    const error_seen at_fault = seen(of(fault_.rank).rejected);
    const bool rejects = fault_.kind == fault_kind::bad_batch ||
                         (fault_.kind == fault_kind::bad_argument && !must_throw(fault_));
    if (!rejects) return;
    const bool is_bad_batch = error.type == error_type::bad_id || error.type == error_type::offsets;
    if (error.type != at_fault.type || !(is_bad_batch || error.type == error_type::argument)) {
      words_ << "rank " << rank << " did not refuse the call as rank " << fault_.rank
             << " did: " << error.words << '\n';
    }
    const std::string name = "rank " + std::to_string(fault_.rank);
    if ((is_bad_batch || rank != fault_.rank) && !contains(error.words, name)) {
      words_ << "rank " << rank << " does not name " << name << ": " << error.words << '\n';
    }
  }

  void check_contents(int rank) {
    if (!is_live(rank) || !of(rank).was_made()) return;
    if (fault_.kind == fault_kind::other_plan && rank == fault_.rank) return;  // other shards
    const rank_outcome& expected = expected_[static_cast<std::size_t>(rank)];
    const rank_outcome& actual = of(rank);
    for (std::size_t call = 0; call <= actual.calls(); ++call) {
      if (actual.contents[call] == expected.contents[call]) continue;
      words_ << "rank " << rank << " has other tables after call " << call << '\n';
      return;
    }
    if (actual.at_end != expected.contents[actual.calls()]) {
      words_ << "rank " << rank << " has other tables after its error in call " << actual.calls()
             << ": " << seen(actual.thrown).words << '\n';
    }
  }

  void check_outputs(int rank) {
    // Bytes of the same floats from the same code: NaNs are not made of these inputs.
    if (of(rank).outputs != expected_[static_cast<std::size_t>(rank)].outputs) {
      words_ << "rank " << rank << " has other outputs\n";
    }
  }

  /// Calls that change tables have returned on all live ranks or on none.
  void check_alike() {
    int first = -1;
    for (int rank = 0; rank < case_.num_ranks; ++rank) {
      if (!is_live(rank) || !of(rank).was_made()) continue;
      if (first < 0) first = rank;
      const std::size_t calls = of(rank).calls();
      const std::size_t of_first = of(first).calls();
      const bool alike = renormalizes(case_) ? calls == of_first : calls / 2 == of_first / 2;
      if (!alike) {
        words_ << "rank " << rank << " made " << calls << " calls, rank " << first << ' '
               << of_first << '\n';
      }
    }
  }

  const sharded_case& case_;
  const planned_fault& fault_;
  const std::vector<rank_outcome>& expected_;
  const std::vector<rank_outcome>& actual_;
  std::ostringstream words_;
};

}  // namespace

std::string judge(const sharded_case& drawn, const planned_fault& fault,
                  const std::vector<rank_outcome>& expected,
                  const std::vector<rank_outcome>& actual) {
  return judgement(drawn, fault, expected, actual).text();
}

}  // namespace warpbag::support
