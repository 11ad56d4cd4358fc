// The tree as the tidy tests see it: sources, what they include, documents.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace stele::tidy {

struct Source {
  std::string path;  // From the top of the tree.
  std::vector<std::string> lines;
};

/// All sources of the tree, by their paths.
[[nodiscard]] const std::map<std::string, Source>& tree();
/// Those in a room, and in the folders in it.
[[nodiscard]] std::vector<const Source*> sources(const std::string& room);
/// As they stand in its #include lines.
[[nodiscard]] std::vector<std::string> includes(const Source& source);
/// What an include of ours stands for; nothing if it is a library's, or made by the build.
[[nodiscard]] std::optional<std::string> file_of(const std::string& include);
/// Every file of ours that is included by `path`, by one that it includes, and so on; with the
/// chain that leads there.
[[nodiscard]] std::map<std::string, std::string> reached_from(const std::string& path);

/// The pages of docs/, and README.md, by their paths.
[[nodiscard]] const std::map<std::string, std::string>& documents();
/// Everything that defines flags: sources of programs, scripts, build files.
[[nodiscard]] const std::string& programs();

struct Case {
  std::string suite;
  std::string name;
};
[[nodiscard]] const std::vector<Case>& cases();

[[nodiscard]] bool starts_with_any(const std::string& text, const std::vector<std::string>& starts);
[[nodiscard]] std::string folder_of(const std::string& path);

}  // namespace stele::tidy
