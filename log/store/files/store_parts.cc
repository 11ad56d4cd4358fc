#include "log/store/files/store_parts.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <set>
#include <span>
#include <vector>

#include "log/store/files/direct_file.h"
#include "log/store/files/journal.h"
#include "log/store/files/journal_record.h"
#include "log/store/files/table_reads.h"
#include "log/store/files/value_log.h"

namespace stele::log {
namespace {

using std::filesystem::exists;

/// Up to its end as LMDB knows it, the value log must be there: what lies after it may have been
/// acknowledged.
Result<void> check_segment(const std::string& directory, ValuePlace end) {
  if (end.segment == 0 || end.offset == 0) return {};
  const std::string path = segment_path(directory, end.segment);
  std::error_code error;
  const auto size = std::filesystem::file_size(path, error);
  if (error) return fail(Errc::corrupt, path + " is missing");
  if (size < end.offset) {
    return fail(Errc::corrupt, path + " has lost its end: it has " + std::to_string(size) +
                                   " of at least " + std::to_string(end.offset) + " bytes");
  }
  return {};
}

/// Every segment is of this store: what lies after `end` is cut off, and written over. `path` may
/// be one that nobody was told of, of which only a part has reached the disk.
Result<void> check_owner(const std::string& path, std::uint64_t id, bool after_end) {
  std::error_code error;
  const bool has_page = std::filesystem::file_size(path, error) >= kPageBytes && !error;
  std::array<char, kRecordHeadBytes> head{};
  std::ifstream file(path, std::ios::binary);
  file.read(head.data(), head.size());
  // A page that the disk cannot read, or that it has changed, is missed when it is needed.
  if (has_page && !file) return {};
  const std::uint64_t owner = has_page ? record_id(std::as_bytes(std::span(head))) : 0;
  if (owner == id || (after_end && owner == 0)) return {};
  const auto mapped = MappedFile::open(path);
  if (!mapped) return forward(mapped);
  if (holds_record(mapped->bytes(), id)) return {};
  return fail(Errc::corrupt, path + (has_page ? " holds no record of this store" : " is empty") +
                                 ": it is damaged, or that of another one; nothing is changed");
}

/// Calls `each(number, path)` for all files that have the name of one, until that fails.
template <class Each>
Result<void> for_each_segment(const std::string& directory, Each each) {
  std::error_code error;
  for (std::filesystem::directory_iterator at(values_directory(directory), error), no_more;
       !error && at != no_more; at.increment(error)) {
    const std::string name = at->path().filename().string();
    std::uint32_t segment = 0;
    const auto [rest, fault] = std::from_chars(name.data(), name.data() + name.size(), segment);
    if (fault != std::errc() || rest != name.data() + name.size()) continue;
    if (auto done = each(segment, at->path().string()); !done) return done;
  }
  return {};
}

}  // namespace

std::string journal_path(const std::string& directory) { return directory + "/journal"; }

Result<void> check_unused(const std::string& directory, Lmdb::Txn& txn) {
  const auto lost = [&](const std::string& what) {
    return fail(Errc::corrupt, directory +
                                   "/data.mdb has lost its contents, or is that of another "
                                   "store: " +
                                   what + "; nothing is changed");
  };
  for (std::size_t number = 1; number < kTablesEnd; ++number) {
    const Table table{static_cast<std::uint8_t>(number)};
    if (!txn.has(table)) continue;
    Lmdb::Cursor cursor(txn, table);
    if (cursor.first()) return lost("it knows of no journal, but holds records");
    if (!cursor.status()) return cursor.status();
  }
  std::error_code none;
  const std::filesystem::directory_iterator values(values_directory(directory), none);
  if (!none && values != std::filesystem::directory_iterator()) {
    return lost("it is empty, and there are values");
  }
  if (!exists(journal_path(directory))) return {};
  const auto journal = MappedFile::open(journal_path(directory));
  if (!journal) return forward(journal);
  // That of a newer version is there for a reason, whatever it holds.
  if (auto known = check_journal(journal->bytes(), journal_path(directory), 0);
      !known && known.error().code == Errc::newer_format) {
    return known;
  }
  const auto id = journal_id(journal->bytes());
  if (!id) return {};
  std::vector<FoundRecord> records;
  const auto pages = journal->bytes().subspan(std::min(journal->bytes().size(), kPageBytes));
  find_records(pages, 0, kPageBytes, *id, 0, records);
  if (!records.empty()) return lost("it is empty, and the journal is not");
  return {};
}

Result<void> check_segments(const std::string& directory, ValuePlace end, std::uint64_t id,
                            const std::vector<SegmentRow>& rows) {
  if (auto last = check_segment(directory, end); !last) return last;
  std::set<std::uint32_t> there;
  auto looked = for_each_segment(directory, [&](std::uint32_t segment, const std::string& path) {
    // One that was made, and then what had no room in it went to the journal, is its end, too.
    const bool after_end = segment > end.segment || (segment == end.segment && end.offset == 0);
    there.insert(segment);
    return check_owner(path, id, after_end);
  });
  if (!looked) return looked;
  for (const SegmentRow& row : rows) {
    if (there.contains(row.segment)) continue;
    return fail(Errc::corrupt, segment_path(directory, row.segment) + " is missing");
  }
  return {};
}

Result<void> remove_trimmed(const std::string& directory, const Lmdb& lmdb, ValuePlace end) {
  auto txn = lmdb.begin(false);
  if (!txn) return forward(txn);
  const auto rows = get_segments(*txn);
  if (!rows) return forward(rows);
  return for_each_segment(
      directory, [&](std::uint32_t segment, const std::string& path) -> Result<void> {
        const bool known = std::ranges::find(*rows, segment, &SegmentRow::segment) != rows->end();
        if (known || segment >= end.segment) return {};
        std::error_code error;
        std::filesystem::remove(path, error);
        if (error) return fail(Errc::io, "cannot remove " + path + ": " + error.message());
        return {};
      });
}

}  // namespace stele::log
