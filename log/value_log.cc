#include "log/value_log.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include "log/journal_record.h"

namespace stele::log {

std::string values_directory(const std::string& directory) { return directory + "/values"; }

std::string segment_path(const std::string& directory, std::uint32_t segment) {
  return values_directory(directory) + "/" + std::to_string(segment);
}

Result<ValueLog> ValueLog::open(const std::string& directory, std::uint64_t id, ValuePlace end,
                                Options options) {
  namespace fs = std::filesystem;
  std::error_code error;
  if (fs::create_directory(values_directory(directory), error)) {
    if (auto done = sync_directory(directory); !done) return tl::unexpected<Error>(done.error());
  }
  if (error) return fail(Errc::io, "cannot make " + values_directory(directory));
  ValueLog log(directory, id, std::move(options));
  log.end_ = end;
  for (const auto& entry : fs::directory_iterator(values_directory(directory), error)) {
    log.size_ += entry.file_size(error);
  }
  if (error) return fail(Errc::io, "cannot read " + values_directory(directory));
  if (end.segment == 0) return log;
  auto file = DirectFile::open(segment_path(directory, end.segment), false);
  if (!file) return tl::unexpected<Error>(file.error());
  const auto size = file->size();
  if (!size) return tl::unexpected<Error>(size.error());
  if (*size < end.offset) return fail(Errc::corrupt, file->path() + " is too short");
  if (*size > end.offset) {
    log.size_ -= *size - end.offset;
    if (auto done = file->truncate(end.offset); !done) return tl::unexpected<Error>(done.error());
  }
  log.file_ = *std::move(file);
  return log;
}

Result<ValuePlace> ValueLog::begin() {
  if (end_.segment == 0 || end_.offset >= options_.segment_bytes) {
    const std::string path = segment_path(directory_, end_.segment + 1);
    auto file = DirectFile::open(path, true);
    if (!file) return tl::unexpected<Error>(file.error());
    file_ = *std::move(file);
    end_ = {end_.segment + 1, 0};
    if (options_.made) options_.made(path);
  }
  return ValuePlace{end_.segment, end_.offset + kRecordHeadBytes};
}

Result<void> ValueLog::append(std::uint64_t number, std::span<const paxos::Value> values,
                              std::span<const std::byte> redo) {
  std::uint64_t value_bytes = 0;
  for (const paxos::Value& value : values) value_bytes += value.size();
  const auto head = make_record_head(id_, number, value_bytes, redo);
  std::vector<std::span<const std::byte>> parts{head};
  for (const paxos::Value& value : values) {
    for (const Slice& part : value.parts()) parts.push_back(part.bytes);
  }
  parts.push_back(redo);
  auto done = file_.write(end_.offset, parts);
  if (done) done = file_.sync();
  if (!done) return done;
  const std::uint64_t bytes = whole_pages(head.size() + value_bytes + redo.size());
  end_.offset += bytes;
  size_ += bytes;
  return {};
}

ValueReader::~ValueReader() {
  for (const auto& [segment, file] : files_) ::close(file);
}

Result<int> ValueReader::file(std::uint32_t segment) {
  const auto found = files_.find(segment);
  if (found != files_.end()) return found->second;
  const std::string path = segment_path(directory_, segment);
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0 && errno == ENOENT) return fail(Errc::corrupt, path + " is missing");
  if (file < 0) return fail(Errc::io, "cannot open " + path + ": " + std::strerror(errno));
  if (files_.size() >= kOpenMax) {
    ::close(files_.begin()->second);
    files_.erase(files_.begin());
  }
  files_[segment] = file;
  return file;
}

Result<void> ValueReader::read(ValuePlace place, std::span<std::byte> target) {
  const std::lock_guard lock(mutex_);
  const auto opened = file(place.segment);
  if (!opened) return tl::unexpected<Error>(opened.error());
  std::size_t done = 0;
  while (done < target.size()) {
    const ssize_t got = ::pread(*opened, target.data() + done, target.size() - done,
                                static_cast<off_t>(place.offset + done));
    if (got < 0 && errno == EINTR) continue;
    const std::string path = segment_path(directory_, place.segment);
    if (got < 0) return fail(Errc::corrupt, "cannot read " + path + ": " + std::strerror(errno));
    if (got == 0) return fail(Errc::corrupt, path + " ends before a value that it should hold");
    done += static_cast<std::size_t>(got);
  }
  return {};
}

}  // namespace stele::log
