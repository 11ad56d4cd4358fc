// A thin, owning layer over LMDB, whose own header only the source includes.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "log/format/rows.h"
#include "paxos/base/result.h"

struct MDB_env;
struct MDB_txn;
struct MDB_cursor;

namespace stele::log {

/// An environment with the store's tables and those of the sections. Move-only. Any thread; one
/// writer at a time.
class Lmdb {
 public:
  struct Options {
    std::uint64_t map_bytes = 1ULL << 40;
    std::vector<SectionTable> sections = {};  ///< Their tables; no other may be there.
    bool read_only = false;
  };

  Lmdb() = default;
  /// Opens the store in `directory`, makes an empty one if there is none (not if read_only).
  /// Errors: corrupt, foreign_directory, newer_format (a table that is none of these),
  /// invalid_argument (the system does not let it map so much), no_space, io.
  static Result<Lmdb> open(const std::string& directory, const Options& options);
  ~Lmdb();
  Lmdb(Lmdb&& other) noexcept;
  Lmdb& operator=(Lmdb&& other) noexcept;

  /// A transaction; aborted when destroyed, unless committed.
  class Txn {
   public:
    ~Txn();
    Txn(Txn&& other) noexcept;
    Txn& operator=(Txn&&) = delete;

    /// The value, valid while the transaction is; nothing if there is none. Errors: corrupt, io.
    [[nodiscard]] Result<std::optional<std::span<const std::byte>>> get(Table table, TableKey key);
    Result<void> put(Table table, TableKey key, std::span<const std::byte> value);
    /// Room for `bytes` bytes, to be filled before the next call.
    [[nodiscard]] Result<std::span<std::byte>> reserve(Table table, TableKey key,
                                                       std::size_t bytes);
    Result<void> erase(Table table, TableKey key);
    /// All of [begin, end), of a table whose keys are numbers.
    Result<void> erase_range(Table table, std::uint64_t begin, std::uint64_t end);
    /// Whether there is such a table. Required by all calls that name one.
    [[nodiscard]] bool has(Table table) const { return lmdb_->dbi(table) != 0; }
    /// Durable when it returns. Errors are final: what was written is unknown.
    Result<void> commit();

   private:
    friend class Lmdb;
    Txn(const Lmdb& lmdb, MDB_txn* txn) : lmdb_(&lmdb), txn_(txn) {}
    const Lmdb* lmdb_;
    MDB_txn* txn_;
    friend class Cursor;
  };

  /// Walks over one table in ascending order of keys.
  class Cursor {
   public:
    Cursor(Txn& txn, Table table);
    ~Cursor();
    Cursor(const Cursor&) = delete;
    Cursor& operator=(const Cursor&) = delete;

    /// Each moves to a record, false if there is none. Errors are kept in status().
    bool first();
    bool last();
    bool seek(TableKey key);               ///< The first at or above `key`.
    bool seek_last_at(std::uint64_t key);  ///< The last at or below `key`.
    bool next();
    /// Erases the record that it is at; next() then moves to the one after it.
    bool erase();
    /// Of a table whose keys are numbers.
    [[nodiscard]] std::uint64_t key() const;
    [[nodiscard]] std::span<const std::byte> key_bytes() const { return key_; }
    [[nodiscard]] std::span<const std::byte> value() const { return value_; }
    [[nodiscard]] const Result<void>& status() const { return status_; }

   private:
    bool move(int operation, TableKey key);
    MDB_cursor* cursor_ = nullptr;
    std::span<const std::byte> key_;
    std::span<const std::byte> value_;
    Result<void> status_;
  };

  [[nodiscard]] Result<Txn> begin(bool write) const;
  /// Makes everything committed durable, also what a killed process left in the page cache.
  Result<void> sync();
  /// Bytes of the file that are in use or were.
  [[nodiscard]] std::uint64_t used_bytes() const;

 private:
  MDB_env* env_ = nullptr;
  std::array<unsigned, kTablesEnd> tables_{};  // By their numbers; 0: there is none.
  [[nodiscard]] unsigned dbi(Table table) const { return tables_[static_cast<std::size_t>(table)]; }
};

/// Makes all changes of `redo`, in their order, but for those of sections' rows that a later one
/// undoes. Errors: corrupt, io; newer_format if it is of a table that is not there.
Result<void> apply_redo(std::span<const std::byte> redo, Lmdb::Txn& txn);

}  // namespace stele::log
