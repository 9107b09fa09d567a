// SPDX-License-Identifier: Apache-2.0
// Special registers.
#include "decoder.h"

namespace cudasim {

uint32_t Decoder::special(std::string_view n, uint32_t bytes) {
  static const std::map<std::string_view, uint32_t> warp = {
      {"%tid.x", kTidX},         {"%tid.y", kTidY},         {"%tid.z", kTidZ},
      {"%laneid", kLaneId},      {"%warpid", kWarpId},      {"%lanemask_eq", kMaskEq},
      {"%lanemask_le", kMaskLe}, {"%lanemask_lt", kMaskLt}, {"%lanemask_ge", kMaskGe},
      {"%lanemask_gt", kMaskGt}};
  static const std::map<std::string_view, uint32_t> block = {
      {"%ntid.x", kNtidX},
      {"%ntid.y", kNtidY},
      {"%ntid.z", kNtidZ},
      {"%ctaid.x", kCtaidX},
      {"%ctaid.y", kCtaidY},
      {"%ctaid.z", kCtaidZ},
      {"%nctaid.x", kNctaidX},
      {"%nctaid.y", kNctaidY},
      {"%nctaid.z", kNctaidZ},
      {"%nwarpid", kNWarpId},
      {"%smid", kSmId},
      {"%nsmid", kNSmId},
      {"%clusterid.x", kClusterIdX},
      {"%clusterid.y", kClusterIdY},
      {"%clusterid.z", kClusterIdZ},
      {"%nclusterid.x", kNClusterIdX},
      {"%nclusterid.y", kNClusterIdY},
      {"%nclusterid.z", kNClusterIdZ},
      {"%cluster_ctaid.x", kClusterCtaidX},
      {"%cluster_ctaid.y", kClusterCtaidY},
      {"%cluster_ctaid.z", kClusterCtaidZ},
      {"%cluster_nctaid.x", kClusterNctaidX},
      {"%cluster_nctaid.y", kClusterNctaidY},
      {"%cluster_nctaid.z", kClusterNctaidZ},
      {"%cluster_ctarank", kClusterCtaRank},
      {"%cluster_nctarank", kClusterNctaRank},
      {"%envreg1", kEnvReg1},
      {"%envreg2", kEnvReg2},
      {"%total_smem_size", kTotalSmem},
      {"%dynamic_smem_size", kDynamicSmem},
      {"%aggr_smem_size", kTotalSmem},
      {"%tid.w", kZero},
      {"%ntid.w", kZero},
      {"%ctaid.w", kZero},
      {"%nctaid.w", kZero}};
  if (auto it = warp.find(n); it != warp.end()) return widened(it->second * 128 | 2, bytes);
  if (auto it = block.find(n); it != block.end()) return widened(it->second * 128 | 3, bytes);
  if (n == "%is_explicit_cluster") return kIsExplicitCluster * 128 | 3;
  if (n == "%gridid")
    return bytes == 8 ? uint32_t(kGridId64) * 128 | 3 : uint32_t(kGridId) * 128 | 3;
  if (n.substr(0, 6) == "%clock" || n.substr(0, 12) == "%globaltimer") return clock(n, bytes);
  if (n.substr(0, 7) == "%envreg") return pool(bytes, 0);
  unsupported("special register " + std::string(n));
}

uint32_t Decoder::clock(std::string_view n, uint32_t bytes) {
  static const std::set<std::string_view> known = {
      "%clock", "%clock_hi", "%clock64", "%globaltimer", "%globaltimer_lo", "%globaltimer_hi"};
  if (!known.count(n)) unsupported("special register " + std::string(n));
  Op op = base();
  op.fn = op_clock;
  op.sub = n == "%clock_hi" || n == "%globaltimer_hi";
  op.sub2 = n.substr(0, 12) == "%globaltimer";
  op.dw = uint8_t(bytes);
  op.d = new_slot(bytes);
  op.counted = false;
  push(op);
  return op.d;
}

// A 32-bit special register read by an instruction of another width.
uint32_t Decoder::widened(uint32_t ref, uint32_t bytes) {
  if (bytes == 4) return ref;
  Op op = base();
  op.ty = bits_of(bytes);
  op.ty2 = Ty::u32;
  op.dw = uint8_t(bytes);
  op.aw = 4;
  op.a = ref;
  op.d = new_slot(bytes);
  op.counted = false;
  op.fn = alu_function(Alu::cvt, op);
  push(op);
  return op.d;
}

}  // namespace cudasim
