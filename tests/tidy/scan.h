// Functions and declarations of a source, found by its braces.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "tests/tidy/tree.h"

namespace stele::tidy {

/// What stands before a brace or a semicolon, without comments and literals.
struct Statement {
  std::string text;    // In one line.
  std::size_t line;    // Where it begins; the first is 0.
  std::size_t lines;   // Until its end; of a function, until that of its body.
  bool is_function;    // With a body.
  bool is_at_outside;  // Of a namespace, or public in a class that is.
  bool said;           // A doc comment stands right before it, or after it on its line.
};

/// Functions wherever they stand, but not lambdas within them, and all other statements that are
/// not within a function.
[[nodiscard]] std::vector<Statement> statements(const Source& source);

}  // namespace stele::tidy
