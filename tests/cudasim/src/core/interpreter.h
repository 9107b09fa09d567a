// SPDX-License-Identifier: Apache-2.0
// Runs one grid: block scheduling in grid.cpp, start-up in block.cpp, the instruction loop in
// warp.cpp, divergence in fragments.cpp, barriers in barrier.cpp, calls in call.cpp.
#pragma once

#include "machine.h"

namespace cudasim {

// v grown to hold `bytes` from the 64-byte aligned address that is returned.
uint8_t* aligned_storage(std::vector<uint8_t>& v, size_t bytes);

class Machine {
 public:
  explicit Machine(Grid& g) : g_(g), p_(*g.program) {}

  void run_grid();

 private:
  // grid.cpp
  void admit_blocks();
  void admit_cluster();
  Block* take_block();
  uint64_t run_resident();
  uint64_t run_block(Block& b);
  void make_progress();
  void retire_blocks();
  [[noreturn]] void deadlock();
  [[noreturn]] void hung();

  // block.cpp
  void start_block(Block& b, uint64_t index, Cluster* cluster, uint32_t rank);
  void fill_specials(Block& b);
  void start_warp(Block& b, Warp& w, uint32_t id);
  Frame* new_frame(Warp& w, const FunctionCode& fn, Frame* parent);
  void reserve_stack(Warp& w, const Frame& f);

  // warp.cpp. The handlers of control instructions return false when the running fragment goes on
  // with the next instruction, and true when the fragments have changed and one must be chosen.
  uint64_t run_warp(Warp& w, uint64_t slice);
  bool branch(Warp& w, const Op& op, uint32_t m, uint32_t pc);
  bool branch_indexed(Warp& w, const Op& op, uint32_t m, uint32_t pc);
  bool synchronise(Warp& w, const Op& op, uint32_t m, uint32_t pc);
  bool barrier(Warp& w, const Op& op, uint32_t m, uint32_t pc);
  bool cluster_barrier(Warp& w, const Op& op, uint32_t m, uint32_t pc);
  bool exit(Warp& w, uint32_t m, uint32_t pc);
  bool call(Warp& w, const Op& op, uint32_t m, uint32_t pc);
  bool ret(Warp& w, uint32_t m, uint32_t pc);
  bool control(Warp& w, const Op& op, uint32_t m, uint32_t pc);
  void count(Warp& w, uint64_t warp_instructions, uint64_t thread_instructions);

  // fragments.cpp
  bool choose(Warp& w, uint32_t& stop);
  void merge_fragments(Warp& w);
  bool runnable(Warp& w, const Fragment& f);
  uint32_t sync_ready(Warp& w, const Op& op, uint32_t m);
  void release_rendezvous(Warp& w, const Op& op, uint32_t ready);
  void push_fragment(Warp& w, uint32_t pc, uint32_t mask, Frame* frame,
                     Fragment::State state = Fragment::run);
  void leave_fragment(Warp& w, uint32_t m, uint32_t pc);
  void give_way(Warp& w);

  // barrier.cpp
  void arrive(Warp& w, const Op& op, uint32_t m);
  void check_barrier(Block& b, uint32_t id);
  void write_reduction(Warp& w, const Fragment& f, const Barrier& done);
  void check_cluster(Cluster& c);
  bool cluster_released(const Warp& w, uint32_t m) const;
  void exit_lanes(Warp& w, uint32_t m, Frame* frame);

  // call.cpp
  int call_target(Warp& w, const Op& op, const CallSite& site, uint32_t& group);
  Frame* enter(Warp& w, const CallSite& site, const FunctionCode& fn, uint32_t group, uint32_t pc);
  void return_lanes(Warp& w, uint32_t m);
  void builtin(Warp& w, const CallSite& site, uint32_t m);

  Grid& g_;
  const Program& p_;
  std::vector<std::unique_ptr<Block>> pool_;
  std::vector<Block*> idle_, resident_;
  std::vector<std::unique_ptr<Cluster>> clusters_;
  uint64_t next_ = 0;  // next block; with clusters, the next cluster in units of its size
};

}  // namespace cudasim
