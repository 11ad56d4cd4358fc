// A file that is written in whole pages, past the page cache where the file system allows it and
// nobody will read them soon.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "paxos/base/result.h"

namespace stele::log {

inline constexpr std::size_t kPageBytes = 4096;
/// `bytes` rounded up to whole pages.
[[nodiscard]] constexpr std::uint64_t whole_pages(std::uint64_t bytes) {
  return (bytes + kPageBytes - 1) / kPageBytes * kPageBytes;
}

/// A sync to come. It has a descriptor of its own, opened before the write: Linux tells each one
/// once that a write has failed, and one of several syncs at a time could miss it. Move-only; any
/// thread.
class FileSync {
 public:
  FileSync() = default;  ///< Nothing is left to be done.
  ~FileSync();
  FileSync(FileSync&& other) noexcept;
  FileSync& operator=(FileSync&& other) noexcept;

  /// What was written before is durable when it returns. Errors are final.
  Result<void> run();

 private:
  friend class DirectFile;
  FileSync(int file, std::string path) : file_(file), path_(std::move(path)) {}

  int file_ = -1;
  std::string path_;
};

/// One file that is written and synced. Move-only; one thread. Errors are final: what was written
/// is unknown. But after no_space the same may be written again.
class DirectFile {
 public:
  /// `create`: makes an empty one, durably, in place of any other. Errors: io; no_space; corrupt if
  /// it should exist and does not.
  static Result<DirectFile> open(const std::string& path, bool create);
  DirectFile() = default;
  ~DirectFile();
  DirectFile(DirectFile&& other) noexcept;
  DirectFile& operator=(DirectFile&& other) noexcept;

  /// Writes the parts one after the other from `at` on, which is a page's begin, and zeros up to
  /// the end of the last page. Durable when it returns; with `apart` when that has run.
  Result<void> write(std::uint64_t at, std::span<const std::span<const std::byte>> parts,
                     FileSync* apart = nullptr);
  Result<void> sync();
  /// Whether what is written from now on stays in the page cache, for readers. At first not.
  void set_cached(bool cached);
  /// Whether it does.
  [[nodiscard]] bool cached() const { return !direct_; }
  /// Cuts off what lies after `bytes`, durably.
  Result<void> truncate(std::uint64_t bytes);
  [[nodiscard]] Result<std::uint64_t> size() const;
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  /// Of one system call.
  static constexpr std::size_t kStagingBytes = 1 << 20;

  struct Free {
    void operator()(std::byte* bytes) const;
  };
  void set_direct(bool direct);
  Result<void> put_all(std::uint64_t at, std::span<const std::span<const std::byte>> parts);
  Result<void> put(std::uint64_t at, std::size_t bytes);
  [[nodiscard]] tl::unexpected<Error> error(const char* doing) const;

  int file_ = -1;
  bool direct_allowed_ = false;  // The file system allows direct writes.
  bool direct_ = false;
  std::string path_;
  std::unique_ptr<std::byte[], Free> staging_;  // Aligned, as O_DIRECT wants it.
  std::size_t staging_used_ = 0;                // Bytes from there on are zero.
};

/// A whole file, mapped for reading. Move-only.
class MappedFile {
 public:
  /// Errors: io; corrupt if it is missing.
  static Result<MappedFile> open(const std::string& path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&&) = delete;
  [[nodiscard]] std::span<const std::byte> bytes() const { return bytes_; }

 private:
  explicit MappedFile(std::span<const std::byte> bytes) : bytes_(bytes) {}
  std::span<const std::byte> bytes_;
};

/// Makes the names in a directory durable. Errors: io.
[[nodiscard]] Result<void> sync_directory(const std::string& path);

}  // namespace stele::log
