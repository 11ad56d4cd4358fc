// The files of a store: LMDB, and the journal that makes small commits quick (ADR 6).
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "log/data_directory.h"
#include "log/journal.h"
#include "log/lmdb.h"
#include "log/redo.h"
#include "log/transaction.h"

namespace stele::log {

/// A small transaction goes to the journal, is durable after one sync, and reaches LMDB later
/// together with others; a large one goes to LMDB at once, behind all that the journal has. For one
/// writer thread; lmdb().begin(false) is for any thread. Move-only.
class StoreFiles {
 public:
  struct Options {
    std::uint64_t map_bytes = 1ULL << 40;        ///< The bound of LMDB's file.
    std::uint64_t journal_bytes = 4 << 20;       ///< Of a new journal; as much memory at most.
    std::size_t journaled_bytes_max = 32 << 10;  ///< Larger transactions go to LMDB at once.
  };

  /// Everything that was durable, or may have been, is in LMDB and synced afterwards. Errors:
  /// corrupt, foreign_directory, newer_format, io.
  static Result<StoreFiles> open(const std::string& directory, const Options& options);

  /// Durable when it returns. `readable`: it can be read from LMDB then, and all before it. Errors
  /// are final: what was written is unknown.
  Result<void> commit(const Transaction& transaction, bool readable);
  /// Moves what only the journal has to LMDB.
  Result<void> checkpoint();

  [[nodiscard]] Lmdb& lmdb() { return lmdb_; }
  /// The state that can be read from LMDB.
  [[nodiscard]] const StateNumbers& readable() const { return readable_; }
  [[nodiscard]] std::uint64_t used_bytes() const;

 private:
  StoreFiles(Lmdb lmdb, Journal journal, const Options& options)
      : options_(options), lmdb_(std::move(lmdb)), journal_(std::move(journal)) {}
  Result<bool> commit_to_journal(const Transaction& transaction);
  Result<void> commit_to_lmdb(const Transaction& transaction);

  Options options_;
  Lmdb lmdb_;
  Journal journal_;
  JournalMark mark_;                  ///< As LMDB has it.
  std::uint64_t number_ = 0;          ///< Of the last record in the journal.
  Redo redo_;                         ///< Of the transaction under way,
  std::vector<std::byte> journaled_;  ///< and of those that only the journal has.
  Promised promised_;
  StateNumbers durable_;
  StateNumbers readable_;
};

/// What the journal beside `lmdb` has and the tables lack, in order; nothing if there is no journal
/// yet. Errors: corrupt, io.
[[nodiscard]] Result<std::vector<std::vector<std::byte>>> read_journal(const std::string& directory,
                                                                       Lmdb::Txn& txn);

}  // namespace stele::log
