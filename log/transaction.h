// What one commit writes into the store's tables.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "log/store.h"

namespace stele::log {

/// Grows by everything that is queued while the last commit is under way.
struct Transaction {
  std::optional<Identity> identity;
  std::vector<paxos::Acceptor::Write> votes;
  std::optional<StateWrite> state;
  std::size_t bytes = 0;        ///< About as much as it writes,
  std::size_t state_bytes = 0;  ///< and how much of that is `state`.

  void add(std::vector<paxos::Acceptor::Write> writes);
  void add(StateWrite write);
  [[nodiscard]] bool empty() const { return !identity && votes.empty() && !state; }
};

/// Writes all of it; `Tables` is an Lmdb::Txn or a Redo. `promised` is the durable promise before,
/// and becomes the one behind.
template <class Tables>
Result<void> write(const Transaction& transaction, Promised& promised, Tables& tables);

}  // namespace stele::log
