// What the documents name is there.

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <regex>

#include "tests/tidy/tree.h"

namespace stele::tidy {
namespace {

namespace fs = std::filesystem;

/// Whether some header or source has that class, and in it, or defined for it, that member.
bool is_member(const std::string& type, const std::string& member) {
  const std::regex definition("\\b" + type + "::" + member + "\\b");
  const std::regex declared("(class|struct|enum class) (\\w+::)*" + type + "\\b");
  const std::regex named("\\b" + member + "\\b");
  return std::any_of(tree().begin(), tree().end(), [&](const auto& source) {
    bool has_type = false;
    bool has_member = false;
    for (const std::string& line : source.second.lines) {
      if (line.find(member) == std::string::npos && line.find(type) == std::string::npos) continue;
      if (line.starts_with("//")) continue;
      if (std::regex_search(line, definition)) return true;
      has_type = has_type || std::regex_search(line, declared);
      has_member = has_member || std::regex_search(line, named);
    }
    return has_type && has_member;
  });
}

/// Calls `each(document, match)` for everything in the documents that is like that.
template <class Each>
int for_each_match(const char* pattern, Each each) {
  const std::regex regex(pattern);
  int count = 0;
  for (const auto& [path, text] : documents()) {
    for (auto at = std::sregex_iterator(text.begin(), text.end(), regex);
         at != std::sregex_iterator(); ++at) {
      ++count;
      each(path, *at);
    }
  }
  return count;
}

/// Whether the parts of `quoted`, which "…" divides, stand in `name` in that order.
bool is_quoted(const std::string& quoted, const std::string& name) {
  std::size_t at = 0;
  for (std::size_t begin = 0; begin <= quoted.size();) {
    const std::size_t end = std::min(quoted.find("…", begin), quoted.size());
    std::string part = quoted.substr(begin, end - begin);
    part.erase(0, part.find_first_not_of(' '));
    part.erase(part.find_last_not_of(' ') + 1);
    at = name.find(part, at);
    if (at == std::string::npos) return false;
    begin = end + std::string("…").size();
  }
  return true;
}

}  // namespace

TEST_SUITE("tidy.documents") {
  TEST_CASE("a function that the documents name is there") {
    const int names = for_each_match("`(?:[A-Za-z_]+::)*([A-Z][A-Za-z]+)::([a-z_0-9]+)(?:\\(\\))?`",
                                     [](const auto& path, const auto& match) {
                                       CHECK_MESSAGE(is_member(match[1], match[2]),
                                                     path << " names " << match[0]);
                                     });
    CHECK(names > 50);
  }

  TEST_CASE("a file or folder that the documents name is there") {
    const int names =
        for_each_match("`((?:paxos|net|log|apps|bench|tests)/[A-Za-z0-9_./-]+)",
                       [](const auto& path, const auto& match) {
                         CHECK_MESSAGE(fs::exists(fs::path(STELE_SOURCE_DIR) / match[1].str()),
                                       path << " names " << match[1]);
                       });
    CHECK(names > 30);
  }

  TEST_CASE("a test that the documents name is there") {
    const int names = for_each_match(
        "`([a-z_]+(?:\\.[a-z_]+)+)` \"([^\"]+)\"", [](const auto& path, const auto& match) {
          const bool found = std::ranges::any_of(cases(), [&](const Case& known) {
            return known.suite == match[1] && is_quoted(match[2], known.name);
          });
          CHECK_MESSAGE(found, path << " names " << match[0]);
        });
    CHECK(names > 30);
  }

  TEST_CASE("a flag that the documents name is there") {
    const int names =
        for_each_match("(?:`| )(--[a-z][a-z-]+)", [](const auto& path, const auto& match) {
          const std::string flag = match[1];
          const std::string& all = programs();
          bool found = false;
          for (std::size_t at = all.find(flag); at != std::string::npos && !found;
               at = all.find(flag, at + 1)) {
            const char after = at + flag.size() < all.size() ? all[at + flag.size()] : ' ';
            found = after != '-' && std::isalnum(static_cast<unsigned char>(after)) == 0;
          }
          CHECK_MESSAGE(found, path << " names " << flag);
        });
    CHECK(names > 50);
  }

  TEST_CASE("a program that the documents start is there, and so is its command") {
    const int names = for_each_match(
        "build/release/(apps|bench|tests)/([a-z-]+) ([a-z-]+)",
        [](const auto& path, const auto& match) {
          const std::string program = match[2];
          const bool built = programs().find("add_executable(" + program) != std::string::npos;
          CHECK_MESSAGE(built, path << " starts " << program);
          const std::string command = "\"" + match[3].str() + "\"";
          CHECK_MESSAGE(programs().find(command) != std::string::npos,
                        path << " starts " << match[0]);
        });
    CHECK(names > 3);
  }

  TEST_CASE("every guarantee has the test that its table names") {
    std::ifstream file(fs::path(STELE_SOURCE_DIR) / "docs/guarantees.md");
    int guarantees = 0;
    for (std::string line; std::getline(file, line);) {
      if (!line.starts_with("| ") || line.starts_with("| name") || line.starts_with("| ---"))
        continue;
      const std::size_t cell = line.rfind("| ", line.size() - 2);
      const std::size_t begin = line.find('`', cell) + 1;
      const std::string test = line.substr(begin, line.find('`', begin) - begin);
      ++guarantees;
      const bool found = std::any_of(tree().begin(), tree().end(), [&](const auto& source) {
        return std::any_of(source.second.lines.begin(), source.second.lines.end(),
                           [&](const std::string& text) {
                             return text.find("TEST_CASE(\"" + test) != std::string::npos;
                           });
      });
      CHECK_MESSAGE(found, test);
      CHECK_MESSAGE(test.find(',') == std::string::npos, test << ": tests/run would not find it");
    }
    CHECK(guarantees >= 10);
  }
}

}  // namespace stele::tidy
