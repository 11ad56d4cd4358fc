#include "log/data_directory.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

namespace stele::log {
namespace {

constexpr const char* kLockName = "stele.lock";

}  // namespace

Result<DataDirectory> DataDirectory::open(const std::string& path) {
  namespace fs = std::filesystem;
  std::error_code error;
  fs::create_directories(path, error);
  if (error || !fs::is_directory(path, error)) {
    return fail(Errc::io, "the data directory " + path + " cannot be made: " +
                              (error ? error.message() : "it is not a directory"));
  }
  bool fresh = true;
  bool others = false;
  for (const auto& entry : fs::directory_iterator(path, error)) {
    const std::string name = entry.path().filename().string();
    if (name == "data.mdb") fresh = false;
    const bool own = name == "data.mdb" || name == "lock.mdb" || name == "journal" ||
                     name == "values" || name == kLockName || name == "lost+found";
    if (!own) {
      others = true;
    }
  }
  if (error)
    return fail(Errc::io, "the data directory " + path + " cannot be read: " + error.message());
  if (fresh && others) {
    return fail(Errc::foreign_directory,
                "the directory " + path +
                    " is not empty and holds no store of Stele; give --data an empty directory");
  }
  const std::string lock_path = path + "/" + kLockName;
  const int lock = ::open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640);
  if (lock < 0) {
    return fail(Errc::io,
                "the data directory " + path + " cannot be written: " + std::strerror(errno));
  }
  if (::flock(lock, LOCK_EX | LOCK_NB) != 0) {
    ::close(lock);
    return fail(Errc::in_use, "the data directory " + path + " is in use by another process");
  }
  return DataDirectory(path, lock, fresh);
}

DataDirectory::~DataDirectory() {
  if (lock_ >= 0) ::close(lock_);
}

DataDirectory::DataDirectory(DataDirectory&& other) noexcept
    : path_(std::move(other.path_)), lock_(std::exchange(other.lock_, -1)), fresh_(other.fresh_) {}

}  // namespace stele::log
