// SPDX-License-Identifier: Apache-2.0
#include "lexer.h"

#include <cctype>
#include <cstdlib>
#include <cstring>

#include "core.h"

namespace cudasim::ir {

namespace {

bool ident_start(char c) { return isalpha(uint8_t(c)) || c == '_' || c == '$' || c == '%'; }
bool ident_char(char c) { return isalnum(uint8_t(c)) || c == '_' || c == '$'; }

}  // namespace

void Lexer::fail(const std::string& what, uint32_t line) const {
  throw PtxError(std::string(label_) + ":" + std::to_string(line) + ": " + what);
}

Token Lexer::next() {
  skip_space();
  Token t;
  t.line = line_;
  if (pos_ >= text_.size()) return t;
  size_t begin = pos_;
  char c = text_[pos_];
  if (ident_start(c)) {
    ++pos_;
    while (pos_ < text_.size() && ident_char(text_[pos_])) ++pos_;
    t.kind = Tok::ident;
  } else if (c == '.' && (isalnum(uint8_t(peek(1))) || peek(1) == '_')) {
    take_dot_name();
    t.kind = Tok::dot;
    t.text = text_.substr(begin + 1, pos_ - begin - 1);
    return t;
  } else if (isdigit(uint8_t(c))) {
    number(t);
  } else if (c == '"') {
    ++pos_;
    while (pos_ < text_.size() && text_[pos_] != '"') ++pos_;
    ++pos_;
    t.kind = Tok::string;
    t.text = text_.substr(begin + 1, pos_ - begin - 2);
    return t;
  } else {
    ++pos_;
    t.kind = Tok::punct;
  }
  t.text = text_.substr(begin, pos_ - begin);
  return t;
}

// A modifier may hold "::", as in .shared::cta; a single colon ends it.
void Lexer::take_dot_name() {
  ++pos_;
  while (pos_ < text_.size()) {
    bool double_colon = text_[pos_] == ':' && (peek(1) == ':' || text_[pos_ - 1] == ':');
    if (!ident_char(text_[pos_]) && !double_colon) break;
    ++pos_;
  }
}

void Lexer::skip_space() {
  while (pos_ < text_.size()) {
    char c = text_[pos_];
    if (c == '\n') {
      ++line_, ++pos_;
    } else if (isspace(uint8_t(c)) || c == '\0') {
      ++pos_;
    } else if (c == '/' && peek(1) == '/') {
      while (pos_ < text_.size() && text_[pos_] != '\n') ++pos_;
    } else if (c == '/' && peek(1) == '*') {
      size_t e = text_.find("*/", pos_ + 2);
      if (e == text_.npos) fail("unterminated comment", line_);
      for (; pos_ < e + 2; ++pos_) line_ += text_[pos_] == '\n';
    } else {
      break;
    }
  }
}

uint64_t Lexer::take_hex(int digits) {
  pos_ += 2;
  uint64_t v = 0;
  for (int i = 0; isxdigit(uint8_t(peek(0))) && i < digits; ++i, ++pos_) {
    char c = text_[pos_];
    v = v << 4 | uint64_t(isdigit(uint8_t(c)) ? c - '0' : (c | 32) - 'a' + 10);
  }
  return v;
}

uint64_t Lexer::take_binary() {
  pos_ += 2;
  uint64_t v = 0;
  while (peek(0) == '0' || peek(0) == '1') v = v << 1 | uint64_t(text_[pos_++] - '0');
  return v;
}

// 0f3F800000 and 0d3FF0000000000000 are the bits of floats.
void Lexer::number(Token& t) {
  size_t begin = pos_;
  t.kind = Tok::integer;
  switch (text_[pos_] == '0' ? tolower(uint8_t(peek(1))) : 0) {
    case 'f':
      t.kind = Tok::f32;
      t.value = take_hex(8);
      break;
    case 'd':
      t.kind = Tok::f64;
      t.value = take_hex(16);
      break;
    case 'x': t.value = take_hex(16); break;
    case 'b': t.value = take_binary(); break;
    default: decimal(t); break;
  }
  if (t.kind == Tok::integer && (peek(0) == 'U' || peek(0) == 'u')) ++pos_;
  t.text = text_.substr(begin, pos_ - begin);
}

// A decimal or octal integer, or a real number.
void Lexer::decimal(Token& t) {
  size_t e = pos_;
  while (e < text_.size() && isdigit(uint8_t(text_[e]))) ++e;
  bool real = e + 1 < text_.size() && ((text_[e] == '.' && isdigit(uint8_t(text_[e + 1]))) ||
                                       text_[e] == 'e' || text_[e] == 'E');
  if (real) {
    std::string s(text_.substr(pos_, 64));
    char* stop;
    double d = strtod(s.c_str(), &stop);
    memcpy(&t.value, &d, 8);
    pos_ += size_t(stop - s.c_str());
    t.kind = Tok::f64;
    return;
  }
  uint64_t base = text_[pos_] == '0' && e - pos_ > 1 ? 8 : 10;
  for (; pos_ < e; ++pos_) t.value = t.value * base + uint64_t(text_[pos_] - '0');
}

}  // namespace cudasim::ir
