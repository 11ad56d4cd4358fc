#include "log/store/files/value_log.h"

#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <new>
#include <thread>
#include <utility>

namespace stele::log {
namespace {

/// Of one call to the disk: longer ones keep commits waiting.
constexpr std::size_t kReadBytesMax = 256 << 10;
/// How files are removed: so much at a time.
constexpr std::uint64_t kRemoveBytes = 16 << 20;
constexpr std::chrono::milliseconds kRemovePause(20);
/// How the name of a spare begins; no segment's does.
constexpr const char* kSpare = "spare-";

bool is_spare(const std::string& name) { return name.starts_with(kSpare); }

}  // namespace

std::string values_directory(const std::string& directory) { return directory + "/values"; }

std::string segment_path(const std::string& directory, std::uint32_t segment) {
  return values_directory(directory) + "/" + std::to_string(segment);
}

Result<ValueLog> ValueLog::open(const std::string& directory, std::uint64_t id, ValuePlace end,
                                Options options) {
  namespace fs = std::filesystem;
  std::error_code error;
  if (fs::create_directory(values_directory(directory), error)) {
    if (auto done = sync_directory(directory); !done) return forward(done);
  }
  if (error) {
    const bool full = error == std::errc::no_space_on_device;
    return fail(full ? Errc::no_space : Errc::io, "cannot make " + values_directory(directory));
  }
  ValueLog log(directory, id, std::move(options));
  log.end_ = end;
  for (const auto& entry : fs::directory_iterator(values_directory(directory), error)) {
    log.shared_->size += entry.file_size(error);
    if (is_spare(entry.path().filename().string())) {
      log.shared_->spares.push_back(entry.path().string());
    }
  }
  if (error) return fail(Errc::io, "cannot read " + values_directory(directory));
  // After a record that did not reach the disk there may be segments that nobody was told of.
  for (std::uint32_t later = end.segment + 1; fs::exists(segment_path(directory, later), error);
       ++later) {
    log.shared_->size -= fs::file_size(segment_path(directory, later), error);
    fs::remove(segment_path(directory, later), error);
  }
  if (end.segment == 0) return log;
  auto file = DirectFile::open(segment_path(directory, end.segment), false);
  if (!file) return forward(file);
  const auto size = file->size();
  if (!size) return forward(size);
  if (*size < end.offset) return fail(Errc::corrupt, file->path() + " is too short");
  if (*size > end.offset) {
    log.shared_->size -= *size - end.offset;
    if (auto done = file->truncate(end.offset); !done) return forward(done);
  }
  log.file_ = *std::move(file);
  log.segment_size_ = end.offset;
  return log;
}

Result<ValuePlace> ValueLog::begin() {
  if (end_.segment == 0 || end_.offset >= options_.segment_bytes) {
    const std::string path = segment_path(directory_, end_.segment + 1);
    const auto spare = take_spare(path);
    if (!spare) return forward(spare);
    auto file = DirectFile::open(path, !*spare);
    if (!file) return forward(file);
    const auto size = file->size();
    if (!size) return forward(size);
    file_ = *std::move(file);
    segment_size_ = *size;
    end_ = {end_.segment + 1, 0};
    if (options_.made) options_.made(path);
  }
  return ValuePlace{end_.segment, end_.offset + kRecordHeadBytes};
}

Result<void> ValueLog::append(RecordNumber number, std::span<const paxos::Value> values,
                              std::span<const std::byte> redo, FileSync* apart) {
  std::uint64_t value_bytes = 0;
  for (const paxos::Value& value : values) value_bytes += value.size();
  const auto head = make_record_head(id_, number, value_bytes, redo);
  std::vector<std::span<const std::byte>> parts{head};
  for (const paxos::Value& value : values) {
    for (const Slice& part : value.parts()) parts.push_back(part.bytes);
  }
  parts.push_back(redo);
  file_.set_cached(keep_cached_ && cached_bytes_ < options_.cached_bytes_max);
  cached_ = file_.cached();
  auto done = file_.write(end_.offset, parts, apart);
  if (!done) return done;
  const std::uint64_t bytes = whole_pages(head.size() + value_bytes + redo.size());
  end_.offset += bytes;
  if (end_.offset > segment_size_) {
    shared_->size += end_.offset - std::max(segment_size_, end_.offset - bytes);
    segment_size_ = end_.offset;
  }
  if (cached_) cached_bytes_ += bytes;
  return {};
}

/// What a spare holds is of no use: its records are older than all that count.
Result<bool> ValueLog::take_spare(const std::string& path) {
  const std::lock_guard lock(shared_->mutex);
  if (shared_->spares.empty()) return false;
  std::error_code error;
  std::filesystem::rename(shared_->spares.back(), path, error);
  shared_->spares.pop_back();
  if (error) return false;  // It is gone, perhaps; a new one will do.
  // What is written there must be found under its name.
  if (auto done = sync_directory(values_directory(directory_)); !done) return forward(done);
  return true;
}

Result<void> ValueLog::remove(std::uint32_t segment, const std::function<bool()>& stop) {
  const std::string path = segment_path(directory_, segment);
  {
    const std::lock_guard lock(shared_->mutex);
    std::error_code error;
    const std::string spare = values_directory(directory_) + "/" + kSpare + std::to_string(segment);
    if (shared_->spares.size() < options_.spares_max) {
      std::filesystem::rename(path, spare, error);
      if (!error) {
        shared_->spares.push_back(spare);
        return {};
      }
    }
  }
  return remove_file(path, stop);
}

ValueLog::DropSpare ValueLog::drop_spare() const {
  return [shared = shared_] {
    std::string path;
    {
      const std::lock_guard lock(shared->mutex);
      if (shared->spares.empty()) return false;
      path = std::move(shared->spares.back());
      shared->spares.pop_back();
    }
    // Without the mutex: the file system takes its time.
    std::error_code error;
    const std::uint64_t size = std::filesystem::file_size(path, error);
    if (!error && std::filesystem::remove(path, error)) shared->size -= size;
    return !error;
  };
}

bool ValueLog::drop_spare(const std::string& directory) {
  std::error_code error;
  for (std::filesystem::directory_iterator at(values_directory(directory), error), no_more;
       !error && at != no_more; at.increment(error)) {
    if (is_spare(at->path().filename().string())) {
      return std::filesystem::remove(at->path(), error);
    }
  }
  return false;
}

/// A large file at once would keep the file system from everything else meanwhile.
Result<void> ValueLog::remove_file(const std::string& path, const std::function<bool()>& stop) {
  std::error_code error;
  std::uint64_t size = std::filesystem::file_size(path, error);
  while (!error && size > kRemoveBytes) {
    if (stop()) return {};  // The next start removes the rest.
    size -= kRemoveBytes;
    std::filesystem::resize_file(path, size, error);
    if (!error) shared_->size -= kRemoveBytes;
    std::this_thread::sleep_for(kRemovePause);
  }
  if (!error) std::filesystem::remove(path, error);
  if (error) return fail(Errc::io, "cannot remove " + path + ": " + error.message());
  shared_->size -= size;
  return {};
}

void ValueLog::keep_cached(bool keep) {
  if (keep && !keep_cached_) cached_bytes_ = 0;
  keep_cached_ = keep;
}

std::optional<Slice> ValueStretch::find(ValuePlace place, std::uint64_t count) const {
  if (place.segment != begin.segment || place.offset < begin.offset) return {};
  const std::uint64_t at = place.offset - begin.offset;
  if (at > bytes.bytes.size() || count > bytes.bytes.size() - at) return {};
  return Slice{bytes.owner, bytes.bytes.subspan(at, count)};
}

/// Two descriptors of one file. Where the file system knows no direct reads, `direct` is -1.
struct ValueReader::Segment {
  explicit Segment(std::string name)
      : path(std::move(name)),
        cached(::open(path.c_str(), O_RDONLY | O_CLOEXEC)),
        direct(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_DIRECT)) {}
  ~Segment() {
    if (cached >= 0) ::close(cached);
    if (direct >= 0) ::close(direct);
  }
  Segment(const Segment&) = delete;
  Segment& operator=(const Segment&) = delete;

  Result<void> read(int file, std::uint64_t at, std::span<std::byte> target) const {
    std::size_t done = 0;
    while (done < target.size()) {
      const ssize_t got =
          ::pread(file, target.data() + done, std::min(target.size() - done, kReadBytesMax),
                  static_cast<off_t>(at + done));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0 && errno == EINVAL && file == direct) {
        file = cached;  // Some file systems take the flag and nothing else.
        continue;
      }
      if (got < 0) return fail(Errc::corrupt, "cannot read " + path + ": " + std::strerror(errno));
      if (got == 0) return fail(Errc::corrupt, path + " ends before a value that it should hold");
      done += static_cast<std::size_t>(got);
    }
    return {};
  }

  std::string path;
  int cached;
  int direct;
};

Result<std::shared_ptr<ValueReader::Segment>> ValueReader::segment(std::uint32_t number) {
  const std::lock_guard lock(mutex_);
  const auto found = open_.find(number);
  if (found != open_.end()) return found->second;
  auto opened = std::make_shared<Segment>(segment_path(directory_, number));
  if (opened->cached < 0 && errno == ENOENT) {
    return fail(Errc::corrupt, opened->path + " is missing");
  }
  if (opened->cached < 0) {
    return fail(Errc::io, "cannot open " + opened->path + ": " + std::strerror(errno));
  }
  // All that helps where the file system knows no direct reads.
  if (!believes_cache_) ::posix_fadvise(opened->cached, 0, 0, POSIX_FADV_DONTNEED);
  if (open_.size() >= kOpenMax) open_.erase(open_.begin());
  open_[number] = opened;
  return opened;
}

Result<Slice> ValueReader::read(ValuePlace place, std::uint64_t count) {
  if (!believes_cache_) {
    const auto stretch = read_stretch(place, count);
    if (!stretch) return forward(stretch);
    return *stretch->find(place, count);
  }
  const auto found = segment(place.segment);
  if (!found) return forward(found);
  const auto bytes = std::make_shared_for_overwrite<std::byte[]>(count);
  const std::span<std::byte> target(bytes.get(), count);
  const auto done = (*found)->read((*found)->cached, place.offset, target);
  if (!done) return forward(done);
  return Slice{bytes, target};
}

std::uint64_t ValueReader::cached_reads() {
  const std::lock_guard lock(mutex_);
  return cached_reads_;
}

void ValueReader::forget(std::uint32_t segment) {
  const std::lock_guard lock(mutex_);
  open_.erase(segment);
  std::erase_if(cached_, [&](const Range& range) { return range.segment == segment; });
}

void ValueReader::add_cached(ValuePlace begin, ValuePlace end) {
  const std::lock_guard lock(mutex_);
  const Range added{begin.segment, begin.offset - kRecordHeadBytes, end.offset};
  Range* last = cached_.empty() ? nullptr : &cached_.back();
  if (last != nullptr && last->segment == added.segment && last->end == added.begin) {
    last->end = added.end;
    return;
  }
  if (cached_.size() >= kCachedMax) cached_.pop_front();
  cached_.push_back(added);
}

/// How much of the beginning of `range` the page cache has, if it was written through it: whole
/// pages. The system may have dropped some of it since.
std::size_t ValueReader::read_cached(const Segment& file, const Range& range,
                                     std::span<std::byte> target) {
  const auto has = [&](const Range& cached) {
    return cached.segment == range.segment && cached.begin <= range.begin &&
           range.end <= cached.end;
  };
  {
    const std::lock_guard lock(mutex_);
    if (std::ranges::none_of(cached_, has)) return 0;
  }
  const iovec part{target.data(), target.size()};
  const ssize_t got = ::preadv2(file.cached, &part, 1, static_cast<off_t>(range.begin), RWF_NOWAIT);
  const std::size_t pages = got < 0 ? 0 : static_cast<std::size_t>(got) / kPageBytes;
  const std::lock_guard lock(mutex_);
  if (pages != 0) ++cached_reads_;
  const auto found = std::ranges::find_if(cached_, has);
  if (found == cached_.end()) return pages * kPageBytes;
  found->misses = pages != 0 ? 0 : found->misses + 1;
  if (found->misses == kMissesMax) cached_.erase(found);
  return pages * kPageBytes;
}

Result<ValueStretch> ValueReader::read_stretch(ValuePlace begin, std::uint64_t count, bool drop) {
  const auto found = segment(begin.segment);
  if (!found) return forward(found);
  const Segment& file = **found;
  const std::uint64_t from = begin.offset / kPageBytes * kPageBytes;
  const std::uint64_t bytes = whole_pages(begin.offset + count) - from;
  const std::shared_ptr<std::byte> buffer(
      static_cast<std::byte*>(std::aligned_alloc(kPageBytes, bytes)), &std::free);
  if (buffer == nullptr) throw std::bad_alloc();
  const std::span<std::byte> target(buffer.get(), bytes);
  const std::size_t cached = read_cached(file, {begin.segment, from, from + bytes}, target);
  const auto done = file.read(file.direct >= 0 ? file.direct : file.cached, from + cached,
                              target.subspan(cached));
  if (!done) return forward(done);
  if (drop && cached > 0) {
    ::posix_fadvise(file.cached, static_cast<off_t>(from), static_cast<off_t>(cached),
                    POSIX_FADV_DONTNEED);
  }
  return ValueStretch{{begin.segment, from}, {buffer, target}};
}

Result<paxos::SlotRecord> read_slot(Slot slot, std::span<const std::byte> bytes,
                                    ValueReader* values) {
  auto header = read_slot_header(slot, bytes);
  if (!header) return forward(header);
  if (header->place.segment == 0) {
    const auto value = bytes.subspan(kSlotHeaderBytes);
    const auto copy = std::make_shared<std::vector<std::byte>>(value.begin(), value.end());
    return with_value(*std::move(header), {copy, *copy});
  }
  if (values == nullptr) {
    return corrupt_record(Table::slots, slot.value,
                          "has its value in a value log that is not there");
  }
  auto value = values->read(header->place, header->value_bytes);
  // What could not even be looked at is not rotten.
  if (!value && value.error().code == Errc::io) return forward(value);
  if (!value) {
    return corrupt_record(Table::slots, slot.value,
                          ("has no value: " + value.error().detail).c_str());
  }
  return with_value(*std::move(header), *std::move(value));
}

}  // namespace stele::log
