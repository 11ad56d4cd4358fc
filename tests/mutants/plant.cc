// plant SOURCE_DIR TARGET_DIR FILE.mutants…: writes copies of the sources that the mutants change,
// with all the mistakes in them, each under a condition, and mutants.inc with their names.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

using Lines = std::vector<std::string>;

struct Mutant {
  std::string name;
  std::string says;
};

Lines read_lines(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw std::runtime_error("cannot read " + path);
  Lines lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

class Planter {
 public:
  Planter(std::string source, std::string target)
      : source_(std::move(source)), target_(std::move(target)) {}

  void read(const std::string& path) {
    std::string file;
    Lines before;
    Lines after;
    int number = 0;
    const auto finish = [&] {
      if (!before.empty()) change(file, before, after, path + ":" + std::to_string(number));
      before.clear();
      after.clear();
    };
    for (const std::string& line : read_lines(path)) {
      ++number;
      if (line.starts_with("== ")) {
        finish();
        const std::size_t colon = line.find(": ");
        if (colon == std::string::npos) throw std::runtime_error(path + ": " + line);
        mutants_.push_back({line.substr(3, colon - 3), line.substr(colon + 2)});
      } else if (line.starts_with("@@ ")) {
        finish();
        file = line.substr(3);
      } else if (line.starts_with("-")) {
        before.push_back(line.substr(1));
      } else if (line.starts_with("+")) {
        after.push_back(line.substr(1));
      } else if (!line.empty() && line[0] != '#') {
        throw std::runtime_error(path + ":" + std::to_string(number) + ": what is this line?");
      }
    }
    finish();
  }

  void write() {
    std::map<std::string, int> used;
    for (auto& [file, lines] : files_) {
      std::ostringstream text;
      bool guarded = false;
      for (std::string& line : lines) {
        number(line, used);
        text << line << '\n';
        // After a header's guard, or at the top of a source.
        if (!guarded && line.starts_with("#include")) {
          text << "#include \"tests/mutants/mutants.h\"\n";
          guarded = true;
        }
      }
      put(target_ + "/" + file, text.str());
    }
    std::ostringstream list;
    for (const Mutant& mutant : mutants_) {
      if (used[mutant.name] == 0) throw std::runtime_error(mutant.name + " changes nothing");
      list << "{\"" << mutant.name << "\", \"" << mutant.says << "\"},\n";
    }
    put(target_ + "/mutants.inc", list.str());
    forget_others();
  }

 private:
  /// A header that is changed no more would be included all the same.
  void forget_others() const {
    namespace fs = std::filesystem;
    std::vector<fs::path> others;
    for (const auto& entry : fs::recursive_directory_iterator(target_)) {
      const std::string file = fs::relative(entry.path(), target_).string();
      const bool of_source = file.ends_with(".h") || file.ends_with(".cc");
      if (of_source && !files_.contains(file)) others.push_back(entry.path());
    }
    for (const fs::path& other : others) fs::remove(other);
  }

  void change(const std::string& file, const Lines& before, const Lines& after,
              const std::string& where) {
    auto found = files_.find(file);
    if (found == files_.end()) {
      found = files_.emplace(file, read_lines(source_ + "/" + file)).first;
    }
    Lines& lines = found->second;
    const auto at = std::search(lines.begin(), lines.end(), before.begin(), before.end());
    if (at == lines.end()) throw std::runtime_error(where + ": not in " + file);
    if (std::search(at + 1, lines.end(), before.begin(), before.end()) != lines.end()) {
      throw std::runtime_error(where + ": more than once in " + file);
    }
    const auto gap = lines.erase(at, at + static_cast<std::ptrdiff_t>(before.size()));
    lines.insert(gap, after.begin(), after.end());
  }

  /// MUTANT(name) becomes a condition on its number.
  void number(std::string& line, std::map<std::string, int>& used) const {
    for (std::size_t at = line.find("MUTANT("); at != std::string::npos;
         at = line.find("MUTANT(", at)) {
      const std::size_t end = line.find(')', at);
      const std::string name = line.substr(at + 7, end - at - 7);
      const auto mutant = std::find_if(mutants_.begin(), mutants_.end(),
                                       [&](const Mutant& any) { return any.name == name; });
      if (mutant == mutants_.end()) throw std::runtime_error("there is no mutant " + name);
      ++used[name];
      const std::string condition =
          "::stele::mutants::on(" + std::to_string(mutant - mutants_.begin() + 1) + ")";
      line.replace(at, end + 1 - at, condition);
    }
  }

  /// Writes only what has changed, so that nothing is built again for the same text.
  static void put(const std::string& path, const std::string& text) {
    std::filesystem::create_directories(std::filesystem::path(path).parent_path());
    std::ifstream before(path);
    const std::string old{std::istreambuf_iterator<char>(before), {}};
    if (before && old == text) return;
    std::ofstream(path) << text;
  }

  std::string source_;
  std::string target_;
  std::vector<Mutant> mutants_;
  std::map<std::string, Lines> files_;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) return 2;
  try {
    Planter planter(argv[1], argv[2]);
    for (int i = 3; i < argc; ++i) planter.read(argv[i]);
    planter.write();
  } catch (const std::exception& error) {
    std::cerr << "plant: " << error.what() << '\n';
    return 1;
  }
  return 0;
}
