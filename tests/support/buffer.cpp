// SPDX-License-Identifier: Apache-2.0
#include "support/buffer.hpp"

#include <bit>
#include <cstring>
#include <sstream>

#include "numerics/float_formats.hpp"
#include "warpbag/optimizer.hpp"

namespace warpbag::support {

std::size_t size_of(element_kind kind) {
  switch (kind) {
    case element_kind::f32:
    case element_kind::i32: return 4;
    case element_kind::f16:
    case element_kind::bf16: return 2;
    case element_kind::i64: return 8;
    case element_kind::step: return sizeof(step_state);
  }
  return 0;
}

element_kind kind_of(dtype type) {
  if (type == dtype::f32) return element_kind::f32;
  return type == dtype::f16 ? element_kind::f16 : element_kind::bf16;
}

element_kind kind_of(index_type type) {
  return type == index_type::i32 ? element_kind::i32 : element_kind::i64;
}

buffer::buffer(element_kind kind_, std::int64_t rows, std::int64_t stride_, std::int64_t lead_)
    : present(true),
      kind(kind_),
      stride(stride_),
      lead(lead_),
      bytes(static_cast<std::size_t>(lead_ + rows * stride_) * size_of(kind_), std::byte{0xA5}) {
  bytes.reserve(16);  // an empty array has an address too
}

void buffer::set(std::int64_t index, float value) {
  switch (kind) {
    case element_kind::f32: as<float>()[index] = value; return;
    case element_kind::f16:
      as<numerics::f16>()[index] = numerics::narrow<numerics::f16>(value);
      return;
    default: as<numerics::bf16>()[index] = numerics::narrow<numerics::bf16>(value); return;
  }
}

void buffer::set(std::int64_t index, std::int64_t value) {
  if (kind == element_kind::i32) {
    as<std::int32_t>()[index] = static_cast<std::int32_t>(value);
  } else {
    as<std::int64_t>()[index] = value;
  }
}

float buffer::number(std::int64_t index) const {
  switch (kind) {
    case element_kind::f32: return as<float>()[index];
    case element_kind::f16: return numerics::widen(as<numerics::f16>()[index]);
    default: return numerics::widen(as<numerics::bf16>()[index]);
  }
}

namespace {

bool is_float(element_kind kind) {
  return kind == element_kind::f32 || kind == element_kind::f16 || kind == element_kind::bf16;
}

std::string hexadecimal(const std::byte* bytes, std::size_t size) {
  std::ostringstream text;
  text << "0x" << std::hex;
  for (std::size_t i = size; i-- > 0;) {
    text << (static_cast<unsigned>(bytes[i]) >> 4) << (static_cast<unsigned>(bytes[i]) & 15U);
  }
  return text.str();
}

std::string described(const buffer& x, std::int64_t index) {
  const std::size_t size = size_of(x.kind);
  const std::byte* at = x.data() + index * static_cast<std::int64_t>(size);
  std::ostringstream text;
  text.precision(9);
  if (is_float(x.kind)) {
    text << x.number(index) << " (" << hexadecimal(at, size) << ")";
  } else if (x.kind == element_kind::step) {
    const step_state& step = x.as<step_state>()[index];
    text << "step " << step.step << ", learning rate " << step.learning_rate << ", beta powers "
         << step.beta1_power << " " << step.beta2_power;
  } else {
    text << (x.kind == element_kind::i32 ? x.as<std::int32_t>()[index]
                                         : x.as<std::int64_t>()[index]);
  }
  return text.str();
}

bool both_nan(const buffer& a, const buffer& b, std::int64_t index) {
  if (!is_float(a.kind)) return false;
  const float x = a.number(index);
  const float y = b.number(index);
  return x != x && y != y;
}

}  // namespace

std::string difference(const buffer& expected, const buffer& actual) {
  if (expected.bytes.size() != actual.bytes.size()) {
    return "sizes differ: " + std::to_string(expected.bytes.size()) + " and " +
           std::to_string(actual.bytes.size()) + " bytes";
  }
  if (expected.bytes == actual.bytes) return {};
  const std::size_t size = size_of(expected.kind);
  std::int64_t first = 0;
  std::int64_t count = 0;
  const std::int64_t end = static_cast<std::int64_t>(expected.bytes.size() / size) - expected.lead;
  for (std::int64_t index = -expected.lead; index < end; ++index) {
    const std::int64_t offset = index * static_cast<std::int64_t>(size);
    if (std::memcmp(expected.data() + offset, actual.data() + offset, size) == 0) continue;
    if (both_nan(expected, actual, index)) continue;
    if (count == 0) first = index;
    ++count;
  }
  if (count == 0) return {};
  std::ostringstream text;
  text << count << " of " << end << " elements differ, first [" << first / expected.stride << ", "
       << first % expected.stride << "]: expected " << described(expected, first) << ", got "
       << described(actual, first);
  return text.str();
}

}  // namespace warpbag::support
