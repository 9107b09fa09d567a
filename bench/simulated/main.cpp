// SPDX-License-Identifier: Apache-2.0
// Runs one forward and, if wanted, one backward of a workload on the CUDA device, so that the
// simulator counts its kernels (CUDASIM_PROFILE), and prints the workload's floors as JSON.
// bench/sim_counters reads both.

#include <cuda_runtime_api.h>

#include <cstdio>
#include <exception>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "warpbag/collection.hpp"
#include "workload.hpp"

namespace warpbag::simulated {

namespace {

void check(cudaError_t error) {
  if (error != cudaSuccess) throw std::runtime_error(cudaGetErrorString(error));
}

class device_buffer {
 public:
  explicit device_buffer(std::size_t bytes) { check(cudaMalloc(&data_, bytes + 1)); }
  template <typename Element>
  explicit device_buffer(const std::vector<Element>& values)
      : device_buffer(values.size() * sizeof(Element)) {
    check(
        cudaMemcpy(data_, values.data(), values.size() * sizeof(Element), cudaMemcpyHostToDevice));
  }
  device_buffer(device_buffer&& other) noexcept : data_(std::exchange(other.data_, nullptr)) {}
  ~device_buffer() { cudaFree(data_); }
  void* data() const { return data_; }

 private:
  void* data_ = nullptr;
};

device_buffer upload_indices(const std::vector<std::int64_t>& indices, index_type type) {
  if (type == index_type::i64) return device_buffer(indices);
  return device_buffer(std::vector<std::int32_t>(indices.begin(), indices.end()));
}

/// A batch in device memory, and the views of it.
struct device_batch {
  std::vector<device_buffer> buffers;
  std::vector<jagged_view> bags;
  std::vector<tensor_view> outputs;
  std::vector<const_tensor_view> gradients;

  void add(const workload& load, std::int64_t table, const drawn_bags& drawn) {
    const std::int64_t dim = load.at(load.dim, table);
    const auto count = static_cast<std::int64_t>(drawn.ids.size());
    const auto elements = static_cast<std::size_t>(load.batch * dim);
    const index_view ids(kept(upload_indices(drawn.ids, load.ids)), load.ids, count);
    const auto* const weights =
        load.weighted ? static_cast<const float*>(
                            kept(device_buffer(std::vector<float>(drawn.ids.size(), 2))))
                      : nullptr;
    bags.push_back(
        load.csr
            ? jagged_view::csr(
                  ids, {kept(upload_indices(drawn.offsets, load.ids)), load.ids, load.batch + 1},
                  true, weights)
            : jagged_view::fixed(ids, load.batch, load.at(load.hotness, table), weights));
    outputs.emplace_back(kept(device_buffer(elements * sizeof(float))), dtype::f32, load.batch,
                         dim);
    gradients.emplace_back(kept(device_buffer(std::vector<float>(elements, 1))), dtype::f32,
                           load.batch, dim);
  }

 private:
  void* kept(device_buffer buffer) {
    buffers.push_back(std::move(buffer));
    return buffers.back().data();
  }
};

embedding_bag_collection make_collection(const workload& load, cudaStream_t stream) {
  std::vector<table_config> tables;
  std::vector<feature_config> features;
  for (std::int64_t t = 0; t < load.tables; ++t) {
    table_config table;
    table.name = "t" + std::to_string(t);
    table.num_embeddings = load.at(load.rows, t);
    table.embedding_dim = load.at(load.dim, t);
    table.type = load.type;
    table.init = initialization::zero;
    table.optimizer.kind = optimizer_kind::rowwise_adagrad;
    if (load.padded) table.padding_idx = 0;
    features.push_back({"f" + std::to_string(t), table.name, load.mode});
    tables.push_back(std::move(table));
  }
  resources where;
  where.where = {device_kind::cuda, 0};
  where.stream = stream;
  return {std::move(tables), std::move(features), where};
}

void print(const floors& sum) {
  std::printf("{\"lookups\": %lld, \"unique_rows\": %lld, \"hottest\": %lld, \"bags\": %lld, ",
              static_cast<long long>(sum.lookups), static_cast<long long>(sum.unique_rows),
              static_cast<long long>(sum.hottest), static_cast<long long>(sum.bags));
  std::printf("\"forward_read_bytes\": %lld, \"forward_write_bytes\": %lld, ",
              static_cast<long long>(sum.forward_read_bytes),
              static_cast<long long>(sum.forward_write_bytes));
  std::printf("\"backward_read_bytes\": %lld, \"backward_write_bytes\": %lld}\n",
              static_cast<long long>(sum.backward_read_bytes),
              static_cast<long long>(sum.backward_write_bytes));
}

void run(const workload& load) {
  cudaStream_t stream = nullptr;
  check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  {
    embedding_bag_collection collection = make_collection(load, stream);
    device_batch batch;
    floors sum;
    for (std::int64_t t = 0; t < load.tables; ++t) {
      const drawn_bags drawn = draw_bags(load, t);
      add_floors(load, t, drawn, sum);
      batch.add(load, t, drawn);
    }
    collection.forward(batch.bags, batch.outputs);
    if (load.backward) collection.backward(batch.bags, batch.gradients);
    collection.check();
    print(sum);
  }
  check(cudaStreamDestroy(stream));
}

}  // namespace

}  // namespace warpbag::simulated

int main(int argc, char** argv) {
  try {
    warpbag::simulated::run(
        warpbag::simulated::parse_workload(std::vector<std::string>(argv + 1, argv + argc)));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "warpbag_sim_counters: %s\n", error.what());
    return 1;
  }
  return 0;
}
