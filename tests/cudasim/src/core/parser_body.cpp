// SPDX-License-Identifier: Apache-2.0
// Function bodies: scopes, labels, instructions, operands.
#include <cctype>

#include "parser.h"

namespace cudasim::ir {

void Parser::body() {
  while (true) {
    if (accept("}")) {
      int parent = fn_->scopes[size_t(scope_)].parent;
      if (parent < 0) return;
      scope_ = parent;
      continue;
    }
    if (accept("{")) {
      Scope s;
      s.parent = scope_;
      scope_ = int(fn_->scopes.size());
      fn_->scopes.push_back(std::move(s));
      continue;
    }
    if (accept(";")) continue;
    if (cur_.kind == Tok::end) fail("function body is not closed");
    if (cur_.kind == Tok::dot) {
      body_directive();
      continue;
    }
    statement();
  }
}

void Parser::body_directive() {
  std::string_view d = cur_.text;
  if (d == "reg") {
    register_directive();
  } else if (d == "local" || d == "shared" || d == "param") {
    advance();
    do {
      Space sp = d == "local" ? Space::local : d == "shared" ? Space::shared : Space::param;
      Variable v = variable(sp, false);
      fn_->variables.push_back(std::move(v));
      scope().variables[fn_->variables.back().name] = int(fn_->variables.size()) - 1;
    } while (accept(","));
    expect(";");
  } else if (d == "global" || d == "const") {
    declaration();
  } else if (d == "loc") {
    loc_directive();
  } else if (d == "file") {
    file_directive();
  } else if (d == "pragma") {
    skip_past(";");
  } else if (d == "section") {
    section_directive();
  } else {
    fail("unknown directive ." + std::string(d));
  }
}

void Parser::register_directive() {
  advance();
  Ty t = type();
  do {
    std::string_view name = ident();
    if (accept("<")) {
      uint64_t n = integer();
      expect(">");
      scope().ranges[name] = {int(fn_->regs.size()), int(n)};
      fn_->regs.insert(fn_->regs.end(), n, t);
    } else {
      scope().regs[name] = int(fn_->regs.size());
      fn_->regs.push_back(t);
    }
  } while (accept(","));
  expect(";");
}

void Parser::statement() {
  Token first = cur_;
  if (first.kind == Tok::ident) {
    advance();
    if (accept(":")) return label(first.text);
    return instruction(first, first.text, -1, false);
  }
  if (!accept("@")) fail("unexpected '" + std::string(cur_.text) + "'");
  bool negated = accept("!");
  int reg = find_reg(ident());
  if (reg < 0) fail("unknown guard predicate");
  instruction(first, ident(), reg, negated);
}

void Parser::label(std::string_view name) {
  if (accept_dot("branchtargets") || accept_dot("calltargets")) {
    std::vector<std::string_view> list;
    do list.push_back(ident());
    while (accept(","));
    expect(";");
    scope().targets[name] = std::move(list);
  } else if (is_dot("callprototype")) {
    skip_past(";");
  } else {
    scope().labels[name] = uint32_t(fn_->code.size());
  }
}

void Parser::instruction(const Token& first, std::string_view op, int guard, bool negated) {
  Inst in;
  in.line = first.line;
  in.loc = loc_;
  in.guard = guard;
  in.guard_negated = negated;
  in.scope = scope_;
  in.op = op;
  while (cur_.kind == Tok::dot) {
    in.mods.push_back(cur_.text);
    advance();
  }
  if (op == "call")
    call_operands(in);
  else if (!is(";")) {
    do in.ops.push_back(operand());
    while (accept(","));
  }
  if (!is(";")) fail("expected ';' before '" + std::string(cur_.text) + "' in " + std::string(op));
  const char* begin = first.text.data();
  in.text = std::string_view(begin, size_t(cur_.text.data() - begin));
  fn_->code.push_back(std::move(in));
  advance();
}

void Parser::call_operands(Inst& in) {
  if (accept("(")) {
    do in.call_ret.push_back(operand());
    while (accept(","));
    expect(")");
    expect(",");
  }
  in.ops.push_back(operand());
  while (accept(",")) {
    if (accept("(")) {
      if (!accept(")")) {
        do in.call_args.push_back(operand());
        while (accept(","));
        expect(")");
      }
    } else
      in.ops.push_back(operand());
  }
}

int Parser::find_reg(std::string_view name) const {
  for (int s = scope_; s >= 0; s = fn_->scopes[size_t(s)].parent) {
    const Scope& sc = fn_->scopes[size_t(s)];
    if (auto it = sc.regs.find(name); it != sc.regs.end()) return it->second;
    if (!sc.ranges.empty() && isdigit(uint8_t(name.back()))) {
      size_t k = name.size();
      while (k > 0 && isdigit(uint8_t(name[k - 1]))) --k;
      // a prefix may itself end in digits: try every split
      for (size_t j = k; j < name.size(); ++j) {
        auto it = sc.ranges.find(name.substr(0, j));
        if (it == sc.ranges.end()) continue;
        int n = 0;
        for (size_t i = j; i < name.size(); ++i) n = n * 10 + (name[i] - '0');
        if (n < it->second.second) return it->second.first + n;
      }
    }
  }
  return -1;
}

Operand Parser::named(std::string_view name) {
  Operand o;
  if (name == "_") return o;
  o.reg = find_reg(name);
  o.name = name;
  if (o.reg >= 0)
    o.kind = Operand::kReg;
  else if (name[0] == '%') {
    o.kind = Operand::kSpecial;
    if (cur_.kind == Tok::dot) {
      o.name =
          std::string_view(name.data(), size_t(cur_.text.data() + cur_.text.size() - name.data()));
      advance();
    }
  } else if (name == "WARP_SZ") {
    o.kind = Operand::kInt;
    o.imm = 32;
  } else
    o.kind = Operand::kSym;
  return o;
}

Operand Parser::operand() {
  if (accept("!")) {
    Operand o = named(ident());
    o.negated = true;
    return o;
  }
  if (accept("{")) {
    Operand o;
    o.kind = Operand::kVec;
    if (accept("}")) return o;
    do o.list.push_back(operand());
    while (accept(","));
    expect("}");
    return o;
  }
  if (accept("[")) return address_operand();
  if (cur_.kind == Tok::ident) return name_operand();
  return literal_operand();
}

Operand Parser::address_operand() {
  Operand o;
  o.kind = Operand::kAddr;
  o.list.push_back(operand());
  if (o.list[0].kind != Operand::kInt) o.offset = o.list[0].offset;
  o.offset += displacement();
  while (accept(",")) o.list.push_back(operand());  // tensor coordinates
  expect("]");
  return o;
}

// A register or symbol with a displacement, or p|q.
Operand Parser::name_operand() {
  Operand o = named(ident());
  if (accept("|")) {
    std::string_view q = ident();
    o.reg2 = q == "_" ? -2 : find_reg(q);
    if (o.reg2 == -1) fail("unknown register " + std::string(q));
    if (o.kind == Operand::kSink) o.kind = Operand::kReg, o.reg = -2;
  }
  if (o.kind == Operand::kReg || o.kind == Operand::kSym) o.offset = displacement();
  return o;
}

Operand Parser::literal_operand() {
  Operand o;
  bool negative = accept("-");
  if (!negative) accept("+");
  bool inverted = accept("~");
  switch (cur_.kind) {
    case Tok::integer:
      o.kind = Operand::kInt;
      o.imm = negative ? 0 - cur_.value : cur_.value;
      if (inverted) o.imm = ~o.imm;
      break;
    case Tok::f32:
      o.kind = Operand::kF32;
      o.imm = negative ? cur_.value ^ 0x80000000u : cur_.value;
      break;
    case Tok::f64:
      o.kind = Operand::kF64;
      o.imm = negative ? cur_.value ^ (1ull << 63) : cur_.value;
      break;
    default: fail("unexpected operand '" + std::string(cur_.text) + "'");
  }
  advance();
  return o;
}

}  // namespace cudasim::ir
