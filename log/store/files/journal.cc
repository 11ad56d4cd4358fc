#include "log/store/files/journal.h"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "log/store/files/journal_record.h"
#include "net/wire/digest.h"
#include "paxos/base/bytes.h"
#include "paxos/base/check.h"

namespace stele::log {
namespace {

constexpr std::uint64_t kMagic = 0x6c616e72756f6a73;  // "sjournal"
constexpr std::uint32_t kVersion = 5;

struct Head {
  std::uint32_t version = kVersion;
  std::uint32_t pages = 0;  ///< Of the whole file.
  std::uint64_t id = 0;
};

std::vector<std::byte> bytes_of(const Head& head) {
  std::vector<std::byte> bytes;
  ByteWriter writer(bytes);
  writer.put(kMagic);
  writer.put(head.version);
  writer.put(head.pages);
  writer.put(head.id);
  writer.put(net::digest(bytes, kMagic));
  return bytes;
}

std::optional<Head> head_of(std::span<const std::byte> file) {
  ByteReader reader(file);
  reader.get<std::uint64_t>();
  Head head;
  head.version = reader.get<std::uint32_t>();
  head.pages = reader.get<std::uint32_t>();
  head.id = reader.get<std::uint64_t>();
  const std::vector<std::byte> right = bytes_of(head);
  const bool is_one =
      file.size() >= right.size() && std::equal(right.begin(), right.end(), file.begin());
  return is_one ? std::optional(head) : std::nullopt;
}

}  // namespace

std::optional<std::uint64_t> journal_id(std::span<const std::byte> file) {
  const auto head = head_of(file);
  return head && head->version == kVersion ? std::optional(head->id) : std::nullopt;
}

Result<void> check_journal(std::span<const std::byte> file, const std::string& path,
                           std::uint64_t id) {
  const auto head = head_of(file);
  if (head && head->version != kVersion) {
    return fail(Errc::newer_format, path + " has format " + std::to_string(head->version) +
                                        "; this program reads format " + std::to_string(kVersion));
  }
  if (!head || head->id != id) {
    return fail(Errc::corrupt, path + " is damaged, or is not the journal of this store");
  }
  if (const std::uint64_t whole = head->pages * kPageBytes; file.size() < whole) {
    return fail(Errc::corrupt, path + " was cut off: it has " + std::to_string(file.size()) +
                                   " bytes of " + std::to_string(whole));
  }
  return {};
}

Result<Journal> Journal::create(const std::string& path, std::uint64_t id, std::uint64_t bytes) {
  auto file = DirectFile::open(path, true);
  if (!file) return forward(file);
  // Written, not only reserved: a sync of a record then has nothing else to write.
  const std::size_t pages = 1 + bytes / kPageBytes;
  std::vector<std::byte> whole = bytes_of({.pages = static_cast<std::uint32_t>(pages), .id = id});
  whole.resize(pages * kPageBytes);
  const std::array<std::span<const std::byte>, 1> parts{whole};
  auto done = file->write(0, parts);
  if (!done) return forward(done);
  file = DirectFile::open(path, false);  // Without the memory that this has taken.
  if (!file) return forward(file);
  return Journal(*std::move(file), id, whole.size());
}

Result<Journal> Journal::open(const std::string& path, std::uint64_t id) {
  {
    const auto mapped = MappedFile::open(path);
    if (!mapped) return forward(mapped);
    const auto known = check_journal(mapped->bytes(), path, id);
    if (!known) return forward(known);
  }
  auto file = DirectFile::open(path, false);
  if (!file) return forward(file);
  const auto size = file->size();
  if (!size) return forward(size);
  return Journal(*std::move(file), id, *size / kPageBytes * kPageBytes);
}

bool Journal::fits(std::size_t redo_bytes) const {
  return at_ + whole_pages(kRecordHeadBytes + redo_bytes) <= end_;
}

void Journal::turn() {
  const bool first_half = end_ == middle();
  at_ = first_half ? middle() : kPageBytes;
  end_ = first_half ? size_ : middle();
}

Result<void> Journal::append(RecordNumber number, std::span<const std::byte> redo,
                             FileSync* apart) {
  STELE_CHECK(fits(redo.size()));
  const auto head = make_record_head(id_, number, 0, redo);
  const std::array<std::span<const std::byte>, 2> parts{head, redo};
  auto done = file_.write(at_, parts, apart);
  if (done) at_ += whole_pages(head.size() + redo.size());
  return done;
}

}  // namespace stele::log
