#include "tests/tidy/tree.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>

namespace stele::tidy {
namespace {

namespace fs = std::filesystem;

std::string content_of(const fs::path& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

}  // namespace

std::optional<std::string> file_of(const std::string& include) {
  for (const std::string& path : {include, "log/api/" + include}) {
    if (tree().contains(path)) return path;
  }
  return std::nullopt;
}

std::vector<std::string> includes(const Source& source) {
  std::vector<std::string> found;
  for (const std::string& line : source.lines) {
    static const std::regex kInclude("^\\s*#\\s*include\\s*[<\"]([^\">]+)[\">].*");
    std::smatch match;
    if (std::regex_match(line, match, kInclude)) found.push_back(match[1]);
  }
  return found;
}

bool starts_with_any(const std::string& text, const std::vector<std::string>& starts) {
  return std::any_of(starts.begin(), starts.end(),
                     [&](const std::string& start) { return text.starts_with(start); });
}

std::string folder_of(const std::string& path) { return path.substr(0, path.rfind('/')); }

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

const std::map<std::string, std::string>& documents() {
  static const auto all = [] {
    std::map<std::string, std::string> found;
    const fs::path top(STELE_SOURCE_DIR);
    std::vector<fs::path> paths{top / "README.md"};
    for (const auto& entry : fs::recursive_directory_iterator(top / "docs")) {
      if (entry.path().extension() == ".md") paths.push_back(entry.path());
    }
    for (const fs::path& path : paths) found[fs::relative(path, top).string()] = content_of(path);
    return found;
  }();
  return all;
}

const std::string& programs() {
  static const auto all = [] {
    std::string text;
    const fs::path top(STELE_SOURCE_DIR);
    for (const char* room : {"apps", "bench", "tests"}) {
      for (const auto& entry : fs::recursive_directory_iterator(top / room)) {
        const std::string extension = entry.path().extension().string();
        const bool script = entry.is_regular_file() && extension.empty();
        if (script || extension == ".cc" || extension == ".txt" || extension == ".sh")
          text += content_of(entry.path());
      }
    }
    return text + content_of(top / "CMakeLists.txt");
  }();
  return all;
}

const std::vector<Case>& cases() {
  static const auto all = [] {
    std::vector<Case> found;
    const std::regex suite("\\nTEST_SUITE\\(\"([^\"]+)\"");
    const std::regex name("TEST_CASE\\(\\s*\"([^\"]+)\"(?:\\s*\"([^\"]+)\")?");
    for (const Source* source : sources("tests")) {
      std::string text;
      for (const std::string& line : source->lines) text += "\n" + line;
      std::smatch in;
      if (!std::regex_search(text, in, suite)) continue;
      for (auto at = std::sregex_iterator(text.begin(), text.end(), name);
           at != std::sregex_iterator(); ++at) {
        found.push_back({in[1].str(), (*at)[1].str() + (*at)[2].str()});
      }
    }
    return found;
  }();
  return all;
}

}  // namespace stele::tidy
