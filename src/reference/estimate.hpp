// SPDX-License-Identifier: Apache-2.0
#pragma once
// A double together with a bound on how far an fp32 evaluation of the same formula may be from it.
//
// Running error analysis (Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., section
// 3.3): every operation computes its value in double and adds to the errors of its operands the one
// rounding that fp32 makes, at most 2^-24 |result| + 2^-150 (the second for subnormal results). The
// rounding of double itself, 2^-53, is covered by the 2^-10 of slack in unit_roundoff. A sum whose
// order is not the definition's business is an any_order_sum.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

namespace warpbag::reference {

struct estimate {
  double value = 0.0;
  double error = 0.0;
};

inline constexpr double unit_roundoff = 0x1p-24 * (1.0 + 0x1p-10);
inline constexpr double smallest_error = 0x1p-149;

inline estimate exactly(double value) { return {value, 0.0}; }

/// The largest magnitude that the fp32 value may have.
inline double magnitude(estimate x) { return std::abs(x.value) + x.error; }

/// After one rounding to fp32; an exact zero stays one.
inline estimate rounded(double value, double error) {
  if (value == 0.0 && error == 0.0) return {};
  return {value, error + unit_roundoff * (std::abs(value) + error) + smallest_error};
}

inline estimate operator-(estimate x) { return {-x.value, x.error}; }

inline estimate operator+(estimate a, estimate b) {
  return rounded(a.value + b.value, a.error + b.error);
}

inline estimate operator-(estimate a, estimate b) { return a + -b; }

inline estimate operator*(estimate a, estimate b) {
  return rounded(a.value * b.value, std::abs(a.value) * b.error + magnitude(b) * a.error);
}

/// Without a bound (infinite error) when the divisor may be zero.
inline estimate operator/(estimate a, estimate b) {
  const double quotient = a.value / b.value;
  const double least = std::abs(b.value) - b.error;
  if (!(least > 0.0)) return {quotient, std::numeric_limits<double>::infinity()};
  return rounded(quotient, (a.error + std::abs(quotient) * b.error) / least);
}

/// The root is concave: it moves most where the operand is smallest, unless that is near 0.
inline estimate square_root(estimate x) {
  const double root = std::sqrt(x.value);
  const double down = root - std::sqrt(std::max(0.0, x.value - x.error));
  const double up = std::sqrt(x.value + x.error) - root;
  return rounded(root, std::max(down, up));
}

inline estimate minimum(estimate a, estimate b) {
  return {std::min(a.value, b.value), std::max(a.error, b.error)};
}

inline estimate maximum(estimate a, estimate b) { return -minimum(-a, -b); }

/// A sum of n terms in any order or tree. Every accumulator starts at +0, so at most n additions
/// round, each by at most unit_roundoff times the sum of the magnitudes so far.
/// `roundings_per_term` more cover what happens to a term before it is added (a product, a scale).
class any_order_sum {
 public:
  void add(estimate term) {
    value_ += term.value;
    error_ += term.error;
    magnitude_ += magnitude(term);
    ++count_;
  }

  estimate total() const {
    if (magnitude_ == 0.0) return {};
    const double n = static_cast<double>(count_);
    return {value_, error_ + 1.01 * n * unit_roundoff * magnitude_ + n * smallest_error};
  }

  double magnitude_sum() const { return magnitude_; }
  std::int64_t count() const { return count_; }

 private:
  double value_ = 0.0;
  double error_ = 0.0;
  double magnitude_ = 0.0;
  std::int64_t count_ = 0;
};

}  // namespace warpbag::reference
