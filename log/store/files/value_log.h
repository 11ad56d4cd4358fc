// Large values, one after the other in files, of which old ones are written over (ADR 7, 20).
#pragma once

#include <atomic>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "log/format/record.h"
#include "log/store/files/direct_file.h"
#include "log/store/files/journal_record.h"
#include "paxos/base/result.h"
#include "paxos/base/value.h"

namespace stele::log {

[[nodiscard]] std::string values_directory(const std::string& directory);
[[nodiscard]] std::string segment_path(const std::string& directory, std::uint32_t segment);

/// Writes the segments; move-only, one thread, unless something else is said.
class ValueLog {
 public:
  struct Options {
    /// A segment that has grown so far is followed by the next one.
    std::uint64_t segment_bytes = 128 << 20;
    /// So many segments that were given up stay, to be written over: that costs the disk less than
    /// to take their space back and to give it out again.
    std::size_t spares_max = 2;
    /// At most so much in a row stays in the page cache (keep_cached()).
    std::uint64_t cached_bytes_max = 2ULL << 30;
    /// Told of every new segment.
    std::function<void(const std::string& path)> made = {};
  };

  /// Goes on at `end`; what lies after it is cut off. Errors: io, corrupt, no_space.
  static Result<ValueLog> open(const std::string& directory, std::uint64_t id, ValuePlace end,
                               Options options);

  /// Where the first value of the next record will lie; makes a new segment if need be.
  Result<ValuePlace> begin();
  /// Requires begin(). Durable when it returns, or with `apart`. Errors are final.
  Result<void> append(RecordNumber number, std::span<const paxos::Value> values,
                      std::span<const std::byte> redo, FileSync* apart = nullptr);
  /// Gives up the file of a segment that is not written any more, whatever it still holds; it may
  /// become a spare. A little at a time, until `stop()`. Any thread. Errors: io.
  Result<void> remove(std::uint32_t segment, const std::function<bool()>& stop);
  /// Gives up a spare; false if there is none. Any thread; may be called as long as anybody has it.
  using DropSpare = std::function<bool()>;
  [[nodiscard]] DropSpare drop_spare() const;
  /// The same, of a store that is not open.
  static bool drop_spare(const std::string& directory);
  /// Whether others will soon read what is appended from now on: it stays in the page cache then.
  void keep_cached(bool keep);
  /// Whether the last record is there.
  [[nodiscard]] bool cached() const { return cached_; }
  /// Where the next record begins.
  [[nodiscard]] ValuePlace end() const { return end_; }
  /// Of all segments and spares. Any thread.
  [[nodiscard]] std::uint64_t size() const { return shared_->size; }

 private:
  ValueLog(std::string directory, std::uint64_t id, Options options)
      : directory_(std::move(directory)), id_(id), options_(std::move(options)) {}

  std::string directory_;
  std::uint64_t id_ = 0;
  Options options_;
  DirectFile file_;
  ValuePlace end_;
  std::uint64_t segment_size_ = 0;  // Of the file that is written: a spare has its old length.
  /// Any thread.
  struct Shared {
    std::atomic<std::uint64_t> size = 0;
    std::mutex mutex;
    std::vector<std::string> spares;  // Guarded by the mutex; paths.
  };
  Result<bool> take_spare(const std::string& path);
  Result<void> remove_file(const std::string& path, const std::function<bool()>& stop);

  std::shared_ptr<Shared> shared_ = std::make_shared<Shared>();
  bool keep_cached_ = false;
  bool cached_ = false;
  std::uint64_t cached_bytes_ = 0;  // Since keep_cached().
};

/// Bytes of a segment in memory.
struct ValueStretch {
  ValuePlace begin;
  Slice bytes;

  /// Nothing if they are not all in here.
  [[nodiscard]] std::optional<Slice> find(ValuePlace place, std::uint64_t count) const;
};

/// Reads values back. Any thread.
class ValueReader {
 public:
  /// What the page cache has of a record whose sync failed may not be on the disk.
  /// `believes_cache`: there is none such, and read() takes what is cached.
  explicit ValueReader(std::string directory, bool believes_cache = true)
      : directory_(std::move(directory)), believes_cache_(believes_cache) {}

  /// Through the page cache, if that is believed: for what others may read, too. Errors: corrupt
  /// (there are no such bytes), io.
  Result<Slice> read(ValuePlace place, std::uint64_t count);
  /// In one go, and past the page cache unless it has been kept there: for much that is read once.
  /// Has more than was asked for where pages begin and end. `drop`: it is not kept in the page
  /// cache any longer, which leaves its memory to what is written next. Errors as above.
  Result<ValueStretch> read_stretch(ValuePlace begin, std::uint64_t count, bool drop = false);
  /// That segment is gone, or will be: nobody asks for its values any more.
  void forget(std::uint32_t segment);
  /// The record that goes up to `end`, and whose first value is at `begin`, was written through the
  /// page cache.
  void add_cached(ValuePlace begin, ValuePlace end);
  /// So many stretches that are in the cache are remembered, the youngest ones.
  static constexpr std::size_t kCachedMax = 64;
  /// A stretch is forgotten once it was not there so many times in a row.
  static constexpr int kMissesMax = 16;
  /// Stretches that were read from there.
  [[nodiscard]] std::uint64_t cached_reads();

 private:
  struct Segment;
  /// A stretch of a segment that was written through the page cache.
  struct Range {
    std::uint32_t segment;
    std::uint64_t begin;
    std::uint64_t end;
    int misses = 0;  // In a row.
  };
  static constexpr std::size_t kOpenMax = 16;

  Result<std::shared_ptr<Segment>> segment(std::uint32_t number);
  std::size_t read_cached(const Segment& file, const Range& range, std::span<std::byte> target);

  std::string directory_;
  bool believes_cache_ = true;
  std::mutex mutex_;
  std::map<std::uint32_t, std::shared_ptr<Segment>> open_;  // Guarded by mutex_.
  std::deque<Range> cached_;                                // Guarded by mutex_; the oldest first.
  std::uint64_t cached_reads_ = 0;                          // Guarded by mutex_.
};

/// A slot's record. Copies the value out of `bytes`, or out of the value log. Errors: corrupt; io,
/// if the value log could not be looked at, which says nothing of the record.
[[nodiscard]] Result<paxos::SlotRecord> read_slot(Slot slot, std::span<const std::byte> bytes,
                                                  ValueReader* values = nullptr);

}  // namespace stele::log
