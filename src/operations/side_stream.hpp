// SPDX-License-Identifier: Apache-2.0
#pragma once
// A second stream of a device, for work that a thread of its own enqueues beside that of the main
// stream. The CPU has no streams: there work is done when its call returns, and nothing of this
// has anything to do.

#include <memory>

#include "warpbag/resources.hpp"

namespace warpbag::operations {

class side_stream {
 public:
  explicit side_stream(const resources& main) : resources_(main) {}
  side_stream(const side_stream&) = delete;
  side_stream& operator=(const side_stream&) = delete;
  virtual ~side_stream() = default;

  /// Those it was made from, but for the stream.
  const resources& get_resources() const { return resources_; }

  /// In a thread that works here alone: its calls then need not look at another device.
  virtual void enter_thread() {}
  /// What is enqueued here from now on runs after what is on the main stream now.
  virtual void follow() {}
  /// What is enqueued on the main stream from now on runs after what is here now.
  virtual void lead() {}

 protected:
  resources resources_;
};

/// Throws device_unavailable in a build without CUDA.
std::unique_ptr<side_stream> make_cuda_side_stream(const resources& main);
/// Beside main.stream, which is nobody's default stream.
inline std::unique_ptr<side_stream> make_side_stream(const resources& main) {
  return main.where.kind == device_kind::cpu ? std::make_unique<side_stream>(main)
                                             : make_cuda_side_stream(main);
}

}  // namespace warpbag::operations
