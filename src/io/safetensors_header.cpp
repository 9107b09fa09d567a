// SPDX-License-Identifier: Apache-2.0
#include "io/safetensors_header.hpp"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>
#include <set>
#include <utility>

#include "warpbag/error.hpp"

namespace warpbag {
namespace {

struct type_row {
  safetensors_type type;
  std::string_view name;
  std::size_t bytes;
};

constexpr std::array<type_row, 8> type_rows = {{{safetensors_type::f16, "F16", 2},
                                                {safetensors_type::bf16, "BF16", 2},
                                                {safetensors_type::f32, "F32", 4},
                                                {safetensors_type::f64, "F64", 8},
                                                {safetensors_type::i32, "I32", 4},
                                                {safetensors_type::i64, "I64", 8},
                                                {safetensors_type::u64, "U64", 8},
                                                {safetensors_type::u8, "U8", 1}}};

}  // namespace

std::size_t size_of(safetensors_type type) noexcept {
  return type_rows[static_cast<std::size_t>(type)].bytes;
}

std::string_view to_string(safetensors_type type) {
  return type_rows[static_cast<std::size_t>(type)].name;
}

std::uint64_t safetensors_entry::num_bytes() const {
  constexpr std::uint64_t max_bytes = (std::uint64_t{1} << 63) - 1;
  std::uint64_t bytes = size_of(type);
  for (const std::uint64_t extent : shape) {
    if (extent != 0 && bytes > max_bytes / extent) {
      throw invalid_argument("tensor '" + name + "': the size of its shape overflows");
    }
    bytes *= extent;
  }
  return bytes;
}

namespace io {
namespace {

constexpr const char* metadata_key = "__metadata__";

/// Reads the parts of a header; each function throws corrupt_file that names the part.
class header_parser {
 public:
  header_parser(std::uint64_t data_bytes, const std::string& file)
      : data_bytes_(data_bytes), file_(file) {}

  safetensors_header parse(std::string_view text) const {
    if (!text.starts_with('{')) fail("the header does not begin with '{'");
    safetensors_header header;
    std::vector<tensor> tensors;
    const nlohmann::json parsed = parse_json(text);
    for (const auto& [name, value] : parsed.items()) {
      if (name == metadata_key) {
        header.metadata = parse_metadata(value);
      } else {
        tensors.push_back(parse_tensor(name, value));
      }
    }
    // Empty tensors share their place with the one after them and must come before it.
    std::sort(tensors.begin(), tensors.end(), [](const tensor& a, const tensor& b) {
      return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
    });
    std::uint64_t place = 0;
    for (tensor& one : tensors) {
      if (one.begin != place) {
        fail("tensor '" + one.entry.name + "' begins at byte " + std::to_string(one.begin) +
             ", the bytes before it end at " + std::to_string(place));
      }
      place = one.end;
      header.begins.push_back(one.begin);
      header.entries.push_back(std::move(one.entry));
    }
    if (place != data_bytes_) {
      fail("the tensors end at byte " + std::to_string(place) + ", the file holds " +
           std::to_string(data_bytes_));
    }
    return header;
  }

 private:
  struct tensor {
    safetensors_entry entry;
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
  };

  [[noreturn]] void fail(const std::string& problem) const {
    throw corrupt_file("'" + file_ + "': " + problem);
  }

  // A key that is there twice would silently hide one of its tensors; deep nesting is no header.
  nlohmann::json parse_json(std::string_view text) const {
    std::vector<std::set<std::string>> keys;
    const auto watch = [&](int depth, nlohmann::json::parse_event_t event,
                           const nlohmann::json& parsed) {
      if (depth > 3) fail("the header is nested too deeply");
      if (event == nlohmann::json::parse_event_t::object_start) keys.emplace_back();
      if (event == nlohmann::json::parse_event_t::object_end) keys.pop_back();
      if (event == nlohmann::json::parse_event_t::key &&
          !keys.back().insert(parsed.get<std::string>()).second) {
        fail("key '" + parsed.get<std::string>() + "' is in the header twice");
      }
      return true;
    };
    try {
      return nlohmann::json::parse(text, watch);
    } catch (const nlohmann::json::exception& problem) {
      fail(std::string("the header is not JSON: ") + problem.what());
    }
  }

  safetensors_metadata parse_metadata(const nlohmann::json& value) const {
    if (!value.is_object()) fail("the metadata is not an object");
    safetensors_metadata metadata;
    for (const auto& [key, text] : value.items()) {
      if (!text.is_string()) fail("metadata '" + key + "' is not a string");
      metadata[key] = text.get<std::string>();
    }
    return metadata;
  }

  tensor parse_tensor(const std::string& name, const nlohmann::json& value) const {
    const std::string subject = "tensor '" + name + "'";
    if (!value.is_object() || value.size() != 3 || !value.contains("dtype") ||
        !value.contains("shape") || !value.contains("data_offsets")) {
      fail(subject + " does not have exactly dtype, shape and data_offsets");
    }
    tensor out;
    out.entry = {name, parse_type(value["dtype"], subject), parse_numbers(value["shape"], subject)};
    const std::vector<std::uint64_t> offsets = parse_numbers(value["data_offsets"], subject);
    if (offsets.size() != 2 || offsets[0] > offsets[1] || offsets[1] > data_bytes_) {
      fail(subject + ": its data_offsets are not a range of the file's " +
           std::to_string(data_bytes_) + " bytes");
    }
    out.begin = offsets[0];
    out.end = offsets[1];
    if (size_in_file(out.entry) != out.end - out.begin) {
      fail(subject + ": its shape takes " + std::to_string(size_in_file(out.entry)) +
           " bytes, its data_offsets give " + std::to_string(out.end - out.begin));
    }
    return out;
  }

  safetensors_type parse_type(const nlohmann::json& value, const std::string& subject) const {
    if (value.is_string()) {
      const auto found = std::find_if(type_rows.begin(), type_rows.end(), [&](const type_row& row) {
        return row.name == value.get_ref<const std::string&>();
      });
      if (found != type_rows.end()) return found->type;
    }
    fail(subject + ": dtype " + value.dump() + " is not one that warpbag reads");
  }

  std::vector<std::uint64_t> parse_numbers(const nlohmann::json& value,
                                           const std::string& subject) const {
    if (!value.is_array()) fail(subject + ": shape and data_offsets must be arrays");
    std::vector<std::uint64_t> numbers;
    for (const nlohmann::json& number : value) {
      if (!number.is_number_unsigned()) {
        fail(subject + ": " + number.dump() + " in shape or data_offsets is no whole number >= 0");
      }
      numbers.push_back(number.get<std::uint64_t>());
    }
    return numbers;
  }

  std::uint64_t size_in_file(const safetensors_entry& entry) const {
    try {
      return entry.num_bytes();
    } catch (const invalid_argument& problem) {
      fail(problem.what());
    }
  }

  std::uint64_t data_bytes_;
  const std::string& file_;
};

void check_names(const std::vector<safetensors_entry>& entries) {
  std::set<std::string_view> names;
  for (const safetensors_entry& entry : entries) {
    if (entry.name.empty() || entry.name == metadata_key) {
      throw invalid_argument("a tensor cannot be named '" + entry.name + "'");
    }
    if (!names.insert(entry.name).second) {
      throw invalid_argument("two tensors are named '" + entry.name + "'");
    }
  }
}

}  // namespace

std::string write_header(const std::vector<safetensors_entry>& entries,
                         const safetensors_metadata& metadata) {
  check_names(entries);
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header[metadata_key] = metadata;
  std::uint64_t place = 0;
  for (const safetensors_entry& entry : entries) {
    const std::uint64_t end = place + entry.num_bytes();
    if (end < place) throw invalid_argument("the tensors take more than 2^64 bytes together");
    header[entry.name] = {
        {"dtype", to_string(entry.type)}, {"shape", entry.shape}, {"data_offsets", {place, end}}};
    place = end;
  }
  std::string text;
  try {
    text = header.dump();
  } catch (const nlohmann::json::exception& problem) {
    throw invalid_argument(std::string("a name or metadata is not UTF-8: ") + problem.what());
  }
  text.append((length_bytes - text.size() % length_bytes) % length_bytes, ' ');
  if (text.size() > max_header_bytes) {
    throw invalid_argument("a safetensors header of " + std::to_string(text.size()) + " bytes");
  }
  std::string out;
  for (std::uint64_t k = 0; k < length_bytes; ++k) {
    out += static_cast<char>(text.size() >> (8 * k) & 0xFF);
  }
  return out + text;
}

safetensors_header parse_header(std::string_view text, std::uint64_t data_bytes,
                                const std::string& file) {
  return header_parser(data_bytes, file).parse(text);
}

}  // namespace io
}  // namespace warpbag
