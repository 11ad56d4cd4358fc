// What a reader may rely on all over the tree: who includes whom, and where libraries appear.

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace stele {
namespace {

namespace fs = std::filesystem;

struct Source {
  std::string path;  // From the top of the tree.
  std::vector<std::string> lines;
};

std::vector<Source> sources(const std::string& room) {
  const fs::path top(STELE_SOURCE_DIR);
  std::vector<Source> found;
  for (const auto& entry : fs::recursive_directory_iterator(top / room)) {
    const std::string extension = entry.path().extension().string();
    if (extension != ".h" && extension != ".cc") continue;
    Source source{fs::relative(entry.path(), top).string(), {}};
    std::ifstream file(entry.path());
    for (std::string line; std::getline(file, line);) source.lines.push_back(line);
    found.push_back(std::move(source));
  }
  return found;
}

std::vector<std::string> includes(const Source& source) {
  std::vector<std::string> found;
  for (const std::string& line : source.lines) {
    if (!line.starts_with("#include ")) continue;
    found.push_back(line.substr(10, line.find_last_of("\">") - 10));
  }
  return found;
}

bool starts_with_any(const std::string& text, const std::vector<std::string>& starts) {
  return std::any_of(starts.begin(), starts.end(),
                     [&](const std::string& start) { return text.starts_with(start); });
}

/// Only these files of our own, and no library whose name starts so, may be included in a room.
void check_room(const std::string& room, const std::vector<std::string>& own,
                const std::vector<std::string>& never) {
  for (const Source& source : sources(room)) {
    for (const std::string& include : includes(source)) {
      const bool ours =
          starts_with_any(include, {"paxos/", "net/", "log/", "apps/", "tests/", "bench/"});
      CHECK_MESSAGE((!ours || starts_with_any(include, own)),
                    source.path << " includes " << include);
      CHECK_MESSAGE(!starts_with_any(include, never), source.path << " includes " << include);
    }
  }
}

}  // namespace

TEST_SUITE("tidy") {
  TEST_CASE("rooms include only what lies below them; the protocol is pure") {
    check_room(
        "paxos", {"paxos/"},
        {"asio", "capnp", "kj", "lmdb", "spdlog", "xxhash", "thread", "mutex", "sys/", "unistd"});
    check_room("net", {"net/", "paxos/"}, {"lmdb", "spdlog"});
    check_room("log", {"log/", "net/", "paxos/"}, {"capnp", "kj", "spdlog", "CLI"});
    check_room("apps", {"apps/", "log/", "net/", "paxos/"}, {"capnp", "kj", "lmdb"});
  }

  TEST_CASE("LMDB appears in one file, Cap'n Proto in the codec's two") {
    for (const char* room : {"paxos", "net", "log", "apps", "tests"}) {
      for (const Source& source : sources(room)) {
        for (const std::string& include : includes(source)) {
          if (include == "lmdb.h") CHECK(source.path == "log/store/files/lmdb.h");
          const bool codec =
              source.path == "net/wire/encode.cc" || source.path == "net/wire/decode.cc";
          if (include.starts_with("capnp/")) CHECK(codec);
        }
      }
    }
  }

  TEST_CASE("the protocol has no clock and no randomness of its own") {
    for (const Source& source : sources("paxos")) {
      for (const std::string& line : source.lines) {
        for (const char* word :
             {"steady_clock", "system_clock", "random_device", "std::thread", "printf"}) {
          const bool allowed =
              source.path == "paxos/base/check.cc";  // It says why the process ends.
          CHECK_MESSAGE((allowed || line.find(word) == std::string::npos),
                        source.path << ": " << line);
        }
      }
    }
  }

  TEST_CASE(
      "lines have at most 100 columns outside of tests, files end as such, headers are guarded") {
    for (const char* room : {"paxos", "net", "log", "apps"}) {
      for (const Source& source : sources(room)) {
        for (const std::string& line : source.lines) {
          // Columns, not bytes: a comment may have letters of more than one.
          const auto columns = std::count_if(line.begin(), line.end(), [](char c) {
            return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
          });
          CHECK_MESSAGE(columns <= 100, source.path << ": " << line);
        }
        if (source.path.ends_with(".h")) {
          const bool guarded = std::find(source.lines.begin(), source.lines.end(),
                                         "#pragma once") != source.lines.end();
          CHECK_MESSAGE(guarded, source.path);
        }
      }
    }
  }
}

}  // namespace stele
