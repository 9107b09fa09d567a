// SPDX-License-Identifier: Apache-2.0
// The tree of numerics/gradient_tree.hpp over one run whose leaves are one block each: leaf, two
// nodes, tree and total are nested accumulators beside each other, and an occurrence says how many
// of them end with it.
#if defined(WARPBAG_CPU_NESTED_SUM_INL_HPP) == defined(HWY_TARGET_TOGGLE)
#ifdef WARPBAG_CPU_NESTED_SUM_INL_HPP
#undef WARPBAG_CPU_NESTED_SUM_INL_HPP
#else
#define WARPBAG_CPU_NESTED_SUM_INL_HPP
#endif

#include "cpu/occurrence_window.hpp"
#include "cpu/simd-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace warpbag::cpu::HWY_NAMESPACE {

template <typename Gradient>
struct nested_strip {
  const windowed_run& run;
  float* result;
  static constexpr hn::RebindToSigned<float_tag> words{};

  template <int Vectors, bool Partial>
  HWY_INLINE void at(std::int64_t column, std::int64_t count) const {
    floats leaf[std::size_t{Vectors}];
    clear(leaf);
    if (run.size == 1) {
      add<Partial>(0, column, count, leaf);
      return store(leaf, column);
    }
    floats node[std::size_t{Vectors}], upper_node[std::size_t{Vectors}];
    floats tree[std::size_t{Vectors}], total[std::size_t{Vectors}];
    clear(node);
    clear(upper_node);
    clear(tree);
    clear(total);
    for (std::int64_t i = 0; i < run.size; ++i) {
      add<Partial>(i, column, count, leaf);
      const int ended = run.ended[i];
      if constexpr (Vectors <= tuning::most_vectors_added_blindly) {
        const auto sums_ended = hn::Set(words, ended);
        end_sum_if(hn::Gt(sums_ended, hn::Set(words, 0)), leaf, node);
        end_sum_if(hn::Gt(sums_ended, hn::Set(words, 1)), node, upper_node);
        end_sum_if(hn::Gt(sums_ended, hn::Set(words, 2)), upper_node, tree);
        end_sum_if(hn::Gt(sums_ended, hn::Set(words, 3)), tree, total);
        continue;
      }
      if (ended == 0) continue;
      end_sum(leaf, node);
      if (ended > 1) end_sum(node, upper_node);
      if (ended > 2) end_sum(upper_node, tree);
      if (ended > 3) end_sum(tree, total);
    }
    store(total, column);
  }

 private:
  template <std::size_t Vectors>
  static HWY_INLINE void clear(floats (&sum)[Vectors]) {
    for (std::size_t k = 0; k < Vectors; ++k) sum[k] = hn::Zero(float_lanes);
  }

  template <std::size_t Vectors>
  static HWY_INLINE void end_sum(floats (&sum)[Vectors], floats (&parent)[Vectors]) {
    for (std::size_t k = 0; k < Vectors; ++k) parent[k] = hn::Add(parent[k], sum[k]);
    clear(sum);
  }

  /// end_sum without a branch: in all lanes or in none.
  template <typename Mask, std::size_t Vectors>
  static HWY_INLINE void end_sum_if(Mask ends, floats (&sum)[Vectors], floats (&parent)[Vectors]) {
    const auto mask = hn::RebindMask(float_lanes, ends);
    for (std::size_t k = 0; k < Vectors; ++k) {
      parent[k] = hn::IfThenElse(mask, hn::Add(parent[k], sum[k]), parent[k]);
      sum[k] = hn::IfThenZeroElse(mask, sum[k]);
    }
  }

  template <bool Partial, std::size_t Vectors>
  HWY_INLINE void add(std::int64_t i, std::int64_t column, std::int64_t count,
                      floats (&leaf)[Vectors]) const {
    const Gradient* const gradient = static_cast<const Gradient*>(run.gradients[i]) + column;
    const floats scale = hn::Set(float_lanes, run.scales[i]);
    for (std::size_t k = 0; k < Vectors; ++k) {
      floats g;
      if constexpr (Partial) {
        g = load_first(gradient, count);
      } else {
        g = load(gradient + k * lanes_per_vector);
      }
      leaf[k] = fused_multiply_add(g, scale, leaf[k]);
    }
  }

  /// A sum that is -0 has a parent, which begins at +0.
  template <std::size_t Vectors>
  HWY_INLINE void store(floats (&sum)[Vectors], std::int64_t column) const {
    for (std::size_t k = 0; k < Vectors; ++k) {
      const floats x = hn::Add(sum[k], hn::Zero(float_lanes));
      hn::StoreU(x, float_lanes, result + column + static_cast<std::int64_t>(k) * lanes_per_vector);
    }
  }
};

}  // namespace warpbag::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
