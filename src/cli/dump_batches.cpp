// SPDX-License-Identifier: Apache-2.0
#include "cli/dump_batches.hpp"

#include <span>
#include <string>
#include <string_view>

#include "warpbag/safetensors.hpp"

namespace warpbag::cli {

namespace {

/// Calls visit(name, type, bytes) for every array of a batch.
template <typename Visit>
void visit_batch(const std::string& prefix, const dataset& samples, const batch& from,
                 Visit&& visit) {
  const auto array = [&](const std::string& name, safetensors_type type, const auto& values) {
    visit(prefix + name, type, values.size(), std::as_bytes(std::span(values)));
  };
  for (std::size_t f = 0; f < from.features.size(); ++f) {
    const std::string name = "." + samples.features()[f].name;
    array(name + ".ids", safetensors_type::i64, from.features[f].ids);
    array(name + ".offsets", safetensors_type::i64, from.features[f].offsets);
    if (samples.features()[f].weighted) {
      array(name + ".weights", safetensors_type::f32, from.features[f].weights);
    }
  }
  array(".labels", safetensors_type::f32, from.labels);
}

}  // namespace

void dump_batches(const std::filesystem::path& file, const dataset& samples,
                  const batch_loader& loader, step_range steps,
                  const std::vector<std::int64_t>& validation) {
  batch buffer;
  const auto visit_all = [&](auto&& visit) {
    for (std::int64_t step = steps.first; step < steps.last; ++step) {
      loader.load(step, buffer);
      visit_batch("train." + std::to_string(step), samples, buffer, visit);
    }
    samples.gather(validation, buffer);
    visit_batch("validation.0", samples, buffer, visit);
  };
  // A safetensors file begins with all shapes, so the batches are made twice and never all held.
  std::vector<safetensors_entry> entries;
  visit_all([&](const std::string& name, safetensors_type type, std::size_t size,
                std::span<const std::byte>) {
    entries.push_back({name, type, {size}});
  });
  safetensors_writer writer(file, std::move(entries), {});
  visit_all([&](const std::string&, safetensors_type, std::size_t,
                std::span<const std::byte> bytes) { writer.write(bytes); });
  writer.commit();
}

}  // namespace warpbag::cli
