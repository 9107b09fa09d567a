// SPDX-License-Identifier: Apache-2.0
// Recursive descent over one PTX module. Module-level directives are in parser.cpp, variables and
// their initialisers in parser_variables.cpp, function bodies in parser_body.cpp.
#pragma once

#include "ir.h"
#include "lexer.h"

namespace cudasim::ir {

class Parser {
 public:
  explicit Parser(ModuleIr& m) : m_(m), lex_(m.text, m.label) { advance(); }
  void module();

 private:
  // tokens
  [[noreturn]] void fail(const std::string& what) const { lex_.fail(what, cur_.line); }
  void advance() { cur_ = lex_.next(); }
  bool is(std::string_view s) const { return cur_.kind == Tok::punct && cur_.text == s; }
  bool is_dot(std::string_view s) const { return cur_.kind == Tok::dot && cur_.text == s; }
  bool accept(std::string_view s);
  bool accept_dot(std::string_view s);
  void expect(std::string_view s);
  std::string_view ident();
  uint64_t integer();
  int64_t displacement();
  Ty type();
  void skip_past(std::string_view s);
  void skip_braces();

  // module
  void version_directive();
  void target_directive();
  void file_directive();
  void loc_directive();
  void section_directive();
  void declaration();
  void function(bool entry);
  void function_directive(Function& f);
  Function& install(std::unique_ptr<Function> f);

  // variables
  Variable variable(Space space, bool external);
  void variable_type(Variable& v);
  void initialiser(Variable& v, std::vector<uint8_t>& bytes, uint64_t element);
  uint64_t scalar_init(Variable& v, uint64_t at, uint64_t element);
  void symbol_init(Variable& v, uint64_t at, uint64_t element, uint32_t shift);
  std::vector<Variable> param_list();

  // function bodies
  void body();
  void body_directive();
  void register_directive();
  void statement();
  void label(std::string_view name);
  void instruction(const Token& first, std::string_view op, int guard, bool negated);
  void call_operands(Inst& in);
  int find_reg(std::string_view name) const;
  Operand named(std::string_view name);
  Operand operand();
  Operand address_operand();
  Operand name_operand();
  Operand literal_operand();
  Scope& scope() { return fn_->scopes[size_t(scope_)]; }

  ModuleIr& m_;
  Lexer lex_;
  Token cur_;
  Function* fn_ = nullptr;
  int scope_ = 0;
  uint32_t loc_ = 0;
};

}  // namespace cudasim::ir
