// SPDX-License-Identifier: Apache-2.0
#include "sharding/moved_bags.hpp"

#include <algorithm>
#include <numeric>

#include "sharding/bag_offsets.hpp"

namespace warpbag::sharding {

namespace {

using operations::feature_record;

/// Rows of the output gradient that go with some bags.
std::int64_t gradient_rows(const feature_record& feature, std::int64_t bags, std::int64_t lookups) {
  return feature.mode == pooling_mode::none ? lookups : bags;
}

std::int64_t bytes_of(index_type type) { return static_cast<std::int64_t>(size_of(type)); }
std::int64_t bytes_of(dtype type) { return static_cast<std::int64_t>(size_of(type)); }

const void* at(const void* memory, std::int64_t bytes) {
  return static_cast<const std::byte*>(memory) + bytes;
}

/// body(side, slice) for each slice of the feature that `home` sums and `from` has samples of.
template <typename Body>
void for_each_home_slice(const batch_cut& cut, int from, int home, Body body) {
  for (const cut_side side : cut_sides) {
    const std::int32_t slice = cut.home_slice(home, side);
    if (slice >= 0 && cut.samples_in(from, slice).size() > 0) body(side, slice);
  }
}

}  // namespace

moved_bags::moved_bags(operations::device_access& access)
    : access_(&access), memory_{working_memory(access), working_memory(access)} {}

std::vector<std::int64_t> moved_bags::announce(const collection::call_records& call,
                                               std::span<const batch_cut> cuts, int rank, int to) {
  std::vector<std::int64_t> words;
  for (std::size_t f = 0; f < cuts.size(); ++f) {
    for_each_home_slice(cuts[f], rank, to, [&](cut_side, std::int32_t slice) {
      const sample_range bags = cuts[f].samples_in(rank, slice);
      const auto offsets =
          read_offsets(*access_, call.features[f], call.ids_type, bags.begin, bags.end);
      words.push_back(call.features[f].weights != nullptr ? 1 : 0);
      for (std::size_t i = 0; i + 1 < offsets.size(); ++i) {
        words.push_back(offsets[i + 1] - offsets[i]);
      }
    });
  }
  return words;
}

std::int64_t moved_bags::announced_size(std::span<const batch_cut> cuts, int from, int rank) {
  std::int64_t size = 0;
  for (const batch_cut& cut : cuts) {
    for_each_home_slice(cut, from, rank, [&](cut_side, std::int32_t slice) {
      size += 1 + cut.samples_in(from, slice).size();
    });
  }
  return size;
}

moved_bags::bag_run moved_bags::run_of(const collection::call_records& call, std::size_t feature,
                                       const sample_range& bags) {
  const auto offsets =
      read_offsets(*access_, call.features[feature], call.ids_type, bags.begin, bags.end);
  return {bags, {offsets.front(), offsets.back()}};
}

void moved_bags::send(const collection::call_records& call, std::size_t f, const bag_run& run,
                      int to, std::vector<send_piece>& sends) {
  const feature_record& feature = call.features[f];
  const std::int64_t dim = call.tables[static_cast<std::size_t>(feature.table)].dim;
  const std::int64_t id_bytes = bytes_of(call.ids_type);
  constexpr auto weight_bytes = static_cast<std::int64_t>(sizeof(float));
  sends.push_back(
      {to, at(feature.ids, run.lookups.begin * id_bytes), run.lookups.size() * id_bytes});
  if (feature.weights != nullptr) {
    sends.push_back({to, feature.weights + run.lookups.begin, run.lookups.size() * weight_bytes});
  }
  const sample_range rows = feature.mode == pooling_mode::none ? run.lookups : run.bags;
  const std::int64_t element = bytes_of(call.gradient_type);
  const void* gradient = at(feature.gradient, rows.begin * feature.gradient_stride * element);
  if (feature.gradient_stride != dim && rows.size() > 0) {
    packed_gradients_.emplace_back(*access_, static_cast<std::size_t>(rows.size() * dim * element));
    const tensor_view packed(packed_gradients_.back().data(), call.gradient_type, rows.size(), dim);
    access_->copy_rows(packed, const_tensor_view(gradient, call.gradient_type, rows.size(), dim,
                                                 feature.gradient_stride));
    gradient = packed.data;
  }
  sends.push_back({to, gradient, rows.size() * dim * element});
  if (feature.mode == pooling_mode::max) {
    sends.push_back({to, feature.max_positions + run.bags.begin * dim,
                     run.bags.size() * dim * static_cast<std::int64_t>(sizeof(std::int32_t))});
  }
}

/// Reads the announcements: read[rank] is how much of rank's has been read.
std::vector<moved_bags::feature_arrivals> moved_bags::arrivals(
    std::span<const batch_cut> cuts, int rank, cut_side wanted_side,
    std::span<const std::vector<std::int64_t>> announced, std::vector<std::size_t>& read) {
  std::vector<feature_arrivals> result(cuts.size());
  for (std::size_t f = 0; f < cuts.size(); ++f) {
    feature_arrivals& arriving = result[f];
    arriving.offsets.push_back(0);
    arriving.from.resize(announced.size());
    for (std::size_t from = 0; from < announced.size(); ++from) {
      for_each_home_slice(
          cuts[f], static_cast<int>(from), rank, [&](cut_side side, std::int32_t slice) {
            const std::int64_t bags = cuts[f].samples_in(static_cast<int>(from), slice).size();
            const std::int64_t* const words = announced[from].data() + read[from];
            read[from] += static_cast<std::size_t>(1 + bags);
            if (side != wanted_side) return;
            arriving_bags& group = arriving.from[from];
            group.bags = bags;
            group.weighted = words[0] != 0;
            arriving.weighted |= group.weighted;
            for (std::int64_t i = 0; i < bags; ++i) {
              arriving.offsets.push_back(arriving.offsets.back() + words[1 + i]);
              group.lookups += words[1 + i];
            }
          });
    }
  }
  return result;
}

/// The call on the bags of one side, in memory that they will arrive in.
void moved_bags::place(const collection::call_records& call, std::span<const batch_cut> cuts,
                       int rank, cut_side side, const std::vector<feature_arrivals>& arriving) {
  struct offsets {
    std::int64_t ids, offsets, weights, gradient, winners;
  };
  memory_cut cut;
  std::vector<offsets> placed;
  const std::int64_t id_bytes = bytes_of(call.ids_type);
  for (std::size_t f = 0; f < arriving.size(); ++f) {
    const feature_record& feature = call.features[f];
    const std::int64_t dim = call.tables[static_cast<std::size_t>(feature.table)].dim;
    const std::int64_t lookups = arriving[f].offsets.back();
    const std::int64_t bags = std::ssize(arriving[f].offsets) - 1;
    const std::int64_t elements = gradient_rows(feature, bags, lookups) * dim;
    placed.push_back({cut.add<std::byte>(lookups * id_bytes),
                      cut.add<std::byte>((bags + 1) * id_bytes),
                      cut.add<float>(arriving[f].weighted ? lookups : 0),
                      cut.add<std::byte>(elements * bytes_of(call.gradient_type)),
                      cut.add<std::int32_t>(feature.mode == pooling_mode::max ? bags * dim : 0)});
  }
  std::byte* const memory = memory_[index_of(side)].get_bytes(cut.bytes());
  collection::call_records& moved = calls_[index_of(side)];
  moved = call;
  for (std::size_t f = 0; f < arriving.size(); ++f) {
    feature_record feature;  // what is not set here no later operation asks for
    feature.table = call.features[f].table;
    feature.mode = call.features[f].mode;
    feature.num_ids = arriving[f].offsets.back();
    feature.num_bags = std::ssize(arriving[f].offsets) - 1;
    feature.has_last_offset = true;
    feature.ids = memory + placed[f].ids;
    feature.offsets = memory + placed[f].offsets;
    if (arriving[f].weighted) {
      feature.weights = reinterpret_cast<float*>(memory + placed[f].weights);
    }
    feature.gradient = memory + placed[f].gradient;
    feature.gradient_stride = call.tables[static_cast<std::size_t>(feature.table)].dim;
    feature.max_positions = reinterpret_cast<std::int32_t*>(memory + placed[f].winners);
    feature.batch = cuts[f].batch();
    const std::int32_t slice = cuts[f].home_slice(rank, side);
    if (slice >= 0) feature.first_sample = first_sample_of_slice(slice, feature.batch);
    moved.features[f] = feature;
    write_indices(*access_, arriving[f].offsets, call.ids_type, memory + placed[f].offsets);
  }
  lay_out(moved);
}

/// From every rank, in the order of `send`. Lookups without weights among weighted ones weigh 1.
void moved_bags::list_receives(cut_side side, const std::vector<feature_arrivals>& arriving,
                               std::vector<receive_piece>& receives) {
  const collection::call_records& moved = calls_[index_of(side)];
  const std::int64_t id_bytes = bytes_of(moved.ids_type);
  for (std::size_t f = 0; f < arriving.size(); ++f) {
    const feature_record& feature = moved.features[f];
    const std::int64_t row_bytes = feature.gradient_stride * bytes_of(moved.gradient_type);
    std::int64_t lookup = 0;
    std::int64_t bag = 0;
    for (std::size_t from = 0; from < arriving[f].from.size(); ++from) {
      const arriving_bags& group = arriving[f].from[from];
      const int peer = static_cast<int>(from);
      const auto add = [&](const void* to, std::int64_t first, std::int64_t count,
                           std::int64_t bytes) {
        auto* const place = static_cast<std::byte*>(const_cast<void*>(to)) + first * bytes;
        receives.push_back({peer, place, count * bytes});
      };
      add(feature.ids, lookup, group.lookups, id_bytes);
      if (group.weighted) {
        add(feature.weights, lookup, group.lookups, sizeof(float));
      } else if (feature.weights != nullptr && group.lookups > 0) {
        const std::vector<float> ones(static_cast<std::size_t>(group.lookups), 1.0F);
        access_->write(const_cast<float*>(feature.weights) + lookup, ones.data(),
                       ones.size() * sizeof(float));
      }
      add(feature.gradient, gradient_rows(feature, bag, lookup),
          gradient_rows(feature, group.bags, group.lookups), row_bytes);
      if (feature.mode == pooling_mode::max) {
        add(feature.max_positions, bag, group.bags,
            feature.gradient_stride * static_cast<std::int64_t>(sizeof(std::int32_t)));
      }
      lookup += group.lookups;
      bag += group.bags;
    }
  }
}

std::int64_t moved_bags::exchange(rank_calls& calls, const collection::call_records& call,
                                  std::span<const batch_cut> cuts,
                                  std::span<const std::vector<std::int64_t>> announced) {
  std::vector<send_piece> sends;
  std::vector<receive_piece> receives;
  packed_gradients_.clear();
  for (const cut_side side : cut_sides) {
    for (std::size_t f = 0; f < cuts.size(); ++f) {
      for (int to = 0; to < calls.size(); ++to) {
        const std::int32_t slice = cuts[f].home_slice(to, side);
        if (slice < 0) continue;
        const sample_range bags = cuts[f].samples_in(calls.rank(), slice);
        if (bags.size() > 0) send(call, f, run_of(call, f, bags), to, sends);
      }
    }
    std::vector<std::size_t> read(announced.size(), 0);
    const auto arriving = arrivals(cuts, calls.rank(), side, announced, read);
    place(call, cuts, calls.rank(), side, arriving);
    list_receives(side, arriving, receives);
  }
  return calls.exchange(sends, receives);
}

}  // namespace warpbag::sharding
