// SPDX-License-Identifier: Apache-2.0
#pragma once
// A backend and memory of its device. A test program is linked with cpu_backends.cpp or with
// cuda_backends.cpp: one body of tests runs over what backends_under_test() lists there.

#include <gtest/gtest.h>

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "operations/backend.hpp"
#include "support/problem_data.hpp"

namespace warpbag::support {

class test_device {
 public:
  test_device() = default;
  test_device(const test_device&) = delete;
  test_device& operator=(const test_device&) = delete;
  virtual ~test_device() = default;

  virtual resources get_resources() const = 0;
  virtual std::unique_ptr<operations::backend> make_backend() = 0;
  /// The bytes in memory of the device; on the CPU the address itself.
  virtual std::byte* place(std::byte* host, std::size_t bytes) = 0;
  /// Waits for the device and copies back; nothing to do on the CPU.
  virtual void fetch(std::byte* host, const std::byte* placed, std::size_t bytes) = 0;
  virtual void release(std::byte* placed) = 0;
  /// Memory for a table larger than the machine: pages exist once they are touched.
  virtual std::byte* reserve(std::size_t bytes) = 0;
  virtual void write(std::byte* placed, const std::byte* host, std::size_t bytes) = 0;
};

struct backend_choice {
  std::string name;  ///< letters, digits and _, as googletest wants it
  std::function<std::unique_ptr<test_device>()> make_device;
};

backend_choice cpu_backend(int num_threads);
/// In programs that are linked with cuda_backends.cpp.
std::unique_ptr<test_device> make_cuda_test_device(int ordinal);

/// The parameters of tests that run on every backend.
std::vector<backend_choice> backends_under_test();

/// googletest prints the parameter of a failed test.
void PrintTo(const backend_choice& choice, std::ostream* stream);

/// For INSTANTIATE_TEST_SUITE_P.
inline std::string name_of_backend(const ::testing::TestParamInfo<backend_choice>& info) {
  return info.param.name;
}

/// A copy of a problem on a device. Buffers must neither move nor change size while this lives.
class placed_problem {
 public:
  placed_problem(problem_data& data, test_device& device);
  ~placed_problem();
  placed_problem(const placed_problem&) = delete;
  placed_problem& operator=(const placed_problem&) = delete;

  const operations::problem& get() const { return bound_.problem; }

  /// Waits and copies everything back, inputs too.
  void fetch();

 private:
  problem_data& data_;
  test_device& device_;
  std::map<const buffer*, std::byte*> placed_;
  bound_problem bound_;
};

/// One training step in the order of src/operations/backend.hpp, then update_rows on the tables of
/// form sparse for which `apply` says so (empty: none).
void run_step(operations::backend& backend, const operations::problem& problem,
              const std::vector<bool>& apply = {});

}  // namespace warpbag::support

/// Instantiates the tests of `Suite` (a TestWithParam<backend_choice>) for every backend.
#define WARPBAG_FOR_EVERY_BACKEND(Suite)                                                   \
  INSTANTIATE_TEST_SUITE_P(backends, Suite,                                                \
                           ::testing::ValuesIn(::warpbag::support::backends_under_test()), \
                           ::warpbag::support::name_of_backend)
