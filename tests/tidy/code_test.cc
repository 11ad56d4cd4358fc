// How the code reads.

#include <doctest/doctest.h>

#include <algorithm>
#include <regex>
#include <sstream>

#include "tests/tidy/scan.h"
#include "tests/tidy/tree.h"

namespace stele::tidy {
namespace {

constexpr std::size_t kFileLinesMax = 400;
constexpr std::size_t kFunctionLinesMax = 70;

}  // namespace

TEST_SUITE("tidy.code") {
  TEST_CASE("a file has at most 400 lines, a function at most 70") {
    std::size_t functions = 0;
    for (const auto& [path, source] : tree()) {
      CHECK_MESSAGE(source.lines.size() <= kFileLinesMax,
                    path << " has " << source.lines.size() << " lines");
      for (const Statement& statement : statements(source)) {
        if (!statement.is_function) continue;
        ++functions;
        CHECK_MESSAGE(statement.lines <= kFunctionLinesMax,
                      path << ": " << statement.lines << " lines: " << statement.text);
      }
    }
    CHECK(functions > 2000);
  }

  TEST_CASE("a public name says what it means") {
    static const std::regex kNoName(
        "^(class|struct) \\w+$|.*(= (default|delete)|operator==.*|operator<=>.*)$|^friend "
        ".*|^~\\w+\\(\\)$|.*struct std::.*");
    std::size_t names = 0;
    for (const Source* source : sources("log/api/stele")) {
      for (const Statement& statement : statements(*source)) {
        if (!statement.is_at_outside || std::regex_match(statement.text, kNoName)) continue;
        ++names;
        CHECK_MESSAGE(statement.said, source->path << ": " << statement.text);
      }
    }
    CHECK(names > 40);
  }

  TEST_CASE("the protocol is pure: no thread, no lock, no clock, no randomness, no system") {
    for (const Source* source : sources("paxos")) {
      for (const std::string& include : includes(*source)) {
        CHECK_MESSAGE(!starts_with_any(include, {"thread", "mutex", "atomic", "sys/", "unistd"}),
                      source->path << " includes " << include);
      }
      for (const std::string& line : source->lines) {
        for (const char* word :
             {"steady_clock", "system_clock", "random_device", "std::thread", "printf"}) {
          const bool allowed = source->path == "paxos/base/check.cc";  // It writes why a node ends.
          CHECK_MESSAGE((allowed || line.find(word) == std::string::npos),
                        source->path << ": " << line);
        }
      }
    }
  }

  TEST_CASE(
      "lines have at most 100 columns outside of tests, files end as such, headers are guarded") {
    for (const char* room : {"paxos", "net", "log", "apps"}) {
      for (const Source* source : sources(room)) {
        for (const std::string& line : source->lines) {
          // Columns, not bytes: a comment may have letters of more than one.
          const auto columns = std::count_if(line.begin(), line.end(), [](char c) {
            return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
          });
          CHECK_MESSAGE(columns <= 100, source->path << ": " << line);
        }
        if (source->path.ends_with(".h")) {
          const bool guarded = std::find(source->lines.begin(), source->lines.end(),
                                         "#pragma once") != source->lines.end();
          CHECK_MESSAGE(guarded, source->path);
        }
      }
    }
  }

  // One word for one thing: `after` for time and `lags` for a node that is late; `repair`.
  TEST_CASE("code, comments and documents keep to the words") {
    const std::regex banned("behind|whoever|\\b(mend|mends|mended|heals)\\b", std::regex::icase);
    const auto check = [&](const std::string& path, const std::string& text) {
      CHECK_MESSAGE(!std::regex_search(text, banned), path << ": " << text);
    };
    for (const auto& [path, source] : tree()) {
      if (path == "tests/tidy/code_test.cc") continue;
      for (const std::string& line : source.lines) check(path, line);
    }
    for (const auto& [path, text] : documents()) {
      std::istringstream lines(text);
      for (std::string line; std::getline(lines, line);) check(path, line);
    }
  }
}

}  // namespace stele::tidy
