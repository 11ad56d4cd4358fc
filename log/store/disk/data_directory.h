// A node's directory on the disk: locked, and known to be the right one.
#pragma once

#include <cstdint>
#include <string>

#include "paxos/base/result.h"

namespace stele::log {

/// Holds the lock on a directory for as long as it lives. Move-only.
class DataDirectory {
 public:
  /// Makes the directory if it does not exist. Errors: in_use (another process has it),
  /// foreign_directory (it holds something else), corrupt (a part of the store is missing, or is no
  /// file), io (cannot be written).
  static Result<DataDirectory> open(const std::string& path);
  /// The same for a directory that exists and is only read; it need not be writable.
  static Result<DataDirectory> open_to_read(const std::string& path);
  ~DataDirectory();
  DataDirectory(DataDirectory&& other) noexcept;
  DataDirectory& operator=(DataDirectory&&) = delete;

  [[nodiscard]] const std::string& path() const { return path_; }
  /// There was no store in it.
  [[nodiscard]] bool fresh() const { return fresh_; }
  /// Its files may be written.
  [[nodiscard]] bool writable() const;

 private:
  DataDirectory(std::string path, int lock, bool fresh)
      : path_(std::move(path)), lock_(lock), fresh_(fresh) {}
  static Result<DataDirectory> lock(const std::string& path, int file, bool fresh);

  std::string path_;
  int lock_ = -1;  // -1: nobody can write there, nor lock.
  bool fresh_ = false;
};

}  // namespace stele::log
