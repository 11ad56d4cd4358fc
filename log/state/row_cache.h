// The rows of a section that keeps them in the store's tables: as many as memory is given for.
#pragma once

#include <cstddef>
#include <list>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "paxos/base/check.h"
#include "paxos/base/ids.h"

namespace stele::log {

/// Rows as `T`, by their keys. A row that has changed stays until the change can be read back from
/// the tables; of the others the ones that were used last stay. One thread.
template <class T>
class RowCache {
 public:
  using Key = std::vector<std::byte>;

  /// Above `rows_max` rows stay only while a slot needs them, or until they can be read back.
  explicit RowCache(std::size_t rows_max) : rows_max_(rows_max) {}
  RowCache(const RowCache&) = delete;
  RowCache& operator=(const RowCache&) = delete;

  /// Whether it is known here what the row says, or that there is none. Without that it must be
  /// read before it is used.
  [[nodiscard]] bool holds(const Key& key) const { return rows_.contains(key); }
  /// Null: there is no such row. Requires holds(). Valid until the next call.
  [[nodiscard]] const T* find(const Key& key) {
    Entry& entry = use(key);
    return entry.value ? &*entry.value : nullptr;
  }
  /// As it was read from the tables; nothing if it is not there. What is in memory is newer.
  void take(const Key& key, std::optional<T> value) {
    if (holds(key)) return;
    const auto made = rows_.emplace(key, Entry{std::move(value), {}, {}}).first;
    made->second.place = used_.insert(used_.end(), &made->first);
  }
  /// In slot `at` the row becomes `value`, or goes. Requires holds().
  void change(const Key& key, std::optional<T> value, Slot at) {
    Entry& entry = use(key);
    entry.value = std::move(value);
    entry.changed_at = at;
  }
  /// What slots below `readable_end` have changed can be read back.
  void on_readable(Slot readable_end) {
    for (auto at = used_.begin(); at != used_.end() && rows_.size() > rows_max_;) {
      const auto row = rows_.find(**at);
      if (row->second.changed_at >= readable_end) {
        ++at;
        continue;
      }
      at = used_.erase(at);
      rows_.erase(row);
    }
  }
  [[nodiscard]] std::size_t size() const { return rows_.size(); }

 private:
  /// A row in memory.
  struct Entry {
    std::optional<T> value;
    Slot changed_at;
    typename std::list<const Key*>::iterator place;
  };

  Entry& use(const Key& key) {
    const auto found = rows_.find(key);
    STELE_CHECK(found != rows_.end());
    used_.splice(used_.end(), used_, found->second.place);
    return found->second;
  }

  std::size_t rows_max_;
  std::map<Key, Entry> rows_;
  std::list<const Key*> used_;  // The keys of rows_; the one that was used last is at the end.
};

}  // namespace stele::log
