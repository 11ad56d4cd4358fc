#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/scenarios/story.h"

namespace stele::sim {
namespace {

std::string read(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

}  // namespace

TEST_SUITE("scenarios") {
  TEST_CASE("every story comes as it is told") {
    int stories = 0;
    for (const auto& entry :
         std::filesystem::directory_iterator(std::string(STELE_SOURCE_DIR) + "/tests/scenarios")) {
      if (entry.path().extension() != ".txt") continue;
      ++stories;
      CAPTURE(entry.path().filename().string());
      CHECK(run_story(read(entry.path())) == "");
    }
    CHECK(stories >= 10);
  }

  TEST_CASE("a story that does not come as told says where") {
    CHECK(run_story("nodes 3\nlead n1\nexpect n2 leads\n").find("line 3") == 0);
    CHECK(
        run_story(
            "nodes 3\nlead n1\nopen n1 a\nsettle\nappend n1 a \"x\"\nsettle\nexpect n1 log \"y\"\n")
            .find("its log is \"x\"") != std::string::npos);
    CHECK(run_story("frobnicate\n") != "");
  }
}

}  // namespace stele::sim
