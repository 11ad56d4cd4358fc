// Rows of the store's tables: the numbers of the state, the index of entries, and those of the
// state's sections. docs/storage-format.md has the layout.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "paxos/base/bytes.h"
#include "paxos/base/ids.h"
#include "paxos/base/result.h"

namespace stele::log {

/// The tables, those of the sections of the state (log/state/section.h) too. The numbers stand on
/// the disk: none is ever changed or used again. 5 and 6 are those of tests.
enum class Table : std::uint8_t { meta = 1, slots = 2, index = 3, sessions = 4 };
/// Numbers of tables are below.
inline constexpr std::size_t kTablesEnd = 16;

/// The table of a section. Of several changes of a row only the last one counts.
struct SectionTable {
  Table table{};
  std::string name;       ///< In the store, and for people; such as `sessions`.
  bool in_memory = true;  ///< All its rows are loaded at the start; else as they are needed.

  bool operator==(const SectionTable&) const = default;
};

/// Which row of which table.
struct RowKey {
  Table table{};
  std::vector<std::byte> key;

  auto operator<=>(const RowKey&) const = default;
};

/// A part of a section: a key of its own making, and what it says.
struct Row {
  Table table{};
  std::vector<std::byte> key;
  std::vector<std::byte> bytes;  ///< Empty: the row is gone.

  bool operator==(const Row&) const = default;
};

/// The key of a row in the store, whose keys are numbers. Requires 8 bytes, the highest first, so
/// that the order of numbers is that of bytes.
[[nodiscard]] std::uint64_t number_of(std::span<const std::byte> key);
/// The reverse of number_of().
[[nodiscard]] std::vector<std::byte> key_of(std::uint64_t number);

/// The numbers of the state; one durable record.
struct StateNumbers {
  Slot chosen_end{1};  ///< All slots below are applied.
  Lsn next_lsn{1};
  Lsn first_lsn{1};               ///< The trim point: entries below are gone.
  std::uint64_t log_time_us = 0;  ///< Advances only by the leaders' elapsed time.
  std::uint64_t stamp_us = 0;     ///< The last time stamp; never goes back.
  std::uint64_t hash = 0;         ///< Over all slots applied and what became of them.

  bool operator==(const StateNumbers&) const = default;
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

/// `content` and its checksum, which covers table, key and content: a record in the wrong place is
/// as faulty as a damaged one.
[[nodiscard]] std::vector<std::byte> seal(Table table, std::uint64_t key,
                                          std::vector<std::byte> content);
/// The same in place: writes the checksum after the content, into the last 8 bytes.
void seal_in_place(Table table, std::uint64_t key, std::span<std::byte> sealed);
inline constexpr std::size_t kSealBytes = 8;
/// The content of a sealed record. Errors: corrupt, naming table and key.
[[nodiscard]] Result<std::span<const std::byte>> unseal(Table table, std::uint64_t key,
                                                        std::span<const std::byte> sealed);
/// Says of a record what is wrong with it.
[[nodiscard]] tl::unexpected<Error> corrupt_record(Table table, std::uint64_t key,
                                                   const std::string& why);

/// Unseals, and reads the content by `parse(ByteReader&)`, which must take all of it.
template <class T, class Parse>
[[nodiscard]] Result<T> unseal_as(Table table, std::uint64_t key, std::span<const std::byte> sealed,
                                  Parse parse) {
  const auto content = unseal(table, key, sealed);
  if (!content) return forward(content);
  ByteReader reader(*content);
  T read = parse(reader);
  if (!reader.ok() || reader.left() != 0) {
    return corrupt_record(table, key, "has the wrong length");
  }
  return read;
}

[[nodiscard]] std::vector<std::byte> seal_numbers(const StateNumbers& numbers);
[[nodiscard]] Result<StateNumbers> unseal_numbers(std::span<const std::byte> sealed);
[[nodiscard]] std::vector<std::byte> seal_index_row(const IndexRow& row);
[[nodiscard]] Result<IndexRow> unseal_index_row(Lsn first_lsn, std::span<const std::byte> sealed);
/// The row of a section.
[[nodiscard]] Result<Row> unseal_row(Table table, std::uint64_t key,
                                     std::span<const std::byte> sealed);

/// Where the numbers stand in the table `meta`.
inline constexpr std::uint64_t kNumbersKey = 3;

}  // namespace stele::log
