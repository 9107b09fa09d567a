// SPDX-License-Identifier: Apache-2.0
#include "warpbag/types.hpp"

namespace warpbag {

std::string_view to_string(dtype type) {
  switch (type) {
    case dtype::f32: return "f32";
    case dtype::f16: return "f16";
    case dtype::bf16: return "bf16";
  }
  return "?";
}

std::string_view to_string(index_type type) { return type == index_type::i32 ? "i32" : "i64"; }

std::string_view to_string(pooling_mode mode) {
  switch (mode) {
    case pooling_mode::sum: return "sum";
    case pooling_mode::mean: return "mean";
    case pooling_mode::max: return "max";
    case pooling_mode::none: return "none";
  }
  return "?";
}

std::string_view to_string(bad_id_policy policy) {
  switch (policy) {
    case bad_id_policy::error: return "error";
    case bad_id_policy::skip: return "skip";
    case bad_id_policy::zero: return "zero";
  }
  return "?";
}

std::string_view to_string(device_kind kind) { return kind == device_kind::cpu ? "cpu" : "cuda"; }

}  // namespace warpbag
