// SPDX-License-Identifier: Apache-2.0
#pragma once
// exp, log, pow and the normal quantile from IEEE double operations alone (N6): the same bits on
// the CPU and the GPU. Errors are below 1e-14 relative, so a result rounded to fp32 is within 1 ulp
// (tests/numerics/elementary_test.cpp).

#include <cstddef>

#include "numerics/host_device.hpp"

namespace warpbag::numerics {

namespace detail {

inline constexpr double infinity = __builtin_huge_val();
inline constexpr double ln2_high =
    0x1.62e42feep-1;  // 32 bits: k * ln2_high is exact for |k| < 2^20
inline constexpr double ln2_low = 0x1.a39ef35793c76p-33;

/// Polynomial by Horner's rule, highest power first.
template <std::size_t Count>
WARPBAG_HOST_DEVICE double horner(const double (&coefficient)[Count], double x) {
  double value = coefficient[0];
  for (std::size_t i = 1; i < Count; ++i) value = value * x + coefficient[i];
  return value;
}

WARPBAG_HOST_DEVICE double power_of_two(int exponent) {  // exponent in [-1022, 1023]
  return bits_as<double>(static_cast<std::uint64_t>(static_cast<unsigned>(exponent + 1023)) << 52);
}

}  // namespace detail

/// e^x. x = k ln 2 + r with |r| <= ln 2 / 2; Taylor to r^13: the rest is below r^14 / 14! = 4e-18.
WARPBAG_HOST_DEVICE double exponential(double x) {
  if (x != x) return x;
  if (x > 709.0) return detail::infinity;
  if (x < -708.0) return 0.0;
  const double scaled = x * 1.4426950408889634;  // 1 / ln 2
  const int k = static_cast<int>(scaled + (scaled < 0.0 ? -0.5 : 0.5));
  const double r = (x - k * detail::ln2_high) - k * detail::ln2_low;
  const double coefficient[] = {1.0 / 6227020800.0,
                                1.0 / 479001600.0,
                                1.0 / 39916800.0,
                                1.0 / 3628800.0,
                                1.0 / 362880.0,
                                1.0 / 40320.0,
                                1.0 / 5040.0,
                                1.0 / 720.0,
                                1.0 / 120.0,
                                1.0 / 24.0,
                                1.0 / 6.0,
                                0.5,
                                1.0,
                                1.0};
  return detail::horner(coefficient, r) * detail::power_of_two(k);
}

/// ln x. x = m 2^e with m in [sqrt(1/2), sqrt(2)); ln m = 2 atanh(s), s = (m - 1) / (m + 1), |s| <=
/// 0.1716; odd series to s^23: the rest is below s^25 / 25 = 3e-21. Subnormal doubles count as 0.
WARPBAG_HOST_DEVICE double logarithm(double x) {
  if (x != x || x == detail::infinity) return x;
  if (x < 0.0) return detail::infinity - detail::infinity;
  const std::uint64_t bits = bits_as<std::uint64_t>(x);
  int exponent = static_cast<int>(bits >> 52) - 1023;
  if (exponent == -1023) return -detail::infinity;
  double m = bits_as<double>((bits & 0xFFFFFFFFFFFFFULL) | 0x3FF0000000000000ULL);
  if (m > 1.4142135623730951) {
    m *= 0.5;
    exponent += 1;
  }
  const double s = (m - 1.0) / (m + 1.0);
  const double coefficient[] = {1.0 / 23.0, 1.0 / 21.0, 1.0 / 19.0, 1.0 / 17.0,
                                1.0 / 15.0, 1.0 / 13.0, 1.0 / 11.0, 1.0 / 9.0,
                                1.0 / 7.0,  1.0 / 5.0,  1.0 / 3.0,  1.0};
  const double ln_m = 2.0 * s * detail::horner(coefficient, s * s);
  return exponent * detail::ln2_high + (exponent * detail::ln2_low + ln_m);
}

/// x^p for x >= 0. The error of p ln x is below 1e-16 |p ln x|, and |p ln x| < 710 where the result
/// is finite.
WARPBAG_HOST_DEVICE double power(double x, double p) {
  if (p == 0.0 || x == 1.0) return 1.0;
  if (x == 0.0) return p > 0.0 ? 0.0 : detail::infinity;
  return exponential(p * logarithm(x));
}

/// 1 / (1 + e^-x) without overflow.
WARPBAG_HOST_DEVICE double sigmoid(double x) {
  if (x >= 0.0) return 1.0 / (1.0 + exponential(-x));
  const double e = exponential(x);
  return e / (1.0 + e);
}

/// ln(1 + e^x) without overflow. Below -36 it is e^x to the last bit of a double; else ln(1 + e^x)
/// loses at most 1e-16.
WARPBAG_HOST_DEVICE double softplus(double x) {
  if (x > 36.0) return x;
  if (x < -36.0) return exponential(x);
  return x > 0.0 ? x + logarithm(1.0 + exponential(-x)) : logarithm(1.0 + exponential(x));
}

/// Inverse of the normal distribution function for p in (0, 1): Wichura, Algorithm AS 241 (PPND16),
/// Applied Statistics 37 (1988), relative error about 1e-16.
WARPBAG_HOST_DEVICE double normal_quantile(double p) {
  const double q = p - 0.5;
  if ((q < 0.0 ? -q : q) <= 0.425) {
    const double numerator[] = {2.5090809287301226727e+3, 3.3430575583588128105e+4,
                                6.7265770927008700853e+4, 4.5921953931549871457e+4,
                                1.3731693765509461125e+4, 1.9715909503065514427e+3,
                                1.3314166789178437745e+2, 3.3871328727963666080e0};
    const double denominator[] = {5.2264952788528545610e+3, 2.8729085735721942674e+4,
                                  3.9307895800092710610e+4, 2.1213794301586595867e+4,
                                  5.3941960214247511077e+3, 6.8718700749205790830e+2,
                                  4.2313330701600911252e+1, 1.0};
    const double r = 0.180625 - q * q;
    return q * detail::horner(numerator, r) / detail::horner(denominator, r);
  }
  const double r = square_root(-logarithm(q < 0.0 ? p : 1.0 - p));
  double tail;
  if (r <= 5.0) {
    const double numerator[] = {7.74545014278341407640e-4, 2.27238449892691845833e-2,
                                2.41780725177450611770e-1, 1.27045825245236838258e0,
                                3.64784832476320460504e0,  5.76949722146069140550e0,
                                4.63033784615654529590e0,  1.42343711074968357734e0};
    const double denominator[] = {1.05075007164441684324e-9, 5.47593808499534494600e-4,
                                  1.51986665636164571966e-2, 1.48103976427480074590e-1,
                                  6.89767334985100004550e-1, 1.67638483018380384940e0,
                                  2.05319162663775882187e0,  1.0};
    tail = detail::horner(numerator, r - 1.6) / detail::horner(denominator, r - 1.6);
  } else {
    const double numerator[] = {2.01033439929228813265e-7, 2.71155556874348757815e-5,
                                1.24266094738807843860e-3, 2.65321895265761230930e-2,
                                2.96560571828504891230e-1, 1.78482653991729133580e0,
                                5.46378491116411436990e0,  6.65790464350110377720e0};
    const double denominator[] = {2.04426310338993978564e-15, 1.42151175831644588870e-7,
                                  1.84631831751005468180e-5,  7.86869131145613259100e-4,
                                  1.48753612908506148525e-2,  1.36929880922735805310e-1,
                                  5.99832206555887937690e-1,  1.0};
    tail = detail::horner(numerator, r - 5.0) / detail::horner(denominator, r - 5.0);
  }
  return q < 0.0 ? -tail : tail;
}

}  // namespace warpbag::numerics
