// SPDX-License-Identifier: Apache-2.0
// Variables, parameters and initialisers.
#include <algorithm>
#include <cstring>

#include "parser.h"

namespace cudasim::ir {

// Everything after the state-space token: [.align N] [.vN] .type name[dims] [= init]
Variable Parser::variable(Space space, bool external) {
  Variable v;
  v.space = space;
  v.external = external;
  variable_type(v);
  if (cur_.kind != Tok::ident)
    fail("expected a variable name before '" + std::string(cur_.text) + "'");
  v.name = std::string(ident());
  uint64_t element = type_bytes(v.type);
  while (accept("[")) {
    if (accept("]")) {
      v.size = 0;
      continue;
    }
    v.size *= integer();
    expect("]");
  }
  if (accept("=")) {
    initialiser(v, v.init, element);
    v.size = std::max<uint64_t>(v.size, v.init.size());
  }
  return v;
}

void Parser::variable_type(Variable& v) {
  uint64_t vec = 1, align = 0;
  while (true) {
    if (accept_dot("align")) {
      align = integer();
    } else if (accept_dot("v2")) {
      vec = 2;
    } else if (accept_dot("v4")) {
      vec = 4;
    } else if (accept_dot("attribute")) {
      expect("(");
      skip_past(")");
    } else if (accept_dot("ptr")) {  // what the pointer points to: its space and alignment
      (void)(accept_dot("global") || accept_dot("const") || accept_dot("shared") ||
             accept_dot("local"));
      if (accept_dot("align")) integer();
    } else if (v.size == 0 &&
               (accept_dot("texref") || accept_dot("samplerref") || accept_dot("surfref"))) {
      v.type = Ty::b64;
      v.size = 8;
    } else if (v.size == 0 && cur_.kind == Tok::dot) {
      v.type = type();
      v.size = v.type == Ty::pred ? 1 : type_bytes(v.type) * vec;
    } else {
      break;
    }
  }
  v.align = align ? align : v.size;
}

void Parser::initialiser(Variable& v, std::vector<uint8_t>& bytes, uint64_t element) {
  if (accept("{")) {
    if (accept("}")) return;
    do initialiser(v, bytes, element);
    while (accept(","));
    expect("}");
    return;
  }
  uint64_t value = scalar_init(v, bytes.size(), element);
  for (uint64_t i = 0; i < element; ++i) bytes.push_back(i < 8 ? uint8_t(value >> (8 * i)) : 0);
}

// The value of one element; an address is left zero and recorded as a relocation.
uint64_t Parser::scalar_init(Variable& v, uint64_t at, uint64_t element) {
  if (cur_.kind == Tok::ident) {
    symbol_init(v, at, element, 0);
    return 0;
  }
  if (cur_.kind == Tok::integer || is("-") || is("~")) {
    bool inverted = accept("~");
    uint64_t value = integer();
    if (inverted) value = ~value;
    if (!accept("(")) return value;
    // 0xFF00(symbol): one byte of an address
    symbol_init(v, at, element, value ? uint32_t(__builtin_ctzll(value)) : 0);
    expect(")");
    return 0;
  }
  if (cur_.kind != Tok::f32 && cur_.kind != Tok::f64)
    fail("unsupported initialiser '" + std::string(cur_.text) + "'");
  uint64_t value = cur_.value;
  if (cur_.kind == Tok::f64 && element == 4) {
    double d;
    memcpy(&d, &value, 8);
    float f = float(d);
    uint32_t u;
    memcpy(&u, &f, 4);
    value = u;
  }
  advance();
  return value;
}

// NAME[+N] or generic(NAME[+N])[+N]
void Parser::symbol_init(Variable& v, uint64_t at, uint64_t element, uint32_t shift) {
  std::string_view name = ident();
  Reloc r;
  if (name == "generic" && accept("(")) {
    name = ident();
    if (accept("+")) r.addend = int64_t(integer());
    expect(")");
  }
  r.addend += displacement();
  r.at = at;
  r.bytes = uint32_t(element);
  r.symbol = std::string(name);
  r.shift = shift;
  v.relocs.push_back(std::move(r));
}

std::vector<Variable> Parser::param_list() {
  std::vector<Variable> out;
  expect("(");
  if (accept(")")) return out;
  do {
    if (accept_dot("reg")) fail(".reg parameters are unsupported");
    if (!accept_dot("param")) fail("expected .param");
    out.push_back(variable(Space::param, false));
  } while (accept(","));
  expect(")");
  return out;
}

}  // namespace cudasim::ir
