// SPDX-License-Identifier: Apache-2.0
// PTX text as tokens.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace cudasim::ir {

enum class Tok : uint8_t { end, ident, dot, integer, f32, f64, string, punct };

struct Token {
  Tok kind = Tok::end;
  std::string_view text;  // of a dot token without the dot, of a string without the quotes
  uint64_t value = 0;     // integers, and the bits of floats
  uint32_t line = 0;
};

class Lexer {
 public:
  Lexer(std::string_view text, std::string_view label) : text_(text), label_(label) {}

  [[noreturn]] void fail(const std::string& what, uint32_t line) const;
  Token next();

 private:
  char peek(size_t ahead) const { return pos_ + ahead < text_.size() ? text_[pos_ + ahead] : 0; }
  void skip_space();
  void take_dot_name();
  uint64_t take_hex(int digits);
  uint64_t take_binary();
  void number(Token& t);
  void decimal(Token& t);

  std::string_view text_, label_;
  size_t pos_ = 0;
  uint32_t line_ = 1;
};

}  // namespace cudasim::ir
