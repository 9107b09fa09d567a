// SPDX-License-Identifier: Apache-2.0
#pragma once
// What a warp of pool works on: its output rows, the bags that it reads for them, and where its
// lanes write.

#include "kernels/common/pool_record.cuh"
#include "kernels/common/records.cuh"
#include "kernels/common/row_format.cuh"
#include "kernels/common/warp.cuh"

namespace warpbag::kernels {

/// What a warp works on.
struct pool_job {
  const pool_record& record;
  const device_problem& problem;
  const long_bag_work& longs;
  bad_id_policy policy;
  dtype output_type;
};

/// Output rows of a warp, a strip of them; or tiles of positions, for the pieces of long bags.
struct pool_rows {
  std::uint32_t first;
  std::uint32_t count;
  std::int32_t strip;
  bool tiles;

  __device__ __forceinline__ std::uint32_t end_before(std::uint32_t all) const {
    return all - first < count ? all : first + count;
  }
};

/// Which of the warp's groups this lane is in.
__device__ __forceinline__ std::uint32_t group_index(const pool_job& job) {
  return static_cast<std::uint32_t>(lane_index()) >> job.record.shape.log_group;
}

/// Where this lane's parts of output rows go.
template <typename Format>
struct pool_output {
  const lane_parts<Format>& lane;
  void* rows;
  std::int64_t stride;
  std::int32_t dim;
  dtype type;
  bool whole;
  std::uint32_t row_bytes;
  std::uint32_t bytes_to_next;  // from one part to the next
  global_address first = 0;     // this lane's first part in row 0
  int usual_parts = -1;         // fp32, whole, rows below 4 GiB: parts that are columns of the row

  __device__ __forceinline__ pool_output(const pool_job& job, const lane_parts<Format>& lane)
      : lane(lane),
        rows(job.record.output),
        stride(job.record.output_stride),
        dim(job.record.dim),
        type(job.output_type),
        whole(job.record.shape.whole_output),
        row_bytes(static_cast<std::uint32_t>(stride) * 4),
        bytes_to_next((Format::width * 4U) << job.record.shape.log_group) {
    __builtin_assume(__isGlobal(rows));
    if (type == dtype::f32 && whole && stride < (std::int64_t{1} << 30)) {
      first = to_global(static_cast<const float*>(rows) + lane.column[0]);
      usual_parts = 0;
#pragma unroll
      for (int p = 0; p < Format::parts; ++p) usual_parts += lane.column[p] < dim ? 1 : 0;
    }
    // Else they are worked out again for every row.
    asm volatile("" : "+l"(first), "+r"(usual_parts));
  }

  __device__ __forceinline__ void store(std::uint32_t row,
                                        const lane_values<Format::elements>& values) const {
    if (usual_parts >= 0) {
      lane_parts<Format>::store_floats(address_of(first, row, row_bytes), bytes_to_next,
                                       usual_parts, values);
      return;
    }
    switch (type) {
      case dtype::f32: store_as<float>(row, values); return;
      case dtype::f16: store_as<numerics::f16>(row, values); return;
      case dtype::bf16: store_as<numerics::bf16>(row, values); return;
    }
  }

 private:
  template <typename Stored>
  __device__ __forceinline__ void store_as(std::uint32_t row,
                                           const lane_values<Format::elements>& values) const {
    constexpr int widest = 16 / static_cast<int>(sizeof(Stored));
    constexpr int width = Format::width < widest ? Format::width : widest;
    auto* const output = static_cast<Stored*>(rows) + row * stride;
    if (whole && sizeof(Stored) == 2) {
      lane.template store<Stored, width>(output, dim, values);
    } else {
      lane.template store<Stored, 1>(output, dim, values);
    }
  }
};

/// The bags of a feature.
template <typename Index>
struct pool_bags {
  const Index* ids;
  const Index* offsets;  // nullptr: fixed hotness
  const float* weights;  // nullptr: all 1
  std::uint32_t hotness;
  std::uint32_t num_bags;
  std::uint32_t open_bag;  // ends with the ids
  std::uint32_t num_ids;

  struct range {
    std::uint32_t begin;
    std::uint32_t length;
  };

  __device__ __forceinline__ explicit pool_bags(const pool_record& record)
      : ids(static_cast<const Index*>(record.ids)),
        offsets(static_cast<const Index*>(record.offsets)),
        weights(record.weights),
        hotness(record.hotness),
        num_bags(record.num_bags),
        open_bag(record.has_last_offset ? no_bag : record.num_bags - 1),
        num_ids(record.num_ids) {
    __builtin_assume(__isGlobal(ids));
  }

  __device__ __forceinline__ range operator[](std::uint32_t bag) const {
    if (offsets == nullptr) return {bag * hotness, hotness};
    __builtin_assume(__isGlobal(offsets));
    const auto begin = static_cast<std::uint32_t>(offsets[bag]);
    const std::uint32_t end =
        bag == open_bag ? num_ids : static_cast<std::uint32_t>(offsets[std::uint64_t{bag} + 1]);
    return {begin, end - begin};
  }

  /// Positions from here on belong to no bag.
  __device__ __forceinline__ std::uint32_t end() const {
    return offsets != nullptr && open_bag == no_bag ? static_cast<std::uint32_t>(offsets[num_bags])
                                                    : num_ids;
  }
};

template <typename Format>
__device__ __forceinline__ lane_parts<Format> lane_of(const pool_job& job, std::int32_t strip) {
  return {job.record.rows, job.record.row_stride, job.record.dim, job.record.shape.log_group,
          strip};
}

}  // namespace warpbag::kernels
