// Rows of the store's tables: the numbers of the state, the index of entries, the runs of slots,
// and those of the state's sections. docs/storage-format.md has the layout.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "paxos/base/bytes.h"
#include "paxos/base/ids.h"
#include "paxos/base/result.h"

namespace stele::log {

/// The tables, those of the sections of the state (log/state/section.h) too. The numbers stand on
/// the disk: none is ever changed or used again. 5 and 6 are those of tests.
enum class Table : std::uint8_t {
  meta = 1,
  slots = 2,
  index = 3,
  sessions = 4,
  runs = 7,
  segments = 8,
  retention = 9
};
/// Numbers of tables are below.
inline constexpr std::size_t kTablesEnd = 32;
/// The other tables are those of sections, whose keys are bytes.
[[nodiscard]] constexpr bool has_number_keys(Table table) {
  return table == Table::meta || table == Table::slots || table == Table::index ||
         table == Table::runs || table == Table::segments;
}

/// The key of a record as it stands in its table: a number, or bytes. A view of those.
class TableKey {
 public:
  TableKey(std::uint64_t number) : number_(number) {}               // NOLINT: as good as a number.
  TableKey(std::span<const std::byte> bytes) : bytes_(bytes) {}     // NOLINT: as good as bytes.
  TableKey(const std::vector<std::byte>& bytes) : bytes_(bytes) {}  // NOLINT: as good as bytes.

  [[nodiscard]] std::span<const std::byte> bytes() const {
    return bytes_.data() == nullptr ? std::as_bytes(std::span(&number_, 1)) : bytes_;
  }
  /// 0 if it is of bytes.
  [[nodiscard]] std::uint64_t number() const { return number_; }
  [[nodiscard]] bool is_number() const { return bytes_.data() == nullptr; }

 private:
  std::uint64_t number_ = 0;
  std::span<const std::byte> bytes_;
};

/// The table of a section. Of several changes of a row only the last one counts.
struct SectionTable {
  Table table{};
  std::string name;       ///< In the store, and for people; such as `sessions`.
  bool in_memory = true;  ///< All its rows are loaded at the start; else as they are needed.

  bool operator==(const SectionTable&) const = default;
};

/// Bytes of the key of a section's row at most; at least one.
inline constexpr std::size_t kRowKeyBytesMax = 500;

/// Which row of which table.
struct RowKey {
  Table table{};
  std::vector<std::byte> key;

  auto operator<=>(const RowKey&) const = default;
};

/// A part of a section: a key of its own making, and what it says, which begins with its version
/// (begin_record()).
struct Row {
  Table table{};
  std::vector<std::byte> key;
  std::vector<std::byte> bytes;  ///< Empty: the row is gone.

  bool operator==(const Row&) const = default;
};

/// A number as the key of a section's row: 8 bytes, the highest first, so that the order of bytes
/// is that of numbers.
[[nodiscard]] std::vector<std::byte> key_of(std::uint64_t number);
/// The reverse of key_of(). Requires 8 bytes.
[[nodiscard]] std::uint64_t number_of(std::span<const std::byte> key);

/// The key of a section's row in its table. Rows of several generations may lie beside each other:
/// those of the state that is replaced, and of the one that comes.
[[nodiscard]] std::vector<std::byte> stored_key(std::uint32_t generation,
                                                std::span<const std::byte> key);
/// The reverse of stored_key(). Errors: corrupt.
struct StoredKey {
  std::uint32_t generation = 0;
  std::span<const std::byte> key;
};
[[nodiscard]] Result<StoredKey> parse_stored_key(Table table, std::span<const std::byte> stored);

/// The numbers of the state, equal on all nodes that have applied the same slots.
struct StateNumbers {
  Slot chosen_end{1};  ///< All slots below are applied.
  Lsn next_lsn{1};
  Lsn first_lsn{1};               ///< The trim point: entries below are gone.
  std::uint64_t log_time_us = 0;  ///< Advances only by the leaders' elapsed time.
  std::uint64_t stamp_us = 0;     ///< The last time stamp; never goes back.
  std::uint64_t hash = 0;         ///< Over all slots applied and what became of them.
  std::uint64_t log_bytes = 0;    ///< Of all slots that were ever applied, as slot_bytes() counts.
  std::uint64_t run_digest = 0;   ///< Over the slots of the run that is not complete.
  /// The last snapshot that was asked for: of the state after all slots below. {}: none was.
  Slot snapshot_slot;
  std::uint64_t snapshot_log_bytes = 0;  ///< As of `log_bytes`, there.

  bool operator==(const StateNumbers&) const = default;
};

/// What a store holds of the log and of the sections' rows; each has its own.
struct Holding {
  Slot first_slot{
      1};  ///< The records below are gone, and their entries are trimmed. A run's begin.
  Slot slots_begin{1};             ///< Records below are not known to be what was chosen.
  Lsn entries_begin{1};            ///< Entries below lie in such records; others have them.
  std::uint64_t begin_digest = 0;  ///< Of the run in which slots_begin lies, up to there.
  std::uint32_t generation = 1;    ///< Of the sections' rows.
  Slot snapshot;  ///< That of this slot may be given to others (log/replica/upkeep.h); {}: none.

  bool operator==(const Holding&) const = default;
};

/// One durable record.
struct StoredNumbers {
  StateNumbers state;
  Holding holding;

  bool operator==(const StoredNumbers&) const = default;
};

/// What a slot's record takes, with a value of so many bytes.
inline constexpr std::size_t kSlotHeaderBytes = 64;
[[nodiscard]] constexpr std::uint64_t slot_bytes(std::uint64_t value_bytes) {
  return kSlotHeaderBytes + value_bytes;
}

/// Slots are trimmed, and compared, in runs of so many: [256 k, 256 k + 256).
inline constexpr std::uint64_t kRunSlots = 256;
[[nodiscard]] constexpr std::uint64_t run_of(Slot slot) { return slot.value / kRunSlots; }

/// What had been applied when a run began, that is, all slots below 256 × number, and the digest of
/// the run before it. Equal on all nodes.
struct RunRow {
  std::uint64_t number = 0;
  Lsn next_lsn;
  std::uint64_t log_time_us = 0;
  std::uint64_t log_bytes = 0;
  std::uint64_t digest = 0;

  bool operator==(const RunRow&) const = default;
};

/// The slots whose values a segment of the value log holds; slot 0: none.
struct SegmentRow {
  std::uint32_t segment = 0;
  Slot lowest;
  Slot highest;

  bool operator==(const SegmentRow&) const = default;
};

/// The entries of one slot that got an LSN: all of its batch, but for the first `entries` of some
/// commands (duplicates, voids, refusals).
struct IndexRow {
  struct Skipped {
    std::uint32_t command;
    std::uint32_t entries;

    bool operator==(const Skipped&) const = default;
  };

  Lsn first_lsn;
  Slot slot;
  std::uint32_t count = 0;
  std::vector<Skipped> skipped;  ///< In ascending order of commands.

  bool operator==(const IndexRow&) const = default;
};

/// Every record, and every row of a section, begins with the version of its layout, so that it can
/// grow.
[[nodiscard]] std::vector<std::byte> begin_record(std::uint16_t version);
inline constexpr std::size_t kVersionBytes = 2;
/// Takes the version off; it must be one up to `version_max`. `what` names the record. Errors:
/// corrupt, newer_format.
[[nodiscard]] Result<std::uint16_t> take_version(ByteReader& reader, std::uint16_t version_max,
                                                 const std::string& what);

/// `content` and its checksum, which covers table, key and content: a record in the wrong place is
/// as faulty as a damaged one.
[[nodiscard]] std::vector<std::byte> seal(Table table, TableKey key,
                                          std::vector<std::byte> content);
/// The same in place: writes the checksum after the content, into the last 8 bytes.
void seal_in_place(Table table, TableKey key, std::span<std::byte> sealed);
inline constexpr std::size_t kSealBytes = 8;
/// The content of a sealed record. Errors: corrupt, naming table and key.
[[nodiscard]] Result<std::span<const std::byte>> unseal(Table table, TableKey key,
                                                        std::span<const std::byte> sealed);
/// A record by its table and key, for people.
[[nodiscard]] std::string record_name(Table table, TableKey key);
/// Says of a record what is wrong with it.
[[nodiscard]] tl::unexpected<Error> corrupt_record(Table table, TableKey key,
                                                   const std::string& why);

/// Reads the content of a record of a version up to `version_max` by `parse(ByteReader&)`, which
/// must take all of it. Errors: corrupt, newer_format.
template <class T, class Parse>
[[nodiscard]] Result<T> decode_as(Table table, TableKey key, std::span<const std::byte> content,
                                  std::uint16_t version_max, Parse parse) {
  ByteReader reader(content);
  const auto version = take_version(reader, version_max, record_name(table, key));
  if (!version) return forward(version);
  T read = parse(reader);
  if (!reader.ok() || reader.left() != 0) {
    return corrupt_record(table, key, "has the wrong length");
  }
  return read;
}

/// Unseals a record of a version up to `version_max`, and decodes it, as above.
template <class T, class Parse>
[[nodiscard]] Result<T> unseal_as(Table table, TableKey key, std::span<const std::byte> sealed,
                                  std::uint16_t version_max, Parse parse) {
  const auto content = unseal(table, key, sealed);
  if (!content) return forward(content);
  return decode_as<T>(table, key, *content, version_max, std::move(parse));
}

/// Without a checksum, and without what each store has of its own: as a snapshot holds them.
[[nodiscard]] std::vector<std::byte> encode_state(const StateNumbers& numbers);
[[nodiscard]] std::vector<std::byte> encode_run(const RunRow& row);
/// Errors: corrupt, newer_format.
[[nodiscard]] Result<StateNumbers> decode_state(std::span<const std::byte> content);
[[nodiscard]] Result<RunRow> decode_run(std::uint64_t number, std::span<const std::byte> content);

[[nodiscard]] std::vector<std::byte> seal_numbers(const StoredNumbers& numbers);
[[nodiscard]] Result<StoredNumbers> unseal_numbers(std::span<const std::byte> sealed);
[[nodiscard]] std::vector<std::byte> seal_index_row(const IndexRow& row);
[[nodiscard]] Result<IndexRow> unseal_index_row(Lsn first_lsn, std::span<const std::byte> sealed);
[[nodiscard]] std::vector<std::byte> seal_run_row(const RunRow& row);
[[nodiscard]] Result<RunRow> unseal_run_row(std::uint64_t number,
                                            std::span<const std::byte> sealed);
[[nodiscard]] std::vector<std::byte> seal_segment_row(const SegmentRow& row);
[[nodiscard]] Result<SegmentRow> unseal_segment_row(std::uint32_t segment,
                                                    std::span<const std::byte> sealed);
/// The row of a section, by the key under which it is stored.
[[nodiscard]] Result<Row> unseal_row(Table table, std::span<const std::byte> stored,
                                     std::span<const std::byte> sealed);

/// The digest of a slot: what was chosen there, `value_digest` of so many bytes, and what became of
/// it. Equal on all nodes; of ballots it knows nothing. `kind`: of the value, as a number.
[[nodiscard]] std::uint64_t slot_digest(const IndexRow& row, std::uint8_t kind,
                                        std::uint64_t value_bytes, std::uint64_t value_digest);
/// The digest of a run, or of its beginning, with one more slot. 0: no slot yet.
[[nodiscard]] std::uint64_t add_to_run(std::uint64_t run_digest, std::uint64_t slot_digest);

/// Where the numbers stand in the table `meta`.
inline constexpr std::uint64_t kNumbersKey = 3;

}  // namespace stele::log
