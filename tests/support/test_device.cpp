// SPDX-License-Identifier: Apache-2.0
#include "support/test_device.hpp"

#include <sys/mman.h>

#include <cstring>
#include <new>
#include <ostream>

namespace warpbag::support {

namespace {

class cpu_device final : public test_device {
 public:
  explicit cpu_device(int num_threads) : num_threads_(num_threads) {}

  resources get_resources() const override {
    resources result;
    result.num_threads = num_threads_;
    return result;
  }
  std::unique_ptr<operations::backend> make_backend() override {
    return operations::make_cpu_backend(get_resources());
  }
  std::byte* place(std::byte* host, std::size_t) override { return host; }
  void fetch(std::byte* host, const std::byte* placed, std::size_t bytes) override {
    if (host != placed) std::memcpy(host, placed, bytes);
  }
  void release(std::byte* placed) override {
    const auto found = reserved_.find(placed);
    if (found == reserved_.end()) return;
    ::munmap(found->first, found->second);
    reserved_.erase(found);
  }
  std::byte* reserve(std::size_t bytes) override {
    void* memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    reserved_[static_cast<std::byte*>(memory)] = bytes;
    return static_cast<std::byte*>(memory);
  }
  void write(std::byte* placed, const std::byte* host, std::size_t bytes) override {
    std::memcpy(placed, host, bytes);
  }

 private:
  int num_threads_;
  std::map<std::byte*, std::size_t> reserved_;
};

bool applies(const std::vector<bool>& apply, std::size_t table) {
  return table < apply.size() && apply[table];
}

/// The problem with only the tables that update_rows steps; it does not look at features.
void apply_sparse_gradients(operations::backend& backend, const operations::problem& problem,
                            const std::vector<bool>& apply) {
  std::vector<operations::table_record> tables;
  for (std::size_t t = 0; t < problem.tables.size(); ++t) {
    if (!applies(apply, t)) continue;
    tables.push_back(problem.tables[t]);
  }
  if (tables.empty()) return;
  operations::problem sparse = problem;
  sparse.tables = tables;
  sparse.features = {};
  sparse.total_positions = 0;
  sparse.total_bags = 0;
  sparse.total_rows = 0;
  for (operations::table_record& table : tables) {
    table.first_row = sparse.total_rows;
    sparse.total_rows += table.num_rows;
  }
  backend.update_rows(sparse);
}

}  // namespace

backend_choice cpu_backend(int num_threads) {
  return {"cpu_" + std::to_string(num_threads),
          [num_threads] { return std::make_unique<cpu_device>(num_threads); }};
}

void PrintTo(const backend_choice& choice, std::ostream* stream) { *stream << choice.name; }

placed_problem::placed_problem(problem_data& data, test_device& device)
    : data_(data), device_(device) {
  bound_ = bind(data, [this](buffer& contents) {
    std::byte* placed = device_.place(contents.bytes.data(), contents.bytes.size());
    placed_[&contents] = placed;
    return placed;
  });
}

placed_problem::~placed_problem() {
  for (const auto& entry : placed_) device_.release(entry.second);
}

void placed_problem::fetch() {
  visit_buffers(data_, [this](const std::string&, buffer& contents, bool) {
    device_.fetch(contents.bytes.data(), placed_.at(&contents), contents.bytes.size());
  });
}

void run_step(operations::backend& backend, const operations::problem& problem,
              const std::vector<bool>& apply) {
  bool renormalize = false;
  for (const operations::table_record& table : problem.tables) {
    renormalize = renormalize || table.renormalize;
  }
  backend.reserve(limits_of(problem));
  backend.check_inputs(problem);
  if (renormalize) {
    backend.deduplicate(problem);
    backend.renormalize_rows(problem);
  }
  backend.pool(problem);
  if (!renormalize) backend.deduplicate(problem);
  backend.sample_weight_gradient(problem);
  backend.advance_steps(problem);
  backend.reduce_gradients(problem);
  apply_sparse_gradients(backend, problem, apply);
}

}  // namespace warpbag::support
