#include "log/journal.h"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "log/bytes.h"
#include "log/journal_record.h"
#include "net/digest.h"
#include "paxos/check.h"

namespace stele::log {
namespace {

constexpr std::uint64_t kMagic = 0x6c616e72756f6a73;  // "sjournal"
constexpr std::uint32_t kVersion = 2;

std::vector<std::byte> head_of(std::uint64_t id, std::uint32_t version = kVersion) {
  std::vector<std::byte> head;
  ByteWriter writer(head);
  writer.put(kMagic);
  writer.put(version);
  writer.put(std::uint32_t{0});
  writer.put(id);
  writer.put(net::digest(head, kMagic));
  return head;
}

}  // namespace

std::optional<std::uint64_t> journal_id(std::span<const std::byte> file) {
  ByteReader reader(file);
  reader.get<std::uint64_t>();
  reader.get<std::uint32_t>();
  reader.get<std::uint32_t>();
  const auto id = reader.get<std::uint64_t>();
  if (!check_journal(file, {}, id)) return std::nullopt;
  return id;
}

Result<void> check_journal(std::span<const std::byte> file, const std::string& path,
                           std::uint64_t id) {
  const auto has = [&](const std::vector<std::byte>& head) {
    return file.size() >= head.size() && std::equal(head.begin(), head.end(), file.begin());
  };
  ByteReader reader(file);
  reader.get<std::uint64_t>();
  const auto version = reader.get<std::uint32_t>();
  if (version != kVersion && has(head_of(id, version))) {
    return fail(Errc::newer_format, path + " has format " + std::to_string(version) +
                                        "; this program reads format " + std::to_string(kVersion));
  }
  if (!has(head_of(id))) {
    return fail(Errc::corrupt, path + " is damaged, or is not the journal of this store");
  }
  return {};
}

Result<Journal> Journal::create(const std::string& path, std::uint64_t id, std::uint64_t bytes) {
  auto file = DirectFile::open(path, true);
  if (!file) return tl::unexpected<Error>(file.error());
  // Written, not only reserved: a sync of a record then has nothing else to write.
  std::vector<std::byte> whole = head_of(id);
  whole.resize(kPageBytes + bytes / kPageBytes * kPageBytes);
  const std::array<std::span<const std::byte>, 1> parts{whole};
  auto done = file->write(0, parts);
  if (!done) return tl::unexpected<Error>(done.error());
  return Journal(*std::move(file), id, whole.size());
}

Result<Journal> Journal::open(const std::string& path, std::uint64_t id) {
  {
    const auto mapped = MappedFile::open(path);
    if (!mapped) return tl::unexpected<Error>(mapped.error());
    const auto known = check_journal(mapped->bytes(), path, id);
    if (!known) return tl::unexpected<Error>(known.error());
  }
  auto file = DirectFile::open(path, false);
  if (!file) return tl::unexpected<Error>(file.error());
  const auto size = file->size();
  if (!size) return tl::unexpected<Error>(size.error());
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
