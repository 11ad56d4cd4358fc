// A loop, a directory and a store in it, for tests over real files.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "log/store/disk/disk_store.h"
#include "net/loop/asio_loop.h"
#include "tests/support/state.h"

namespace stele::log {

class TestDirectory {
 public:
  TestDirectory() {
    std::string pattern = (std::filesystem::temp_directory_path() / "stele-unit.XXXXXX").string();
    path_ = ::mkdtemp(pattern.data());
  }
  ~TestDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TestDirectory(const TestDirectory&) = delete;
  TestDirectory& operator=(const TestDirectory&) = delete;

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string sub(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

inline constexpr std::uint64_t kTestMapBytes = 1ULL << 30;

/// Runs the loop until `done` holds; false if it has not after a minute.
inline bool run_until(asio::io_context& context, const std::function<bool()>& done) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::minutes(1);
  while (!done()) {
    if (std::chrono::steady_clock::now() > until) return false;
    context.restart();
    context.run_one_for(std::chrono::milliseconds(50));
  }
  return true;
}

}  // namespace stele::log
