// SPDX-License-Identifier: Apache-2.0
#pragma once
// In-process ranks under test, each on a thread of its own.

#include <exception>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "warpbag/transport.hpp"

namespace warpbag::testing {

/// How one rank's body ended.
struct outcome {
  enum class kind { returned, lost, mismatch, other } how = kind::returned;
  int rank = -1;  // of a transport_error
  std::string words;
  friend bool operator==(const outcome&, const outcome&) = default;
};

inline void PrintTo(const outcome& value, std::ostream* out) {
  const char* const names[] = {"returned", "rank_lost", "rank_mismatch", "other"};
  *out << names[static_cast<int>(value.how)] << " " << value.rank << ": " << value.words;
}

inline outcome outcome_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const rank_mismatch& e) {
    return {outcome::kind::mismatch, e.rank(), e.what()};
  } catch (const rank_lost& e) {
    return {outcome::kind::lost, e.rank(), e.what()};
  } catch (const std::exception& e) {
    return {outcome::kind::other, -1, e.what()};
  }
  return {};
}

/// The outcomes of body(transport) of every rank. A transport is destroyed when its body ends.
inline std::vector<outcome> run_world(in_process_world& world,
                                      const std::function<void(std::unique_ptr<transport>)>& body) {
  std::vector<outcome> outcomes(static_cast<std::size_t>(world.size()));
  std::vector<std::jthread> threads;
  for (int rank = 0; rank < world.size(); ++rank) {
    threads.emplace_back([&, rank, mine = world.connect(rank)]() mutable {
      outcomes[static_cast<std::size_t>(rank)] = outcome_of([&] { body(std::move(mine)); });
    });
  }
  threads.clear();
  return outcomes;
}

}  // namespace warpbag::testing
