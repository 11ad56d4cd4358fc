#include "log/store/disk/data_directory.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include "log/store/files/disk_reserve.h"

namespace stele::log {
namespace {

constexpr const char* kLockName = "stele.lock";

struct Found {
  bool fresh = false;
};

/// What a first start makes comes in this order: tables, journal, values. One that is there without
/// those before it is what is left of a store, and must not be started over.
Result<Found> look(const std::string& path) {
  namespace fs = std::filesystem;
  std::error_code error;
  std::string others;
  std::string left;
  bool tables = false;
  bool empty = false;
  for (const auto& entry : fs::directory_iterator(path, error)) {
    const std::string name = entry.path().filename().string();
    std::error_code unknown;
    const bool is_file = fs::is_regular_file(entry.path(), unknown);
    const bool holds_files = name == "values" || name == "snapshots";
    const bool right = holds_files ? fs::is_directory(entry.path(), unknown) : is_file;
    if (!right && (name == "data.mdb" || name == "journal" || holds_files || name == kLockName ||
                   name == kReserveName)) {
      return fail(Errc::corrupt, entry.path().string() + " is not a " +
                                     (holds_files ? "directory" : "file") + ": nothing is changed");
    }
    if (name == "data.mdb") {
      empty = entry.file_size(unknown) == 0;
      tables = !empty;
    } else if (name == "journal" || holds_files) {
      left += (left.empty() ? "" : " and ") + name;
    } else if (name != "lock.mdb" && name != kLockName && name != kReserveName &&
               name != "lost+found") {
      others = name;
    }
  }
  if (error) {
    return fail(Errc::io, "the data directory " + path + " cannot be read: " + error.message());
  }
  if (!tables && !left.empty()) {
    return fail(Errc::corrupt, "the directory " + path + " holds " + left +
                                   " of a store, but its " + "data.mdb is " +
                                   (empty ? "empty" : "missing") +
                                   ": nothing is changed, since its votes would be forgotten; put "
                                   "back the whole directory as it was after its last stop");
  }
  if (!tables && !others.empty()) {
    return fail(Errc::foreign_directory,
                "the directory " + path + " is not empty (it has " + others +
                    ") and holds no store of Stele; give --data an empty directory");
  }
  return Found{!tables};
}

}  // namespace

Result<DataDirectory> DataDirectory::open(const std::string& path) {
  namespace fs = std::filesystem;
  std::error_code error;
  fs::create_directories(path, error);
  if (error || !fs::is_directory(path, error)) {
    return fail(Errc::io, "the data directory " + path + " cannot be made: " +
                              (error ? error.message() : "it is not a directory"));
  }
  const auto found = look(path);
  if (!found) return forward(found);
  const std::string lock_path = path + "/" + kLockName;
  const int lock = ::open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640);
  if (lock < 0) {
    return fail(Errc::io,
                "the data directory " + path + " cannot be written: " + std::strerror(errno));
  }
  return DataDirectory::lock(path, lock, found->fresh);
}

Result<DataDirectory> DataDirectory::open_to_read(const std::string& path) {
  std::error_code error;
  if (!std::filesystem::is_directory(path, error)) {
    const bool there = std::filesystem::exists(path, error);
    return fail(Errc::foreign_directory,
                there ? path + " is not a directory" : "there is no directory '" + path + "'");
  }
  const auto found = look(path);
  if (!found) return forward(found);
  const std::string lock_path = path + "/" + kLockName;
  int file = ::open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640);
  if (file < 0) file = ::open(lock_path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0 && errno == ENOENT) return DataDirectory(path, -1, found->fresh);
  if (file < 0) return fail(Errc::io, "cannot open " + lock_path + ": " + std::strerror(errno));
  return lock(path, file, found->fresh);
}

Result<DataDirectory> DataDirectory::lock(const std::string& path, int file, bool fresh) {
  if (::flock(file, LOCK_EX | LOCK_NB) != 0) {
    ::close(file);
    return fail(Errc::in_use, "the data directory " + path +
                                  " is in use by another node, of this process or another one");
  }
  return DataDirectory(path, file, fresh);
}

bool DataDirectory::writable() const {
  return ::access(path_.c_str(), W_OK) == 0 && ::access((path_ + "/data.mdb").c_str(), W_OK) == 0;
}

DataDirectory::~DataDirectory() {
  if (lock_ >= 0) ::close(lock_);
}

DataDirectory::DataDirectory(DataDirectory&& other) noexcept
    : path_(std::move(other.path_)), lock_(std::exchange(other.lock_, -1)), fresh_(other.fresh_) {}

}  // namespace stele::log
