// What a reader may rely on all over the tree: which file includes which, where libraries appear,
// how the code looks. docs/design.md has the rooms.

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

namespace stele {
namespace {

namespace fs = std::filesystem;

struct Source {
  std::string path;  // From the top of the tree.
  std::vector<std::string> lines;
};

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

/// All sources of the tree, by their paths.
const std::map<std::string, Source>& tree() {
  static const auto all = [] {
    std::map<std::string, Source> found;
    const fs::path top(STELE_SOURCE_DIR);
    for (const char* room : {"paxos", "net", "log", "apps", "bench", "tests"}) {
      for (const auto& entry : fs::recursive_directory_iterator(top / room)) {
        const std::string extension = entry.path().extension().string();
        if (extension != ".h" && extension != ".cc") continue;
        Source source{fs::relative(entry.path(), top).string(), {}};
        std::ifstream file(entry.path());
        for (std::string line; std::getline(file, line);) source.lines.push_back(line);
        found.emplace(source.path, std::move(source));
      }
    }
    return found;
  }();
  return all;
}

std::vector<const Source*> sources(const std::string& room) {
  std::vector<const Source*> found;
  for (const auto& [path, source] : tree()) {
    if (path.starts_with(room + "/")) found.push_back(&source);
  }
  return found;
}

/// What an include of ours stands for; nothing if it is a library's, or made by the build.
std::optional<std::string> file_of(const std::string& include) {
  for (const std::string& path : {include, "log/api/" + include}) {
    if (tree().contains(path)) return path;
  }
  return std::nullopt;
}

/// Every file of ours that is included by `path`, by one that it includes, and so on; with the
/// chain that leads there.
std::map<std::string, std::string> reached_from(const std::string& path) {
  std::map<std::string, std::string> reached;
  std::vector<std::string> open{path};
  while (!open.empty()) {
    const std::string at = open.back();
    open.pop_back();
    for (const std::string& include : includes(tree().at(at))) {
      const auto file = file_of(include);
      if (!file || reached.contains(*file)) continue;
      const std::string before = at == path ? path : reached.at(at);
      reached[*file] = before + " -> " + *file;
      open.push_back(*file);
    }
  }
  return reached;
}

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
    room("log/format", {"net/wire"});
    room("log/client/link", {"log/format", "net/link"});
    room("log/client", {"log/client/link"});
    room("log/state", {"log/format"});
    room("log/store", {"log/format"});
    room("log/store/files", {"log/store"});
    room("log/store/disk", {"log/store/files", "net/loop"});
    room("log/store/offline", {"log/store/disk", "log/state"});
    room("log/replica", {"log/state", "log/store", "net/link", "paxos/leader"});
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

std::string folder_of(const std::string& path) { return path.substr(0, path.rfind('/')); }

bool allows(const Room& room, const std::string& file) {
  return std::any_of(room.below.begin(), room.below.end(),
                     [&](const std::string& one) { return one == file || one == folder_of(file); });
}

/// The pages of docs/, and README.md, by their paths.
const std::map<std::string, std::string>& documents() {
  static const auto all = [] {
    std::map<std::string, std::string> found;
    const fs::path top(STELE_SOURCE_DIR);
    std::vector<fs::path> paths{top / "README.md"};
    for (const auto& entry : fs::recursive_directory_iterator(top / "docs")) {
      if (entry.path().extension() == ".md") paths.push_back(entry.path());
    }
    for (const fs::path& path : paths) {
      std::ifstream file(path);
      std::ostringstream text;
      text << file.rdbuf();
      found[fs::relative(path, top).string()] = text.str();
    }
    return found;
  }();
  return all;
}

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

/// Small benchmarks of parts are written with what the tests have for them.
bool is_exempt(const std::string& path) { return path == "bench/stele/micro.cc"; }

}  // namespace

TEST_SUITE("tidy") {
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

  TEST_CASE("a function that the documents name is there") {
    const std::regex name("`(?:[A-Za-z_]+::)*([A-Z][A-Za-z]+)::([a-z_]+)`");
    int names = 0;
    for (const auto& [path, text] : documents()) {
      for (auto at = std::sregex_iterator(text.begin(), text.end(), name);
           at != std::sregex_iterator(); ++at) {
        ++names;
        CHECK_MESSAGE(is_member((*at)[1], (*at)[2]), path << " names " << (*at)[0]);
      }
    }
    CHECK(names > 50);
  }

  TEST_CASE("a file or folder that the documents name is there") {
    const std::regex name("`((?:paxos|net|log|apps|bench|tests)/[A-Za-z0-9_./-]+)");
    int names = 0;
    for (const auto& [path, text] : documents()) {
      for (auto at = std::sregex_iterator(text.begin(), text.end(), name);
           at != std::sregex_iterator(); ++at) {
        ++names;
        CHECK_MESSAGE(fs::exists(fs::path(STELE_SOURCE_DIR) / (*at)[1].str()),
                      path << " names " << (*at)[1]);
      }
    }
    CHECK(names > 30);
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
    }
    CHECK(guarantees >= 10);
  }

  // One word for one thing: `after` for time and `lags` for a node that is late; `repair`.
  TEST_CASE("comments and documents keep to the words") {
    const std::regex banned("\\b(behind|whoever|mend|mends|mended|heals)\\b", std::regex::icase);
    const auto check = [&](const std::string& path, const std::string& text) {
      CHECK_MESSAGE(!std::regex_search(text, banned), path << ": " << text);
    };
    for (const auto& [path, source] : tree()) {
      if (path == "tests/tidy_test.cc") continue;
      for (const std::string& line : source.lines) {
        if (const auto at = line.find("//"); at != std::string::npos) check(path, line.substr(at));
      }
    }
    for (const auto& [path, text] : documents()) {
      std::istringstream lines(text);
      for (std::string line; std::getline(lines, line);) check(path, line);
    }
  }
}

}  // namespace stele
