#include "log/journal.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <map>
#include <utility>

#include "log/bytes.h"
#include "net/digest.h"
#include "paxos/check.h"

namespace stele::log {
namespace {

constexpr std::uint64_t kMagic = 0x6c616e72756f6a73;  // "sjournal"
constexpr std::uint32_t kVersion = 1;
/// Checksum of what follows, number, bytes of the content, 4 bytes of room.
constexpr std::size_t kHeaderBytes = 24;

using Header = std::vector<std::byte>;

std::size_t pages(std::size_t content) {
  return (kHeaderBytes + content + Journal::kPage - 1) / Journal::kPage;
}

tl::unexpected<Error> io_error(const std::string& what) {
  return fail(Errc::io, what + ": " + std::strerror(errno));
}

/// The checksum covers the number and the content; the id keeps another journal's records out.
std::uint64_t checksum(std::uint64_t id, std::uint64_t number, std::span<const std::byte> content) {
  return net::digest(content, net::digest(std::as_bytes(std::span(&number, 1)), id));
}

Result<void> write_all(int file, std::vector<iovec> parts, std::uint64_t at) {
  std::size_t first = 0;
  while (first < parts.size()) {
    const ssize_t written = ::pwritev(
        file, parts.data() + first, static_cast<int>(parts.size() - first), static_cast<off_t>(at));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return io_error("cannot write the journal");
    at += static_cast<std::uint64_t>(written);
    auto left = static_cast<std::size_t>(written);
    while (first < parts.size() && left >= parts[first].iov_len) left -= parts[first++].iov_len;
    if (left == 0) continue;
    parts[first].iov_base = static_cast<char*>(parts[first].iov_base) + left;
    parts[first].iov_len -= left;
  }
  return {};
}

Result<std::vector<std::byte>> read_all(int file, std::uint64_t size) {
  std::vector<std::byte> bytes(size);
  std::size_t done = 0;
  while (done < size) {
    const ssize_t got = ::pread(file, bytes.data() + done, size - done, static_cast<off_t>(done));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return io_error("cannot read the journal");
    done += static_cast<std::size_t>(got);
  }
  return bytes;
}

std::vector<std::byte> head_of(std::uint64_t id) {
  std::vector<std::byte> head;
  ByteWriter writer(head);
  writer.put(kMagic);
  writer.put(kVersion);
  writer.put(std::uint32_t{0});
  writer.put(id);
  writer.put(net::digest(head, kMagic));
  return head;
}

iovec part(const void* bytes, std::size_t size) { return {const_cast<void*>(bytes), size}; }

constexpr std::array<std::byte, Journal::kPage> kZeros{};

}  // namespace

Result<Journal> Journal::create(const std::string& path, std::uint64_t id, std::uint64_t bytes) {
  const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
  if (file < 0) return io_error("cannot make " + path);
  Journal journal(file, id, kPage + bytes / kPage * kPage);
  const auto head = head_of(id);
  auto written = write_all(
      file, {part(head.data(), head.size()), part(kZeros.data(), kPage - head.size())}, 0);
  // Written, not only reserved: a sync of a record then has nothing else to write.
  for (std::uint64_t at = kPage; written && at < journal.size_; at += kPage) {
    written = write_all(file, {part(kZeros.data(), kPage)}, at);
  }
  if (!written) return tl::unexpected<Error>(written.error());
  if (::fsync(file) != 0) return io_error("cannot sync " + path);
  const auto parent = std::filesystem::path(path).parent_path().string();
  const int directory = ::open(parent.c_str(), O_RDONLY | O_CLOEXEC);
  const bool synced = directory >= 0 && ::fsync(directory) == 0;
  if (directory >= 0) ::close(directory);
  if (!synced) return io_error("cannot sync " + parent);
  return journal;
}

Result<Journal> Journal::open(const std::string& path, std::uint64_t id) {
  const int file = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (file < 0 && errno == ENOENT) return fail(Errc::corrupt, path + " is missing");
  if (file < 0) return io_error("cannot open " + path);
  Journal journal(file, id, 0);
  struct stat status {};
  if (::fstat(file, &status) != 0) return io_error("cannot look at " + path);
  journal.size_ = static_cast<std::uint64_t>(status.st_size) / kPage * kPage;
  const auto head = head_of(id);
  const auto found = read_all(file, std::min<std::uint64_t>(journal.size_, kPage));
  if (!found) return tl::unexpected<Error>(found.error());
  if (found->size() < head.size() || !std::equal(head.begin(), head.end(), found->begin())) {
    return fail(Errc::corrupt, path + " is damaged, or is not the journal of this store");
  }
  return journal;
}

Journal::~Journal() {
  if (file_ >= 0) ::close(file_);
}

Journal::Journal(Journal&& other) noexcept
    : file_(std::exchange(other.file_, -1)), id_(other.id_), size_(other.size_), at_(other.at_) {}

Journal& Journal::operator=(Journal&& other) noexcept {
  std::swap(file_, other.file_);
  std::swap(id_, other.id_);
  std::swap(size_, other.size_);
  std::swap(at_, other.at_);
  return *this;
}

Result<std::vector<std::vector<std::byte>>> Journal::read(std::uint64_t applied) const {
  const auto all = read_all(file_, size_);
  if (!all) return tl::unexpected<Error>(all.error());
  // Every intact record, wherever it lies: one that is missing shows by those behind it.
  std::map<std::uint64_t, std::span<const std::byte>> found;
  for (std::size_t at = kPage; at < all->size();) {
    const auto rest = std::span(*all).subspan(at);
    ByteReader reader(rest);
    const auto sum = reader.get<std::uint64_t>();
    const auto number = reader.get<std::uint64_t>();
    const auto size = reader.get<std::uint32_t>();
    reader.get<std::uint32_t>();
    const auto content = reader.get_bytes(size);
    const bool intact = reader.ok() && number != 0 && sum == checksum(id_, number, content);
    if (intact && number > applied) found[number] = content;
    at += intact ? pages(size) * kPage : kPage;
  }
  std::vector<std::vector<std::byte>> records;
  for (const auto& [number, content] : found) {
    if (number != applied + records.size() + 1) {
      return fail(Errc::corrupt,
                  "the journal has record " + std::to_string(number) + ", but record " +
                      std::to_string(applied + records.size() + 1) + " before it is damaged");
    }
    records.emplace_back(content.begin(), content.end());
  }
  return records;
}

bool Journal::fits(std::size_t bytes) const { return at_ + pages(bytes) * kPage <= size_; }

Result<void> Journal::append(std::uint64_t number, std::span<const std::byte> content) {
  STELE_CHECK(fits(content.size()));
  std::vector<std::byte> header;
  header.reserve(kHeaderBytes);
  ByteWriter writer(header);
  writer.put(checksum(id_, number, content));
  writer.put(number);
  writer.put(static_cast<std::uint32_t>(content.size()));
  writer.put(std::uint32_t{0});
  const std::size_t bytes = pages(content.size()) * kPage;
  auto written =
      write_all(file_,
                {part(header.data(), header.size()), part(content.data(), content.size()),
                 part(kZeros.data(), bytes - header.size() - content.size())},
                at_);
  if (!written) return written;
  if (::fdatasync(file_) != 0) return io_error("cannot sync the journal");
  at_ += bytes;
  return {};
}

}  // namespace stele::log
