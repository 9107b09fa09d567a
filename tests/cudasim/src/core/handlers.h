// SPDX-License-Identifier: Apache-2.0
// Every instruction that is not arithmetic: what Op::fn may point to besides alu.h's functions.
#pragma once

#include "program.h"

namespace cudasim {

// load_store.cpp
void op_load(Lanes& l, const Op& o, uint32_t mask);
void op_store(Lanes& l, const Op& o, uint32_t mask);
void op_load_kernel_param(Lanes& l, const Op& o, uint32_t mask);
void op_load_frame_param(Lanes& l, const Op& o, uint32_t mask);
void op_store_frame_param(Lanes& l, const Op& o, uint32_t mask);

// atomics.cpp
void op_atomic(Lanes& l, const Op& o, uint32_t mask);

// address_ops.cpp
void op_isspacep(Lanes& l, const Op& o, uint32_t mask);
void op_cvta(Lanes& l, const Op& o, uint32_t mask);
void op_local_address(Lanes& l, const Op& o, uint32_t mask);
void op_mapa(Lanes& l, const Op& o, uint32_t mask);
void op_getctarank(Lanes& l, const Op& o, uint32_t mask);

// mbarrier.cpp
void op_mbarrier(Lanes& l, const Op& o, uint32_t mask);

// async_copy.cpp
void op_cp_async(Lanes& l, const Op& o, uint32_t mask);
void op_cp_async_group(Lanes& l, const Op& o, uint32_t mask);
void op_cp_async_arrive(Lanes& l, const Op& o, uint32_t mask);
void op_cp_bulk(Lanes& l, const Op& o, uint32_t mask);

// warp_ops.cpp
void op_shfl(Lanes& l, const Op& o, uint32_t mask);
void op_vote(Lanes& l, const Op& o, uint32_t mask);
void op_match(Lanes& l, const Op& o, uint32_t mask);
void op_redux(Lanes& l, const Op& o, uint32_t mask);
void op_elect(Lanes& l, const Op& o, uint32_t mask);
void op_activemask(Lanes& l, const Op& o, uint32_t mask);
void op_warp_barrier(Lanes& l, const Op& o, uint32_t mask);
void op_clock(Lanes& l, const Op& o, uint32_t mask);
void op_spin(Lanes& l, const Op& o, uint32_t mask);
void op_nothing(Lanes& l, const Op& o, uint32_t mask);

}  // namespace cudasim
