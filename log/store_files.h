// The files of a store: journal, value log and LMDB (ADR 6 and 7).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "log/journal.h"
#include "log/journal_record.h"
#include "log/lmdb.h"
#include "log/redo.h"
#include "log/transaction.h"
#include "log/value_log.h"

namespace stele::log {

/// A transaction is one record, written in one place and synced once: a small one in the journal, a
/// large one in the value log, where its values stay. LMDB gets it later, together with others, and
/// what it gets of large values is where they are. For one writer thread; lmdb().begin(false) and
/// values() are for any thread. Move-only.
class StoreFiles {
 public:
  struct Options {
    std::uint64_t map_bytes = 1ULL << 40;      ///< The bound of LMDB's file.
    std::uint64_t journal_bytes = 1 << 20;     ///< Of a new journal; as much memory at most.
    std::size_t small_bytes_max = 16 << 10;    ///< Larger transactions go to the value log.
    std::uint64_t behind_bytes_max = 8 << 20;  ///< LMDB is behind by so much at most.
    ValueLog::Options values = {};
  };

  /// Everything that was durable, or may have been, is in LMDB and synced afterwards. Errors:
  /// corrupt, foreign_directory, newer_format, io.
  static Result<StoreFiles> open(const std::string& directory, const Options& options);

  /// Durable when it returns. `readable`: it can be read from LMDB then, and all before it. Errors
  /// are final: what was written is unknown.
  Result<void> commit(const Transaction& transaction, bool readable);
  /// Whether the commit of this would be one write and one sync.
  [[nodiscard]] bool quick(const Transaction& transaction) const;
  /// Moves to LMDB what it lacks.
  Result<void> checkpoint();

  [[nodiscard]] Lmdb& lmdb() { return lmdb_; }
  [[nodiscard]] ValueReader& values() { return *reader_; }
  /// The state that can be read from LMDB.
  [[nodiscard]] const StateNumbers& readable() const { return readable_; }
  /// Of all files.
  [[nodiscard]] std::uint64_t used_bytes() const;

 private:
  StoreFiles(const Options& options, Lmdb lmdb, Journal journal, ValueLog values,
             std::unique_ptr<ValueReader> reader)
      : options_(options),
        lmdb_(std::move(lmdb)),
        journal_(std::move(journal)),
        values_(std::move(values)),
        reader_(std::move(reader)) {}
  Result<void> load();
  Result<void> append_small(const Transaction& transaction);
  Result<void> append_large(const Transaction& transaction);

  Options options_;
  Lmdb lmdb_;
  Journal journal_;
  ValueLog values_;
  std::unique_ptr<ValueReader> reader_;
  JournalMark mark_;                // As LMDB has it.
  std::uint64_t number_ = 0;        // Of the last record.
  Redo redo_;                       // Of the transaction under way,
  std::vector<std::byte> behind_;   // and of those that LMDB lacks.
  std::uint64_t behind_bytes_ = 0;  // With their values.
  Promised promised_;
  StateNumbers durable_;
  StateNumbers readable_;
};

/// What the tables lack: the records behind the mark, in order. The views are into the files.
struct Journaled {
  std::vector<MappedFile> files;
  std::vector<FoundRecord> records;
  ValuePlace values_end;  ///< Behind the last record.
};
/// Nothing if there is no journal yet. Errors: corrupt (what was durable is missing), io.
[[nodiscard]] Result<Journaled> read_journaled(const std::string& directory, Lmdb::Txn& txn);

}  // namespace stele::log
