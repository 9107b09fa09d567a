// SPDX-License-Identifier: Apache-2.0
// A device without a runtime: allocations at made-up addresses, modules from PTX
// files, launches, and a registry of tests.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "core.h"

using namespace cudasim;

struct Device : AddressSpace {
  struct Allocation {
    std::vector<uint64_t> storage;
    size_t bytes;
    std::vector<uint8_t> init;
  };
  std::map<uint64_t, Allocation> live;
  uint64_t next = 0x7f0000000000ull;
  bool track_init = false;

  uint64_t alloc(size_t bytes) {
    uint64_t a = next;
    next += (bytes + 4096 + 255) / 256 * 256;
    auto& x = live[a];
    x.storage.assign((bytes + 7) / 8 + 1, 0);
    x.bytes = bytes;
    if (track_init) x.init.assign(bytes, 0);
    return a;
  }
  uint8_t* host(uint64_t a) {
    auto it = live.upper_bound(a);
    --it;
    return reinterpret_cast<uint8_t*>(it->second.storage.data()) + (a - it->first);
  }
  template <class T>
  T* ptr(uint64_t a) {
    return reinterpret_cast<T*>(host(a));
  }
  template <class T>
  uint64_t upload(const std::vector<T>& v) {
    uint64_t a = alloc(std::max<size_t>(v.size(), 1) * sizeof(T));
    memcpy(host(a), v.data(), v.size() * sizeof(T));
    if (track_init) live[a].init.assign(live[a].bytes, 1);
    return a;
  }
  template <class T>
  std::vector<T> download(uint64_t a, size_t n) {
    std::vector<T> v(n);
    memcpy(static_cast<void*>(v.data()), host(a), n * sizeof(T));
    return v;
  }
  void release(uint64_t a) { live.erase(a); }
  bool find(uint64_t a, MemoryRange& r) const override {
    auto it = live.upper_bound(a);
    if (it == live.begin()) return false;
    --it;
    if (a >= it->first + it->second.bytes) return false;
    auto& x = const_cast<Allocation&>(it->second);
    r = MemoryRange{};
    r.begin = it->first;
    r.end = it->first + x.bytes;
    r.host = reinterpret_cast<uint8_t*>(x.storage.data());
    r.init = x.init.empty() ? nullptr : x.init.data();
    r.id = 1;
    return true;
  }
  std::string describe(uint64_t a) const override {
    auto it = live.upper_bound(a);
    if (it == live.begin()) return "no allocation below";
    --it;
    std::ostringstream s;
    s << "nearest allocation: 0x" << std::hex << it->first << std::dec << ", " << it->second.bytes
      << " bytes";
    return s.str();
  }
};

struct Args {
  std::vector<uint8_t> bytes;
  template <class T>
  Args& operator<<(T v) {
    size_t at = (bytes.size() + alignof(T) - 1) / alignof(T) * alignof(T);
    bytes.resize(at + sizeof(T));
    memcpy(&bytes[at], &v, sizeof(T));
    return *this;
  }
};

inline std::string g_dir;
inline Options g_options;
inline int g_checks = 0, g_failures = 0;
inline std::string g_test;

inline void fail(const std::string& what) {
  if (++g_failures <= 60) printf("FAIL %s: %s\n", g_test.c_str(), what.c_str());
}
inline bool check(bool ok, const std::string& what) {
  ++g_checks;
  if (!ok) fail(what);
  return ok;
}
template <class T>
void expect_equal(const std::vector<T>& got, const std::vector<T>& want, const std::string& what) {
  ++g_checks;
  for (size_t i = 0; i < want.size(); ++i)
    if (memcmp(&got[i], &want[i], sizeof(T))) {
      std::ostringstream s;
      s << what << ": element " << i << " is " << got[i] << ", not " << want[i];
      return fail(s.str());
    }
}

struct Loaded {
  Device& dev;
  std::unique_ptr<Module> module;
  explicit Loaded(Device& d) : dev(d) {}
  Loaded(Device& d, const std::string& file) : dev(d) {
    std::ifstream in(g_dir + "/" + file);
    std::stringstream s;
    s << in.rdbuf();
    if (s.str().empty()) {
      printf("cannot read %s/%s\n", g_dir.c_str(), file.c_str());
      exit(2);
    }
    module = load_ptx(s.str(), file);
    for (const GlobalInfo& g : module->globals()) {
      uint64_t a = dev.alloc(std::max<uint64_t>(g.size, 1));
      module->bind_global(g.name, a, dev.host(a));
      variables[g.name] = a;
      auto& x = dev.live[a];
      if (!x.init.empty()) x.init.assign(x.bytes, 1);
    }
  }
  std::map<std::string, uint64_t> variables;
  // The kernel of that name, or the only one whose mangled name contains it.
  const Kernel* find(const std::string& name) {
    if (auto k = module->kernel(name)) return k;
    const Kernel* found = nullptr;
    for (auto& i : module->kernels())
      if (i.name.find(name) != std::string::npos) found = module->kernel(i.name);
    if (!found) {
      printf("no kernel %s\n", name.c_str());
      exit(2);
    }
    return found;
  }
  LaunchResult run(const std::string& name, Dim3 grid, Dim3 block, const Args& a,
                   uint64_t shared = 0, bool cooperative = false, Dim3 cluster = {},
                   const Options* options = nullptr) {
    LaunchConfig c;
    c.grid = grid, c.block = block, c.cluster = cluster, c.dynamic_shared = shared,
    c.cooperative = cooperative;
    const Kernel* k = find(name);
    std::vector<uint8_t> p = a.bytes;
    p.resize(std::max<size_t>(p.size(), info(*k).param_bytes));
    return launch(*module, *k, c, p.data(), p.size(), dev, DeviceModel{},
                  options ? *options : g_options);
  }
  LaunchResult ok(const std::string& name, Dim3 grid, Dim3 block, const Args& a,
                  uint64_t shared = 0, bool cooperative = false, Dim3 cluster = {}) {
    LaunchResult r = run(name, grid, block, a, shared, cooperative, cluster);
    check(r.fault.message.empty(), name + " faulted: " + r.fault.message);
    return r;
  }
};

struct TestCase {
  const char* name;
  std::function<void()> body;
};
inline std::vector<TestCase>& tests() {
  static std::vector<TestCase> t;
  return t;
}
struct Register {
  Register(const char* n, std::function<void()> f) { tests().push_back({n, f}); }
};
#define TEST(name)                                     \
  static void test_##name();                           \
  static Register register_##name(#name, test_##name); \
  static void test_##name()
