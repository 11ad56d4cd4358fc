#include "tests/tidy/scan.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <sstream>

namespace stele::tidy {
namespace {

std::vector<Statement> scan(const std::string& text) {
  Source source{"x.h", {}};
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) source.lines.push_back(line);
  return statements(source);
}

/// The lines of each function.
std::vector<std::size_t> functions(const std::string& text) {
  std::vector<std::size_t> lines;
  for (const Statement& statement : scan(text)) {
    if (statement.is_function) lines.push_back(statement.lines);
  }
  return lines;
}

/// Those at the outside of which nothing is said.
std::vector<std::string> unsaid(const std::string& text) {
  std::vector<std::string> found;
  for (const Statement& statement : scan(text)) {
    if (statement.is_at_outside && !statement.said) found.push_back(statement.text);
  }
  return found;
}

}  // namespace

TEST_SUITE("tidy.scan") {
  TEST_CASE("functions are found in whatever form they are written") {
    using Lines = std::vector<std::size_t>;
    CHECK(functions("int f() {\n  return 1;\n}\n") == Lines{3});
    CHECK(functions("void f(int a,\n       int b) {\n}\n") == Lines{3});
    CHECK(functions("struct A {\n  const T& f() const {\n    return t_;\n  }\n};\n") == Lines{3});
    CHECK(functions("A::A(int x)\n    : x_{x}, y_(2) {\n  g();\n}\n") == Lines{4});
    CHECK(functions("static constexpr int f(int a = 1) {\n  if (a) {\n  }\n}\n") == Lines{4});
    CHECK(functions("struct A {\n  struct B {\n    void f() {\n\n    }\n  };\n};\n") == Lines{3});
    CHECK(functions("TEST_SUITE(\"a {\") {\n  TEST_CASE(\"b }\") {\n\n  }\n}\n") == Lines{3});
    CHECK(functions("void f() {\n  g([] {\n  });\n  const char* s = R\"(}\n)\";\n}\n") == Lines{6});
    CHECK(functions("const int x{1};\nconst auto y = [] {\n  return 1'000;\n}();\n").empty());
  }

  TEST_CASE("names at the outside of which nothing is said are found") {
    using Names = std::vector<std::string>;
    CHECK(unsaid("namespace a {\n/// Said.\nint f();\nint g();\n}\n") == Names{"int g()"});
    CHECK(unsaid("/// Said.\nstruct A {\n  int x;  ///< Said.\n  int y;  // Not so.\n};\n") ==
          Names{"int y"});
    CHECK(unsaid("/// Said.\nclass A {\n  int x;\n public:\n  int y;\n private:\n  int z;\n};\n") ==
          Names{"int y"});
    CHECK(unsaid("/// Said.\nenum class A {\n  b,  ///< Said.\n  c\n};\n") == Names{"c"});
    CHECK(unsaid("namespace a::detail {\nclass B {\n public:\n  int x;\n};\n}\n").empty());
    CHECK(unsaid("using A = int;\nconstexpr int kB = 1;\n") ==
          Names{"using A = int", "constexpr int kB = 1"});
  }
}

}  // namespace stele::tidy
