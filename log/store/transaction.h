// What one commit writes into the store's tables.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "log/store/redo.h"
#include "log/store/store.h"

namespace stele::log {

/// Grows by everything that is queued while the last commit is under way.
struct Transaction {
  std::optional<Identity> identity;
  std::optional<History> history;
  std::vector<paxos::Acceptor::Write> votes;
  std::optional<StateWrite> state;
  std::optional<TrimWrite> trim;
  std::optional<InstallWrite> install;
  std::optional<CopyWrite> copy;
  std::size_t bytes = 0;        ///< About as much as it writes.
  std::size_t state_bytes = 0;  ///< How much of `bytes` is `state`.

  /// Whether more state may be added: not after one of which a snapshot is taken, nor to another
  /// one that takes its place.
  [[nodiscard]] bool takes_state() const { return (!state || !state->snapshot) && !install; }

  void add(std::vector<paxos::Acceptor::Write> writes);
  /// Requires takes_state().
  void add(StateWrite write);
  void add(const TrimWrite& write);
  /// Requires that it holds no state.
  void add(const InstallWrite& write);
  void add(CopyWrite write);
  /// It holds something that other nodes may be told of: not only what was heard of them.
  [[nodiscard]] bool counts() const {
    return identity || !votes.empty() || state || trim || install || copy;
  }
  [[nodiscard]] bool empty() const { return !counts() && !history; }
};

/// About as much as it writes.
[[nodiscard]] std::size_t bytes_of(const StateWrite& write);

/// What a store holds before a transaction that goes into the next one: the promise, which never
/// goes down, and the numbers, which are one record.
struct Ground {
  Promised promised;
  StoredNumbers numbers;
};

/// Where the values of a transaction go.
struct ValuesAside {
  ValuePlace next;       ///< Where the next one goes; empty: they stay with their records.
  SegmentRow segment{};  ///< Of the segment in which that is.
  std::vector<paxos::Value> values{};  ///< Those that go there, one after the other.
};

/// Writes down all of it. `ground` becomes what it is after it.
void write(const Transaction& transaction, Ground& ground, ValuesAside& aside, Redo& redo);

}  // namespace stele::log
