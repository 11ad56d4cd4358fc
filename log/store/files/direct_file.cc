#include "log/store/files/direct_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <new>
#include <utility>

namespace stele::log {
namespace {

/// no_space: nothing was written that counts, and it may be tried again; a sync that has failed for
/// want of space may not.
tl::unexpected<Error> io_error(const std::string& doing, const std::string& path) {
  const bool full = (errno == ENOSPC || errno == EDQUOT) && doing != "sync";
  return fail(full ? Errc::no_space : Errc::io,
              "cannot " + doing + " " + path + ": " + std::strerror(errno));
}

}  // namespace

Result<void> sync_directory(const std::string& path) {
  const int directory = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const bool synced = directory >= 0 && ::fsync(directory) == 0;
  const int reason = errno;
  if (directory >= 0) ::close(directory);
  errno = reason;
  if (!synced) return io_error("sync", path);
  return {};
}

void DirectFile::Free::operator()(std::byte* bytes) const { ::munmap(bytes, kStagingBytes); }

tl::unexpected<Error> DirectFile::error(const char* doing) const { return io_error(doing, path_); }

Result<DirectFile> DirectFile::open(const std::string& path, bool create) {
  DirectFile opened;
  opened.path_ = path;
  const int flags = O_RDWR | O_CLOEXEC | (create ? O_CREAT | O_TRUNC : 0);
  opened.file_ = ::open(path.c_str(), flags | O_DIRECT, 0640);
  opened.direct_ = opened.direct_allowed_ = opened.file_ >= 0;
  if (!opened.direct_ && errno == EINVAL) opened.file_ = ::open(path.c_str(), flags, 0640);
  if (opened.file_ < 0 && errno == ENOENT && !create) {
    return fail(Errc::corrupt, path + " is missing");
  }
  if (opened.file_ < 0) return opened.error("open");
  void* const staging =
      ::mmap(nullptr, kStagingBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (staging == MAP_FAILED) throw std::bad_alloc();
  opened.staging_.reset(static_cast<std::byte*>(staging));
  if (!create) return opened;
  if (::fsync(opened.file_) != 0) return opened.error("sync");
  if (const auto done = sync_directory(std::filesystem::path(path).parent_path().string()); !done) {
    return forward(done);
  }
  return opened;
}

FileSync::~FileSync() {
  if (file_ >= 0) ::close(file_);
}

FileSync::FileSync(FileSync&& other) noexcept
    : file_(std::exchange(other.file_, -1)), path_(std::move(other.path_)) {}

FileSync& FileSync::operator=(FileSync&& other) noexcept {
  std::swap(file_, other.file_);
  std::swap(path_, other.path_);
  return *this;
}

Result<void> FileSync::run() {
  if (file_ >= 0 && ::fdatasync(file_) != 0) return io_error("sync", path_);
  return {};
}

DirectFile::~DirectFile() {
  if (file_ >= 0) ::close(file_);
}

DirectFile::DirectFile(DirectFile&& other) noexcept
    : file_(std::exchange(other.file_, -1)),
      direct_allowed_(other.direct_allowed_),
      direct_(other.direct_),
      path_(std::move(other.path_)),
      staging_(std::move(other.staging_)),
      staging_used_(other.staging_used_) {}

DirectFile& DirectFile::operator=(DirectFile&& other) noexcept {
  std::swap(file_, other.file_);
  std::swap(direct_allowed_, other.direct_allowed_);
  std::swap(direct_, other.direct_);
  std::swap(path_, other.path_);
  std::swap(staging_, other.staging_);
  std::swap(staging_used_, other.staging_used_);
  return *this;
}

Result<void> DirectFile::write(std::uint64_t at, std::span<const std::span<const std::byte>> parts,
                               FileSync* apart) {
  if (apart == nullptr) {
    auto done = put_all(at, parts);
    return done ? sync() : done;
  }
  FileSync later(::open(path_.c_str(), O_RDONLY | O_CLOEXEC), path_);
  if (later.file_ < 0) return error("open");
  auto done = put_all(at, parts);
  if (done) *apart = std::move(later);
  return done;
}

Result<void> DirectFile::put_all(std::uint64_t at,
                                 std::span<const std::span<const std::byte>> parts) {
  std::size_t staged = 0;
  for (std::span<const std::byte> part : parts) {
    while (!part.empty()) {
      const std::size_t count = std::min(part.size(), kStagingBytes - staged);
      std::memcpy(staging_.get() + staged, part.data(), count);
      part = part.subspan(count);
      staged += count;
      staging_used_ = std::max(staging_used_, staged);
      if (staged < kStagingBytes) continue;
      if (auto done = put(at, staged); !done) return done;
      at += std::exchange(staged, 0);
    }
  }
  const std::size_t padded = whole_pages(staged);
  if (staging_used_ > staged) {
    std::memset(staging_.get() + staged, 0, std::min(staging_used_, padded) - staged);
    if (staging_used_ <= padded) staging_used_ = staged;
  }
  return put(at, padded);
}

Result<void> DirectFile::put(std::uint64_t at, std::size_t bytes) {
  std::size_t done = 0;
  while (done < bytes) {
    const ssize_t written =
        ::pwrite(file_, staging_.get() + done, bytes - done, static_cast<off_t>(at + done));
    if (written > 0) {
      done += static_cast<std::size_t>(written);
    } else if (written < 0 && errno == EINVAL && direct_) {
      // Some file systems take the flag and nothing else.
      direct_allowed_ = false;
      set_direct(false);
      if (direct_) return error("write");
    } else if (written == 0 || errno != EINTR) {
      return error("write");
    }
  }
  return {};
}

void DirectFile::set_cached(bool cached) {
  if (direct_ == cached && direct_allowed_) set_direct(!cached);
}

void DirectFile::set_direct(bool direct) {
  const int flags = ::fcntl(file_, F_GETFL);
  if (::fcntl(file_, F_SETFL, direct ? flags | O_DIRECT : flags & ~O_DIRECT) == 0) direct_ = direct;
}

Result<void> DirectFile::sync() {
  if (::fdatasync(file_) != 0) return error("sync");
  return {};
}

Result<void> DirectFile::truncate(std::uint64_t bytes) {
  if (::ftruncate(file_, static_cast<off_t>(bytes)) != 0) return error("cut off");
  if (::fsync(file_) != 0) return error("sync");
  return {};
}

Result<std::uint64_t> DirectFile::size() const {
  struct stat status {};
  if (::fstat(file_, &status) != 0) return error("look at");
  return static_cast<std::uint64_t>(status.st_size);
}

Result<MappedFile> MappedFile::open(const std::string& path) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0 && errno == ENOENT) return fail(Errc::corrupt, path + " is missing");
  if (file < 0) return io_error("open", path);
  struct stat status {};
  const bool known = ::fstat(file, &status) == 0;
  const auto size = static_cast<std::size_t>(status.st_size);
  void* mapped =
      known && size != 0 ? ::mmap(nullptr, size, PROT_READ, MAP_SHARED, file, 0) : MAP_FAILED;
  ::close(file);
  if (known && size == 0) return MappedFile({});
  if (mapped == MAP_FAILED) return io_error("read", path);
  return MappedFile({static_cast<const std::byte*>(mapped), size});
}

MappedFile::~MappedFile() {
  if (!bytes_.empty()) ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

MappedFile::MappedFile(MappedFile&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}

}  // namespace stele::log
