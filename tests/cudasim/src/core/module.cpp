// SPDX-License-Identifier: Apache-2.0
// Modules: kernels, variables and their storage.
#include "machine.h"

namespace cudasim {

bool ModuleImpl::symbol_address(const std::string& name, uint64_t& out) const {
  if (auto it = ir->variable_index.find(name); it != ir->variable_index.end()) {
    out = bindings[size_t(it->second)].address;
    return bindings[size_t(it->second)].host != nullptr;
  }
  if (auto it = ir->function_index.find(name); it != ir->function_index.end()) {
    out = kFunctionWindow + uint64_t(it->second + 1) * 16;
    return true;
  }
  return false;
}

std::vector<KernelInfo> ModuleImpl::kernels() const {
  std::vector<KernelInfo> out;
  for (const auto& k : kernel_list) out.push_back(k->info);
  return out;
}

const Kernel* ModuleImpl::kernel(std::string_view name) const {
  auto it = kernel_by_name.find(name);
  return it == kernel_by_name.end() ? nullptr : it->second;
}

std::vector<GlobalInfo> ModuleImpl::globals() const {
  std::vector<GlobalInfo> out;
  for (const ir::Variable& v : ir->variables)
    if (v.space == Space::global || v.space == Space::constant) {
      GlobalInfo g;
      g.name = v.name;
      g.size = v.size;
      g.align = v.align;
      g.constant = v.space == Space::constant;
      out.push_back(g);
    }
  return out;
}

void ModuleImpl::bind_global(std::string_view name, uint64_t address, uint8_t* host) {
  std::lock_guard lock(mutex);
  auto it = ir->variable_index.find(std::string(name));
  if (it == ir->variable_index.end())
    throw PtxError(ir->label + ": no variable " + std::string(name));
  const ir::Variable& v = ir->variables[size_t(it->second)];
  bindings[size_t(it->second)] = {address, host};
  memset(host, 0, v.size);
  if (!v.init.empty()) memcpy(host, v.init.data(), v.init.size());
  // addresses in initialisers: of this variable, and of those that name it
  for (size_t i = 0; i < ir->variables.size(); ++i) {
    const ir::Variable& u = ir->variables[i];
    if (!bindings[i].host) continue;
    for (const ir::Reloc& r : u.relocs) {
      if (&u != &v && r.symbol != v.name) continue;
      uint64_t value;
      if (!symbol_address(r.symbol, value)) continue;
      value = (value + uint64_t(r.addend)) >> r.shift;
      memcpy(bindings[i].host + r.at, &value, r.bytes);
    }
  }
}

namespace {

KernelInfo kernel_info(const ModuleImpl& m, const ir::Function& f) {
  KernelInfo i;
  i.name = f.name;
  uint32_t at = 0;
  for (const ir::Variable& p : f.params) {
    uint32_t align = uint32_t(std::max<uint64_t>(p.align, 1));
    at = (at + align - 1) / align * align;
    i.params.push_back({at, uint32_t(p.size), align});
    at += uint32_t(p.size);
  }
  i.param_bytes = at;
  for (const ir::Variable& v : f.variables)
    if (v.space == Space::local)
      i.local_bytes = uint32_t((i.local_bytes + v.align - 1) / v.align * v.align + v.size);
  for (const ir::Variable& v : m.ir->variables)
    if (v.space == Space::constant) i.const_bytes += uint32_t(v.size);
  i.max_threads = f.max_threads;
  i.ptx_version = m.ir->version;
  i.target_sm = m.ir->target;
  i.static_shared_bytes = static_shared_bytes(m, f);
  return i;
}

}  // namespace

std::unique_ptr<Module> load_ptx(std::string_view text, std::string_view label) {
  auto m = std::make_unique<ModuleImpl>();
  m->ir = ir::parse(text, label);
  m->bindings.resize(m->ir->variables.size());
  for (const auto& f : m->ir->functions) {
    if (!f->entry || !f->defined) continue;
    auto k = std::make_unique<Kernel>();
    k->function = f.get();
    k->module = m.get();
    k->info = kernel_info(*m, *f);
    m->kernel_by_name.emplace(k->info.name, k.get());
    m->kernel_list.push_back(std::move(k));
  }
  return m;
}

const KernelInfo& info(const Kernel& kernel) { return kernel.info; }

const Program& program_of(const Kernel& kernel) {
  std::call_once(kernel.decoded,
                 [&] { kernel.program = decode(*kernel.module, *kernel.function); });
  return *kernel.program;
}

}  // namespace cudasim
