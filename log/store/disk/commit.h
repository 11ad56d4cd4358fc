// What one commit of a store's queue consists of.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <vector>

#include "log/store/files/direct_file.h"
#include "log/store/store.h"
#include "log/store/transaction.h"

namespace stele::log {

/// Votes that are read in their place among the writes.
struct VoteRead {
  Slot begin;
  Slot end;
  std::size_t bytes_max;
  std::function<void(SlotsRead)> done;
  SlotsRead result;
};

/// A transaction, and what waits for it.
struct Commit {
  Transaction transaction;
  std::vector<VoteRead> reads;
  std::vector<std::function<void()>> durable;
  std::vector<std::function<void()>> readable;  ///< Wait until it can be read from LMDB.
  bool urgent = false;                          ///< It is waited for.
  StoredNumbers numbers;                        ///< After it.
  StoredNumbers found;                          ///< What can be read from LMDB after it.
  std::uint64_t commits = 0;                    ///< As of StoreFiles, after it.
  FileSync sync;
  bool synced = false;
  /// State that comes after one of which a snapshot is taken: it is for the next commit.
  /// `readable`: LMDB is to have it then.
  struct Later {
    StateWrite state;
    bool readable;
  };
  std::deque<Later> later;
  std::size_t later_bytes = 0;

  void add(StateWrite state, bool readable_then);
  [[nodiscard]] std::size_t bytes() const { return transaction.bytes + later_bytes; }

  /// LMDB is to have it, and all before it, which therefore must be durable.
  [[nodiscard]] bool moves_all() const {
    return !reads.empty() || !readable.empty() || transaction.identity;
  }
};

/// What is pending is not pending any more, but for what is for the next commit.
[[nodiscard]] std::shared_ptr<Commit> take(Commit& pending);

}  // namespace stele::log
