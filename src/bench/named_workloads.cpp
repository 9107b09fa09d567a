// SPDX-License-Identifier: Apache-2.0
// The workloads that libraries of this kind are judged by, with where each is from.
#include <array>

#include "bench/workload.hpp"
#include "warpbag/error.hpp"

namespace warpbag::bench {

namespace {

std::vector<workload_table> alike(std::size_t count, workload_table table) {
  return std::vector<workload_table>(count, table);
}

/// The defaults of FBGEMM's benchmark of split table-batched embeddings; its alpha of 1 means
/// uniform.
std::vector<workload> fbgemm_default() {
  return {{.name = "fbgemm-default", .tables = alike(32, {100'000, 128, 20}), .batch = 512}};
}

/// Two large tables, FBGEMM's comparison of GPUs of two makers.
std::vector<workload> fbgemm_large() {
  return {{.name = "fbgemm-large",
           .tables = alike(2, {10'000'000, 192, 32}),
           .batch = 65536,
           .law = id_law::zipf,
           .alpha = 1.15}};
}

/// The headline of cuEmbed's README.
std::vector<workload> cuembed_readme() {
  return {{.name = "cuembed-readme",
           .tables = {{10'000'000, 256, 64}},
           .batch = 65536,
           .type = dtype::f16,
           .ids = index_type::i32,
           .law = id_law::power_law,
           .alpha = 1.15}};
}

/// cuEmbed's sweep_parameters.sh: 108 points.
std::vector<workload> cuembed_sweep() {
  std::vector<workload> points;
  for (const double alpha : {0.0, 1.05, 1.15}) {
    for (const std::int64_t rows : {1'000'000, 10'000'000}) {
      for (const std::int64_t dim : {32, 128}) {
        for (const std::int64_t batch : {1024, 32768, 131072}) {
          for (const std::int64_t hotness : {1, 16, 64}) {
            points.push_back({.name = "cuembed-sweep",
                              .tables = {{rows, dim, hotness}},
                              .batch = batch,
                              .ids = index_type::i32,
                              .law = alpha == 0.0 ? id_law::uniform : id_law::power_law,
                              .alpha = alpha});
          }
        }
      }
    }
  }
  return points;
}

/// dynamicemb's benchmark of batched tables: ten features, 1,048,570 lookups, no pooling.
std::vector<workload> dynamicemb() {
  return {{.name = "dynamicemb",
           .tables = alike(10, {8'000'000, 128, 1}),
           .batch = 104'857,
           .pooling = pooling_mode::none,
           .law = id_law::power_law,
           .alpha = 1.05}};
}

/// MLPerf training, DLRM-DCNv2 on the multi-hot Criteo set: rows and ids a bag of each feature; the
/// batch of one of eight GPUs.
std::vector<workload> dlrm_v2() {
  constexpr std::array<std::int64_t, 26> rows = {
      40'000'000, 39'060,     17'295,     7'424,      20'265,  3,      7'122, 1'543, 63,
      40'000'000, 3'067'956,  405'282,    10,         2'209,   11'938, 155,   4,     976,
      14,         40'000'000, 40'000'000, 40'000'000, 590'152, 12'973, 108,   36};
  constexpr std::array<std::int64_t, 26> hotness = {3, 2, 1, 2, 6, 1, 1,  1,   1,  7,  3, 8, 1,
                                                    6, 9, 5, 1, 1, 1, 12, 100, 27, 10, 3, 1, 1};
  workload all = {.name = "dlrm-v2", .batch = 6912, .law = id_law::power_law, .alpha = 1.1};
  for (std::size_t t = 0; t < rows.size(); ++t) all.tables.push_back({rows[t], 128, hotness[t]});
  return {all};
}

/// So small that launching is all the work: TorchRec issue 2365.
std::vector<workload> tiny_tables() {
  std::vector<workload> points;
  for (const std::int64_t dim : {16, 64, 256, 1024}) {
    points.push_back({.name = "tiny-tables", .tables = alike(4, {1000, dim, 10}), .batch = 1024});
  }
  return points;
}

/// What kernels tuned for the average do worst.
std::vector<workload> adversarial() {
  const workload base = {.name = "adversarial", .tables = {{1'000'000, 128, 32}}, .batch = 32768};
  std::vector<workload> points;
  workload point = base;
  point.law = id_law::all_equal;
  points.push_back(point);
  point = base;
  point.tables = {{3, 128, 32}};
  points.push_back(point);
  point = base;
  point.shape = bag_shape::one_long;
  points.push_back(point);
  for (const std::int64_t dim : {1, 3, 5, 33, 2052}) {
    point = base;
    point.tables = {{dim > 1000 ? 50'000 : 1'000'000, dim, 8}};
    points.push_back(point);
  }
  point = base;
  point.all_padding = true;
  points.push_back(point);
  point = base;
  point.bad_share = 0.01;
  points.push_back(point);
  point = base;
  point.tables = {{17'000'000, 128, 32}};  // more than 2^31 elements, given 4.4 GiB of memory
  point.type = dtype::f16;
  points.push_back(point);
  return points;
}

struct named {
  std::string_view name;
  std::vector<workload> (*make)();
};

constexpr named all[] = {{"fbgemm-default", fbgemm_default}, {"fbgemm-large", fbgemm_large},
                         {"cuembed-readme", cuembed_readme}, {"cuembed-sweep", cuembed_sweep},
                         {"dynamicemb", dynamicemb},         {"dlrm-v2", dlrm_v2},
                         {"tiny-tables", tiny_tables},       {"adversarial", adversarial}};

}  // namespace

std::vector<std::string_view> workload_names() {
  std::vector<std::string_view> names;
  for (const named& one : all) names.push_back(one.name);
  return names;
}

std::vector<workload> named_workloads(std::string_view name) {
  const std::string_view family = name.substr(0, name.find('['));
  for (const named& one : all) {
    if (one.name != family) continue;
    std::vector<workload> points = one.make();
    for (std::size_t i = 0; points.size() > 1 && i < points.size(); ++i) {
      points[i].name += "[" + std::to_string(i) + "]";
    }
    if (name != family)
      std::erase_if(points, [&](const auto& point) { return point.name != name; });
    if (!points.empty()) return points;
  }
  throw invalid_argument("no workload '" + std::string(name) + "'");
}

}  // namespace warpbag::bench
