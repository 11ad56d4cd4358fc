// How a transaction lies in the journal and in the value log: docs/storage-format.md.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace stele::log {

/// From a page's begin on: this head, the values, the redo of the transaction, zeros.
inline constexpr std::size_t kRecordHeadBytes = 48;
/// So many records may be written before the first of them is durable.
inline constexpr std::uint64_t kUnsyncedMax = 16;

/// Which record it is, and what it says of those before it.
struct RecordNumber {
  std::uint64_t own = 0;
  std::uint64_t durable = 0;  ///< All up to this one were durable when it was written.
};

/// Begins with the id of the store's journal. The checksum covers that, numbers, sizes and redo;
/// values have digests of their own, in the redo.
[[nodiscard]] std::array<std::byte, kRecordHeadBytes> make_record_head(
    std::uint64_t id, RecordNumber number, std::uint64_t value_bytes,
    std::span<const std::byte> redo);

/// A record whose checksum is right. The views are into the file it was found in.
struct FoundRecord {
  std::uint64_t number = 0;
  std::uint64_t durable = 0;
  std::span<const std::byte> values;
  std::span<const std::byte> redo;
  std::uint32_t segment = 0;  ///< Of the value log; 0: in the journal.
  std::uint64_t end = 0;      ///< In the file, a page's begin.
};

/// The id of the store whose record begins in `page`; 0 if nothing was written there.
[[nodiscard]] std::uint64_t record_id(std::span<const std::byte> page);
/// Whether there is any record in `pages`, from a page's begin on, of the store with this id.
[[nodiscard]] bool holds_record(std::span<const std::byte> pages, std::uint64_t id);

/// Adds every record in `pages`, which lie in their file from `at` on, whose number is above
/// `applied`; also after what cannot be read.
void find_records(std::span<const std::byte> pages, std::uint32_t segment, std::uint64_t at,
                  std::uint64_t id, std::uint64_t applied, std::vector<FoundRecord>& found);

}  // namespace stele::log
