// SPDX-License-Identifier: Apache-2.0
#include "parser.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <cstring>
#include <set>

namespace cudasim::ir {

// -------------------------------------------------------------------- tokens

bool Parser::accept(std::string_view s) {
  if (!is(s)) return false;
  advance();
  return true;
}

bool Parser::accept_dot(std::string_view s) {
  if (cur_.kind != Tok::dot || cur_.text != s) return false;
  advance();
  return true;
}

void Parser::expect(std::string_view s) {
  if (!accept(s)) fail("expected '" + std::string(s) + "' before '" + std::string(cur_.text) + "'");
}

std::string_view Parser::ident() {
  if (cur_.kind != Tok::ident) fail("expected a name before '" + std::string(cur_.text) + "'");
  std::string_view s = cur_.text;
  advance();
  return s;
}

uint64_t Parser::integer() {
  bool neg = accept("-");
  if (cur_.kind != Tok::integer)
    fail("expected an integer before '" + std::string(cur_.text) + "'");
  uint64_t v = cur_.value;
  advance();
  return neg ? 0 - v : v;
}

// [+N | -N]
int64_t Parser::displacement() {
  if (accept("+") || is("-")) return int64_t(integer());
  return 0;
}

Ty Parser::type() {
  if (cur_.kind != Tok::dot) fail("expected a type before '" + std::string(cur_.text) + "'");
  Ty t = parse_type(cur_.text);
  if (t == Ty::none) fail("unknown type ." + std::string(cur_.text));
  advance();
  return t;
}

void Parser::skip_past(std::string_view s) {
  while (!accept(s)) {
    if (cur_.kind == Tok::end) fail("expected '" + std::string(s) + "'");
    advance();
  }
}

void Parser::skip_braces() {
  expect("{");
  for (int depth = 1; depth;) {
    if (cur_.kind == Tok::end) fail("unterminated section");
    if (is("{")) ++depth;
    if (is("}")) --depth;
    advance();
  }
}

// -------------------------------------------------------------------- module

void Parser::module() {
  while (cur_.kind != Tok::end) {
    if (accept(";")) continue;
    if (cur_.kind != Tok::dot) fail("unexpected '" + std::string(cur_.text) + "'");
    std::string_view d = cur_.text;
    if (d == "version") {
      version_directive();
    } else if (d == "target") {
      target_directive();
    } else if (d == "address_size") {
      advance();
      if (cur_.value != 64) fail(".address_size " + std::string(cur_.text) + " is unsupported");
      advance();
    } else if (d == "file") {
      file_directive();
    } else if (d == "section") {
      section_directive();
    } else if (d == "pragma") {
      skip_past(";");
    } else if (d == "alias") {
      fail(".alias is unsupported");
    } else if (d == "loc") {
      loc_directive();
    } else {
      declaration();
    }
  }
}

// "9.0" lexes as a real number, "9" then ".0" otherwise.
void Parser::version_directive() {
  advance();
  if (cur_.kind == Tok::f64) {
    double v;
    memcpy(&v, &cur_.value, 8);
    m_.version = int(v * 10 + 0.5);
  } else {
    m_.version = int(cur_.value) * 10;
  }
  advance();
  if (cur_.kind == Tok::dot && isdigit(uint8_t(cur_.text[0]))) advance();
}

void Parser::target_directive() {
  advance();
  do {
    if (cur_.text.substr(0, 3) == "sm_") m_.target = atoi(std::string(cur_.text.substr(3)).c_str());
    advance();
  } while (accept(","));
}

void Parser::file_directive() {
  advance();
  uint64_t n = integer();
  if (cur_.kind != Tok::string) fail("expected a file name");
  if (n < (1 << 12)) {
    if (m_.files.size() <= n) m_.files.resize(n + 1);
    m_.files[n] = std::string(cur_.text);
  }
  advance();
  while (accept(",")) integer();
}

void Parser::loc_directive() {
  advance();
  uint64_t file = integer(), line = integer();
  integer();
  uint32_t at = uint32_t((file & 0xFFF) << 20 | (line & 0xFFFFF));
  while (accept(",")) {  // function_name NAME[+off], inlined_at F L C
    std::string_view key = ident();
    if (key == "function_name") {
      ident();
      if (accept("+")) integer();
    } else if (key == "inlined_at") {
      integer(), integer(), integer();
    } else
      fail("unknown .loc attribute");
  }
  loc_ = line ? at : loc_;
}

// Debug information: not used.
void Parser::section_directive() {
  advance();
  advance();
  skip_braces();
}

void Parser::declaration() {
  bool external = false;
  while (true) {
    if (accept_dot("visible") || accept_dot("weak") || accept_dot("common")) continue;
    if (accept_dot("extern"))
      external = true;
    else
      break;
  }
  if (accept_dot("func")) return function(false);
  if (accept_dot("entry")) return function(true);
  Space space;
  if (accept_dot("global"))
    space = Space::global;
  else if (accept_dot("const"))
    space = Space::constant;
  else if (accept_dot("shared"))
    space = Space::shared;
  else if (accept_dot("local"))
    space = Space::local;
  else
    fail("unknown directive ." + std::string(cur_.text));
  do {
    Variable v = variable(space, external);
    auto found = m_.variable_index.find(v.name);
    if (found != m_.variable_index.end()) {
      if (!v.external) m_.variables[size_t(found->second)] = std::move(v);
    } else {
      m_.variable_index.emplace(v.name, int(m_.variables.size()));
      m_.variables.push_back(std::move(v));
    }
  } while (accept(","));
  expect(";");
}

void Parser::function(bool entry) {
  auto f = std::make_unique<Function>();
  f->entry = entry;
  f->line = cur_.line;
  if (accept_dot("attribute")) skip_past(")");
  if (!entry && is("(")) f->returns = param_list();
  f->name = std::string(ident());
  if (is("(")) f->params = param_list();
  while (cur_.kind == Tok::dot) function_directive(*f);
  fn_ = &install(std::move(f));
  if (!accept(";")) {
    fn_->defined = true;
    loc_ = 0;
    fn_->scopes.emplace_back();
    scope_ = 0;
    expect("{");
    body();
  }
  fn_ = nullptr;
}

void Parser::function_directive(Function& f) {
  static const std::set<std::string_view> kWithNumber = {"minnctapersm", "maxnctapersm",
                                                         "maxnreg",      "maxclusterrank",
                                                         "abi_preserve", "abi_preserve_control"};
  static const std::set<std::string_view> kFlags = {"noreturn", "explicitcluster",
                                                    "blocksareclusters", "unique"};
  std::string_view d = cur_.text;
  advance();
  if (d == "maxntid" || d == "reqntid" || d == "reqnctapercluster") {
    uint64_t n[3] = {1, 1, 1};
    int k = 0;
    do {
      uint64_t x = integer();
      if (k < 3) n[k++] = x;
    } while (accept(","));
    if (d == "reqnctapercluster") {
      for (int i = 0; i < 3; ++i) f.cluster[i] = uint32_t(n[i]);
    } else {
      f.max_threads = uint32_t(std::min<uint64_t>(1024, n[0] * n[1] * n[2]));
    }
  } else if (kWithNumber.count(d)) {
    integer();
  } else if (d == "pragma") {
    skip_past(";");
  } else if (!kFlags.count(d)) {
    fail("unknown function directive ." + std::string(d));
  }
}

// A definition replaces an earlier declaration.
Function& Parser::install(std::unique_ptr<Function> f) {
  auto found = m_.function_index.find(f->name);
  if (found == m_.function_index.end()) {
    m_.function_index.emplace(f->name, int(m_.functions.size()));
    m_.functions.push_back(std::move(f));
    return *m_.functions.back();
  }
  Function& slot = *m_.functions[size_t(found->second)];
  if (is("{")) slot = std::move(*f);
  return slot;
}

std::unique_ptr<ModuleIr> parse(std::string_view text, std::string_view label) {
  auto m = std::make_unique<ModuleIr>();
  m->text = std::string(text);
  m->label = std::string(label);
  Parser(*m).module();
  return m;
}

}  // namespace cudasim::ir
