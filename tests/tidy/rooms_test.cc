// Which file includes which, and where libraries appear. docs/design.md has the rooms.

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <regex>
#include <set>

#include "tests/tidy/tree.h"

namespace stele::tidy {
namespace {

namespace fs = std::filesystem;

/// A room, and where all that it includes may lie: a folder without those in it, or a file.
struct Room {
  std::string folder;
  std::vector<std::string> below;
};

const std::vector<Room>& rooms() {
  static const std::vector<Room> all = [] {
    std::map<std::string, std::vector<std::string>> below;
    const auto room = [&](const std::string& folder, const std::vector<std::string>& direct) {
      std::set<std::string> whole{folder};
      for (const std::string& one : direct) {
        whole.insert(one);
        if (below.contains(one)) whole.insert(below.at(one).begin(), below.at(one).end());
      }
      below[folder] = {whole.begin(), whole.end()};
    };
    room("log/api/stele", {});
    room("paxos/base", {"log/api/stele/types.h", "log/api/stele/error.h"});
    room("paxos", {"paxos/base"});
    room("paxos/leader", {"paxos"});
    room("net/loop", {"paxos/base"});
    room("net/wire", {"paxos", "log/api/stele"});
    room("net/link", {"net/loop", "net/wire"});
    // What is on disks for ever depends on no message.
    room("log/format", {"paxos", "log/api/stele", "net/wire/digest.h"});
    room("log/client/link", {"log/format", "net/link"});
    room("log/client", {"log/client/link"});
    room("log/state", {"log/format"});
    room("log/store", {"log/format"});
    room("log/store/files", {"log/store"});
    room("log/store/disk", {"log/store/files", "net/loop"});
    room("log/store/offline", {"log/store/disk", "log/state"});
    room("log/replica/remote", {"log/store", "net/loop"});
    room("log/replica", {"log/state", "log/replica/remote", "net/link", "paxos/leader"});
    room("log/service", {"log/replica"});
    room("log/node", {"log/service", "log/store/disk"});
    room("apps/common", {"log/node", "log/client", "log/store/offline"});
    room("apps/steled", {"apps/common"});
    room("apps/stele", {"apps/common"});
    room("bench/measure", {});
    room("bench/cluster", {"log/client"});
    room("bench/floor", {"bench/measure", "bench/cluster", "log/store/files"});
    room("bench/stele", {"bench/floor"});
    room("bench/peers", {"bench/stele"});
    std::vector<Room> list;
    for (const auto& [folder, allowed] : below) list.push_back({folder, allowed});
    return list;
  }();
  return all;
}

bool allows(const Room& room, const std::string& file) {
  return std::any_of(room.below.begin(), room.below.end(),
                     [&](const std::string& one) { return one == file || one == folder_of(file); });
}

/// Small benchmarks of parts are written with what the tests have for them.
bool is_exempt(const std::string& path) { return path == "bench/stele/micro.cc"; }

}  // namespace

TEST_SUITE("tidy.rooms") {
  TEST_CASE("rooms include only what lies below them, over the whole chain of includes") {
    for (const Room& room : rooms()) {
      for (const Source* source : sources(room.folder)) {
        if (folder_of(source->path) != room.folder || is_exempt(source->path)) continue;
        for (const auto& [file, chain] : reached_from(source->path)) {
          CHECK_MESSAGE(allows(room, file), chain);
        }
      }
    }
  }

  TEST_CASE("every folder of the product is a room, and holds no more than one can look over") {
    std::map<std::string, int> files;
    for (const auto& [path, source] : tree()) ++files[folder_of(path)];
    for (const auto& [folder, count] : files) {
      CHECK_MESSAGE(count <= 26, folder << " has " << count << " files");
      if (folder.starts_with("tests")) continue;
      const bool known = std::any_of(rooms().begin(), rooms().end(),
                                     [&](const Room& room) { return room.folder == folder; });
      CHECK_MESSAGE(known, folder);
    }
  }

  TEST_CASE("a public header includes the standard library, Asio, and other public headers") {
    for (const Source* source : sources("log/api")) {
      for (const std::string& include : includes(*source)) {
        const bool standard =
            include.find('/') == std::string::npos && include.find('.') == std::string::npos;
        CHECK_MESSAGE((standard || starts_with_any(include, {"stele/", "asio/", "tl/expected"})),
                      source->path << " includes " << include);
      }
    }
  }

  TEST_CASE("what is included in quotes is there, by its path from the top") {
    for (const auto& [path, source] : tree()) {
      for (const std::string& line : source.lines) {
        static const std::regex kQuoted("^\\s*#\\s*include\\s*\"([^\"]+)\".*");
        std::smatch match;
        if (!std::regex_match(line, match, kQuoted)) continue;
        const std::string include = match[1];
        const bool schema = include == "net/wire/wire.capnp.h" && path.starts_with("net/wire/");
        const bool made = schema || path.starts_with("tests/mutants/");
        CHECK_MESSAGE((made || file_of(include)), path << " includes " << include);
      }
    }
  }

  TEST_CASE("libraries appear in one place each") {
    const std::map<std::string, std::vector<std::string>> places{
        {"lmdb.h", {"log/store/files/lmdb.cc", "tests/"}},
        {"capnp/", {"net/wire/codec.cc"}},
        {"kj/", {"net/wire/codec.cc"}},
        {"xxhash", {"net/wire/digest.cc"}},
        {"asio",
         {"net/", "log/api/", "log/client/", "log/node/", "log/store/disk/", "apps/", "bench/",
          "tests/"}},
        {"spdlog/", {"apps/common/logging.cc"}},
        {"CLI/", {"apps/", "bench/", "tests/"}},
        {"toml++/", {"apps/common/config.cc"}},
        {"nlohmann/", {"apps/", "bench/", "tests/"}},
    };
    for (const auto& [path, source] : tree()) {
      for (const std::string& include : includes(source)) {
        for (const auto& [library, where] : places) {
          if (!include.starts_with(library)) continue;
          CHECK_MESSAGE(starts_with_any(path, where), path << " includes " << include);
        }
      }
    }
  }

  TEST_CASE("the folders of the tests are those of the sources") {
    for (const auto& [path, source] : tree()) {
      const bool unit = starts_with_any(
          path, {"tests/paxos/", "tests/net/", "tests/log/", "tests/apps/", "tests/bench/"});
      if (!unit || !path.ends_with("_test.cc")) continue;
      // The folder of the tests is that of the sources, with tests/ before it.
      const std::string folder = folder_of(path).substr(std::string("tests/").size());
      CHECK_MESSAGE(fs::is_directory(fs::path(STELE_SOURCE_DIR) / folder), path);
    }
  }
}

}  // namespace stele::tidy
