#include "bench/measure/usage.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

namespace stele::bench {
namespace {

/// The number after `key` in a file of lines `key: number`.
std::uint64_t number_in(const std::string& path, const std::string& key) {
  std::ifstream file(path);
  std::string line;
  while (std::getline(file, line)) {
    if (line.compare(0, key.size(), key) == 0) return std::strtoull(&line[key.size()], nullptr, 10);
  }
  return 0;
}

double cpu_seconds(const std::string& process) {
  std::ifstream file(process + "/stat");
  std::string all{std::istreambuf_iterator<char>(file), {}};
  const auto name_end = all.rfind(')');
  if (name_end == std::string::npos) return 0;
  std::istringstream rest(all.substr(name_end + 2));
  std::string skipped;
  for (int i = 0; i < 11; ++i) rest >> skipped;
  double user = 0;
  double system = 0;
  rest >> user >> system;
  return (user + system) / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

}  // namespace

Usage usage_of(const std::vector<pid_t>& processes) {
  Usage usage;
  for (const pid_t pid : processes) {
    const std::string process = "/proc/" + std::to_string(pid);
    usage.cpu_seconds += cpu_seconds(process);
    usage.written_bytes += number_in(process + "/io", "write_bytes: ");
    usage.rss_anon_bytes =
        std::max(usage.rss_anon_bytes, 1024 * number_in(process + "/status", "RssAnon:"));
    std::error_code gone;
    for (const auto& task : std::filesystem::directory_iterator(process + "/task", gone)) {
      usage.switches += number_in(task.path().string() + "/status", "voluntary_ctxt_switches:");
    }
  }
  return usage;
}

}  // namespace stele::bench
