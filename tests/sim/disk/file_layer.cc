#include "tests/sim/disk/file_layer.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "paxos/base/check.h"
#include "tests/sim/disk/slow_syncs.h"

namespace stele::sim {
namespace {

constexpr std::size_t kPage = 4096;

using Page = std::vector<char>;

struct Versions {
  Page synced;                // What is surely on the medium.
  std::vector<Page> written;  // What was written over it since, in order.
  bool cached = false;        // Whether that went through the page cache.

  [[nodiscard]] const Page& surviving(Random& random) const {
    const std::uint64_t kept = random.below(written.size() + 1);
    return kept == 0 ? synced : written[kept - 1];
  }
};

template <class Function>
Function* real(const char* name) {
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

void put_back(const std::string& from, const std::string& to) {
  const auto call = real<int(const char*, const char*)>("rename");
  STELE_CHECK(call(from.c_str(), to.c_str()) == 0);
}

/// How many writes and syncs the process that has the files still does.
struct Life {
  std::uint64_t left = WatchedFiles::kNever;
  bool is_dead = false;
  bool refuses_direct = false;
  std::uint64_t full_for = 0;     // Writes after a file's end.
  std::optional<Random> failing;  // The first sync after `left` fails and ends the process.
  struct Renamed {
    std::string from;
    std::string to;
    bool dead;  // By then the process had died.
  };
  std::vector<Renamed> renamed;  // Since the last sync of their directory.

  /// It is gone: its names are not taken back.
  void forget(const std::string& path) {
    std::erase_if(renamed, [&](const Renamed& one) { return one.to == path; });
  }
  /// Takes back the last ones, as long as `lost(renamed)` holds.
  template <class Lost>
  void take_back(Lost lost) {
    for (; !renamed.empty() && lost(renamed.back()); renamed.pop_back()) {
      put_back(renamed.back().to, renamed.back().from);
    }
  }

  /// Counts a write or a sync; true if it still happens.
  bool happens() {
    if (left == 0 && !failing) is_dead = true;
    if (left != 0 && left != WatchedFiles::kNever) --left;
    return !is_dead;
  }
  [[nodiscard]] bool sync_fails() const { return failing && left == 0; }
};

struct File {
  Life* life = nullptr;
  std::map<std::uint64_t, Versions> pages;  // Those written since the last sync.
  std::map<std::uint64_t, Page> dead;       // As they were when the process died.
  std::map<std::uint64_t, Page> lost;       // On the medium; the page cache has something else.
  bool can_pass_cache = false;              // Otherwise nothing is lost: nobody could see it.
  int own = -1;  // A descriptor: LMDB writes meta pages through one that cannot read.
};

std::map<std::uint64_t, File>& files() {
  static std::map<std::uint64_t, File> watched;
  return watched;
}

File* watched(int descriptor) {
  if (files().empty()) return nullptr;
  struct stat status {};
  if (::fstat(descriptor, &status) != 0) return nullptr;
  const auto found = files().find(status.st_ino);
  return found == files().end() ? nullptr : &found->second;
}

File* watched(const char* path) {
  struct stat status {};
  if (files().empty() || ::stat(path, &status) != 0) return nullptr;
  const auto found = files().find(status.st_ino);
  return found == files().end() ? nullptr : &found->second;
}

/// All that was renamed in that directory is so for good.
void sync_names(int descriptor) {
  struct stat status {};
  if (files().empty() || ::fstat(descriptor, &status) != 0 || !S_ISDIR(status.st_mode)) return;
  for (auto& [inode, file] : files()) {
    std::erase_if(file.life->renamed, [&](const Life::Renamed& renamed) {
      const std::string directory = std::filesystem::path(renamed.to).parent_path().string();
      struct stat parent {};
      return !file.life->is_dead && ::stat(directory.c_str(), &parent) == 0 &&
             parent.st_ino == status.st_ino;
    });
  }
}

Page read_page(int descriptor, std::uint64_t page) {
  Page bytes(kPage);
  std::size_t done = 0;
  while (done < kPage) {
    const ssize_t got = ::pread(descriptor, bytes.data() + done, kPage - done,
                                static_cast<off_t>(page * kPage + done));
    if (got <= 0) break;  // After the end there are zeros.
    done += static_cast<std::size_t>(got);
  }
  return bytes;
}

void write_page(int descriptor, std::uint64_t page, const Page& bytes) {
  const ssize_t written = real<ssize_t(int, const void*, size_t, off_t)>("pwrite")(
      descriptor, bytes.data(), kPage, static_cast<off_t>(page * kPage));
  STELE_CHECK(written == static_cast<ssize_t>(kPage));
}

/// Around a write to [offset, offset + size) that `write` does.
template <class Write>
ssize_t around(File& file, int descriptor, off_t offset, std::size_t size, Write write) {
  const bool happens = file.life->happens();
  const int flags = ::fcntl(descriptor, F_GETFL);
  const auto first = static_cast<std::uint64_t>(offset) / kPage;
  const std::uint64_t last = (static_cast<std::uint64_t>(offset) + size + kPage - 1) / kPage;
  for (std::uint64_t page = first; page < last; ++page) {
    if (!happens) {
      file.dead.try_emplace(page, read_page(file.own, page));
    } else if (auto lost = file.lost.extract(page)) {
      file.pages.try_emplace(page, Versions{std::move(lost.mapped()), {}});
    } else {
      file.pages.try_emplace(page, Versions{read_page(file.own, page), {}});
    }
  }
  const ssize_t written = write();
  if (!happens) return written;
  for (std::uint64_t page = first; page < last; ++page) {
    Versions& versions = file.pages.at(page);
    versions.written.push_back(read_page(file.own, page));
    versions.cached = (flags & O_DIRECT) == 0;
    // LMDB's second descriptor of a file, for its meta pages, syncs with every write.
    if ((flags & O_DSYNC) != 0) {
      versions.synced = versions.written.back();
      versions.written.clear();
    }
  }
  return written;
}

bool finds_no_space(File* file, int descriptor, off_t offset, std::size_t size) {
  if (file == nullptr || file->life->full_for == 0) return false;
  struct stat status {};
  const bool grows =
      ::fstat(descriptor, &status) == 0 && offset + static_cast<off_t>(size) > status.st_size;
  if (!grows) return false;
  --file->life->full_for;
  errno = ENOSPC;
  return true;
}

/// As the kernel does: what did not reach the medium is taken for written from then on.
void fail_sync(File& file) {
  std::erase_if(file.pages, [&](const auto& entry) {
    const auto& [page, versions] = entry;
    const bool loses = versions.cached && file.can_pass_cache;
    if (loses) file.lost[page] = versions.surviving(*file.life->failing);
    return loses;
  });
  file.life->failing.reset();
  file.life->is_dead = true;
}

int on_sync(int descriptor, const char* name) {
  File* file = watched(descriptor);
  if (file != nullptr && file->life->sync_fails()) {
    fail_sync(*file);
    errno = EIO;
    return -1;
  }
  if (file != nullptr && file->life->happens()) file->pages.clear();
  if (file == nullptr) sync_names(descriptor);
  return real<int(int)>(name)(descriptor);
}

std::size_t size_of(const iovec* parts, int count) {
  std::size_t size = 0;
  for (int i = 0; i < count; ++i) size += parts[i].iov_len;
  return size;
}

bool is_direct(int descriptor) { return (::fcntl(descriptor, F_GETFL) & O_DIRECT) != 0; }

bool refuses(const File* file, int descriptor) {
  if (file == nullptr || !file->life->refuses_direct || !is_direct(descriptor)) return false;
  errno = EINVAL;
  return true;
}

/// Past the page cache: what is on the medium.
void read_lost(const File& file, char* bytes, std::size_t size, off_t offset) {
  const auto begin = static_cast<std::uint64_t>(offset);
  for (auto lost = file.lost.lower_bound(begin / kPage);
       lost != file.lost.end() && lost->first * kPage < begin + size; ++lost) {
    const auto at = lost->first * kPage - begin;
    std::memcpy(bytes + at, lost->second.data(), std::min<std::uint64_t>(kPage, size - at));
  }
}

}  // namespace

struct WatchedFiles::Process {
  Life life;
};

WatchedFiles::WatchedFiles() : process_(std::make_unique<Process>()) {}

void WatchedFiles::watch(const std::string& path) {
  struct stat status {};
  STELE_CHECK(::stat(path.c_str(), &status) == 0);
  const auto [file, fresh] = files().try_emplace(status.st_ino);
  if (!fresh) return;  // Made anew in the same place.
  file->second.life = &process_->life;
  file->second.own = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  STELE_CHECK(file->second.own >= 0);
  const int direct = ::open(path.c_str(), O_RDONLY | O_DIRECT | O_CLOEXEC);
  file->second.can_pass_cache = direct >= 0;
  if (direct >= 0) ::close(direct);
  inodes_.push_back(status.st_ino);
}

WatchedFiles::~WatchedFiles() {
  for (const std::uint64_t inode : inodes_) {
    ::close(files().at(inode).own);
    files().erase(inode);
  }
}

bool WatchedFiles::lives() const { return !process_->life.is_dead && process_->life.left != 0; }

void WatchedFiles::die_after(std::uint64_t operations) { process_->life.left = operations; }

void WatchedFiles::fill_up(std::uint64_t writes) { process_->life.full_for = writes; }

void WatchedFiles::refuse_direct_io() { process_->life.refuses_direct = true; }

void WatchedFiles::fail_sync_after(std::uint64_t operations, Random random) {
  process_->life.left = operations;
  process_->life.failing = random;
}

void WatchedFiles::lose_process() {
  for (const std::uint64_t inode : inodes_) {
    File& file = files().at(inode);
    for (const auto& [page, bytes] : file.dead) write_page(file.own, page, bytes);
    file.dead.clear();
  }
  process_->life.take_back([](const Life::Renamed& renamed) { return renamed.dead; });
  std::vector<Life::Renamed> renamed = std::move(process_->life.renamed);
  process_->life = {};
  process_->life.renamed = std::move(renamed);
}

void WatchedFiles::lose_power(Random& random) {
  lose_process();
  process_->life.take_back([&](const Life::Renamed&) { return random.chance(50); });
  process_->life.renamed.clear();
  for (const std::uint64_t inode : inodes_) {
    File& file = files().at(inode);
    for (const auto& [page, versions] : file.pages) {
      write_page(file.own, page, versions.surviving(random));
    }
    for (const auto& [page, bytes] : file.lost) write_page(file.own, page, bytes);
    file.pages.clear();
    file.lost.clear();
  }
}

}  // namespace stele::sim

// The C library's functions, for this program and for what it is linked with.
extern "C" {

ssize_t pwrite(int descriptor, const void* bytes, size_t size, off_t offset) {
  const auto call = [&] {
    return stele::sim::real<ssize_t(int, const void*, size_t, off_t)>("pwrite")(descriptor, bytes,
                                                                                size, offset);
  };
  auto* file = stele::sim::watched(descriptor);
  if (stele::sim::refuses(file, descriptor)) return -1;
  if (stele::sim::finds_no_space(file, descriptor, offset, size)) return -1;
  return file == nullptr ? call() : stele::sim::around(*file, descriptor, offset, size, call);
}

ssize_t write(int descriptor, const void* bytes, size_t size) {
  const auto call = [&] {
    return stele::sim::real<ssize_t(int, const void*, size_t)>("write")(descriptor, bytes, size);
  };
  auto* file = stele::sim::watched(descriptor);
  if (file == nullptr) return call();
  return stele::sim::around(*file, descriptor, ::lseek(descriptor, 0, SEEK_CUR), size, call);
}

ssize_t writev(int descriptor, const struct iovec* parts, int count) {
  const auto call = [&] {
    return stele::sim::real<ssize_t(int, const struct iovec*, int)>("writev")(descriptor, parts,
                                                                              count);
  };
  auto* file = stele::sim::watched(descriptor);
  if (file == nullptr) return call();
  return stele::sim::around(*file, descriptor, ::lseek(descriptor, 0, SEEK_CUR),
                            stele::sim::size_of(parts, count), call);
}

ssize_t pwritev(int descriptor, const struct iovec* parts, int count, off_t offset) {
  const auto call = [&] {
    return stele::sim::real<ssize_t(int, const struct iovec*, int, off_t)>("pwritev")(
        descriptor, parts, count, offset);
  };
  auto* file = stele::sim::watched(descriptor);
  if (file == nullptr) return call();
  const std::size_t size = stele::sim::size_of(parts, count);
  if (stele::sim::finds_no_space(file, descriptor, offset, size)) return -1;
  return stele::sim::around(*file, descriptor, offset, size, call);
}

ssize_t pread(int descriptor, void* bytes, size_t size, off_t offset) {
  const auto* file = stele::sim::watched(descriptor);
  if (stele::sim::refuses(file, descriptor)) return -1;
  const ssize_t count = stele::sim::real<ssize_t(int, void*, size_t, off_t)>("pread")(
      descriptor, bytes, size, offset);
  if (file != nullptr && count > 0 && stele::sim::is_direct(descriptor)) {
    stele::sim::read_lost(*file, static_cast<char*>(bytes), static_cast<size_t>(count), offset);
  }
  return count;
}

int rename(const char* from, const char* to) {
  auto* file = stele::sim::watched(from);
  const int done = stele::sim::real<int(const char*, const char*)>("rename")(from, to);
  if (file != nullptr && done == 0) {
    file->life->renamed.push_back({from, to, !file->life->happens()});
  }
  return done;
}

int remove(const char* path) {
  auto* file = stele::sim::watched(path);
  if (file != nullptr && file->life->is_dead) return 0;  // It stays; nobody looks any more.
  if (file != nullptr) file->life->forget(path);
  return stele::sim::real<int(const char*)>("remove")(path);
}

int fdatasync(int descriptor) {
  stele::sim::take_longer();
  return stele::sim::on_sync(descriptor, "fdatasync");
}
int fsync(int descriptor) { return stele::sim::on_sync(descriptor, "fsync"); }
}
