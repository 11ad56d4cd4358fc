// The files of a store: journal, value log and LMDB (ADR 6 and 7).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "log/store/files/checkpoint.h"
#include "log/store/files/disk_reserve.h"
#include "log/store/files/journal.h"
#include "log/store/files/journal_record.h"
#include "log/store/files/lmdb.h"
#include "log/store/files/value_log.h"
#include "log/store/redo.h"
#include "log/store/transaction.h"

namespace stele::log {

/// Called by the committing thread.
class CheckpointListener {
 public:
  virtual ~CheckpointListener() = default;
  /// StoreFiles::run_checkpoint() has something to do.
  virtual void on_checkpoint_begun() = 0;
  /// StoreFiles::remove_segments() is to be called with these, which nothing refers to any more.
  virtual void on_segments_gone(std::vector<std::uint32_t> segments) = 0;
};

/// A transaction is one record, written in one place and synced once: a small one in the journal, a
/// large one in the value log, where its values stay. LMDB gets it later, together with others, and
/// what it gets of large values is where they are. For one thread at a time; lmdb().begin(false),
/// values(), run_checkpoint() and remove_segments() are for any thread. Move-only.
class StoreFiles {
 public:
  struct Options {
    std::uint64_t map_bytes = 1ULL << 40;       ///< The bound of LMDB's file.
    std::vector<SectionTable> sections = {};    ///< As of Lmdb.
    std::uint64_t journal_bytes = 2 << 20;      ///< Of a new journal; as much memory at most.
    std::size_t small_bytes_max = 16 << 10;     ///< Larger transactions go to the value log.
    std::uint64_t lacking_bytes_max = 4 << 20;  ///< If it lacks more than that, LMDB takes it over.
    std::uint64_t reserve_bytes = 0;            ///< As of DiskReserve.
    ValueLog::Options values = {};
    NodeId node = {};  ///< Whose directory it must be; {}: anybody's.
  };

  /// Everything that was durable, or may have been, is in LMDB and synced afterwards. Errors:
  /// corrupt, foreign_directory, newer_format, invalid_argument (as of Lmdb::open), io.
  static Result<StoreFiles> open(const std::string& directory, const Options& options);

  /// Durable when it returns. `readable`: it can be read from LMDB then, and all before it.
  /// Requires that none is under way. Errors are final: what was written is unknown.
  Result<void> commit(const Transaction& transaction, bool readable);

  /// The same in two steps, so that the next one may begin before this one is durable (ADR 19);
  /// also of one that is empty. At most kUnsyncedMax are under way. It is durable once the sync has
  /// run, and those of all before; `aside`: values go to the value log, however small.
  Result<FileSync> begin(const Transaction& transaction, bool aside);
  /// The first one under way is durable.
  Result<void> end();
  [[nodiscard]] std::size_t under_way() const { return unsynced_.size(); }
  /// Several records after each other do not say of the one before that it is durable: should it
  /// be damaged, it would be taken for one that never was. One more record says so.
  [[nodiscard]] bool untold() const {
    return unsynced_.empty() && told_ + 1 < mark_.applied && mark_.applied == written_.applied;
  }
  /// Whether others will soon read what is committed from now on (ADR 10).
  void keep_cached(bool keep) { values_.keep_cached(keep); }
  /// Whether the commit of this would be one write and one sync.
  [[nodiscard]] bool quick(const Transaction& transaction) const;
  /// Moves to LMDB what it lacks.
  Result<void> checkpoint();
  /// Writes the part that waits for it, beside commits. Any thread. Errors are final.
  Result<void> run_checkpoint() { return checkpoint_->run(lmdb_); }
  /// Gives the disk back what is kept to be written over. Any thread.
  void drop_spares() {
    while (drop_spare_()) continue;
  }
  /// Gives up the files of segments (CheckpointListener). Any thread; takes a while, until
  /// `stop()` holds. What is left goes with the next start. Errors: io.
  Result<void> remove_segments(const std::vector<std::uint32_t>& segments,
                               const std::function<bool()>& stop);

  /// The listener outlives the last commit. Without one, the committing thread runs a checkpoint
  /// when it must be done.
  void listen(CheckpointListener& listener) { listener_ = &listener; }
  /// As of Checkpoint; the thread is the committing one, or that of run_checkpoint(). Before the
  /// first commit.
  void on_snapshot(Checkpoint::OnSnapshot take) { checkpoint_->on_snapshot(std::move(take)); }

  /// What must be true between commits, or what is not, as a sentence.
  [[nodiscard]] std::string check() const;

  /// The space that is kept beside the files.
  [[nodiscard]] DiskReserve& reserve() { return *reserve_; }
  [[nodiscard]] Lmdb& lmdb() { return lmdb_; }
  [[nodiscard]] ValueReader& values() { return *reader_; }
  /// The state that can be read from LMDB.
  [[nodiscard]] const StoredNumbers& readable() const { return readable_; }
  /// After the last record, those under way included.
  [[nodiscard]] const StoredNumbers& written() const { return ground_.numbers; }
  /// Of all files.
  [[nodiscard]] std::uint64_t used_bytes() const;
  /// The last commit, those under way included.
  [[nodiscard]] std::uint64_t commits() const { return written_.commits; }
  /// The last commit that was there when the files were opened.
  [[nodiscard]] std::uint64_t commits_found() const { return commits_found_; }

 private:
  static Result<StoreFiles> open_once(const std::string& directory, const Options& options);
  StoreFiles(const Options& options, Lmdb lmdb, Journal journal, ValueLog values,
             std::unique_ptr<ValueReader> reader)
      : options_(options),
        lmdb_(std::move(lmdb)),
        journal_(std::move(journal)),
        values_(std::move(values)),
        drop_spare_(values_.drop_spare()),
        reader_(std::move(reader)) {}
  Result<void> load();
  /// A record that was written, as long as it is not known to be durable.
  struct Unsynced {
    std::vector<std::byte> redo;
    std::size_t bytes = 0;
    StoredNumbers numbers;  // After it.
    JournalMark mark;       // After it.
    bool snapshot = false;  // One is to be taken of what it leaves.
  };
  /// A segment whose row is erased by a record.
  struct GivenUp {
    std::uint64_t record;
    std::uint32_t segment;
  };

  Result<void> write(const Transaction& transaction, bool aside, FileSync* apart);
  Result<void> append(const Transaction& transaction, bool aside, FileSync* apart);
  Result<void> append_small(const Transaction& transaction, Ground& ground, FileSync* apart);
  Result<void> append_large(const Transaction& transaction, Ground& ground, FileSync* apart);
  Result<void> append_values(std::span<const paxos::Value> values, SegmentRow row, FileSync* apart);
  [[nodiscard]] SegmentRow segment_row(std::uint32_t segment) const;
  [[nodiscard]] std::vector<std::uint32_t> erase_segments(const Holding& holding);
  void give_up(const std::vector<std::uint32_t>& trimmed);
  [[nodiscard]] RecordNumber next_number() const { return {written_.applied + 1, mark_.applied}; }
  void take_over(Unsynced record);
  Result<void> begin_checkpoint();
  void turn_journal();
  Result<void> end_checkpoint();
  Result<void> end_written_checkpoint();

  Options options_;
  Lmdb lmdb_;
  Journal journal_;
  ValueLog values_;
  ValueLog::DropSpare drop_spare_;
  std::unique_ptr<ValueReader> reader_;
  JournalMark written_;                          // After the last record.
  JournalMark mark_;                             // After the last record that is durable.
  std::deque<Unsynced> unsynced_;                // The records that are not known as durable.
  std::array<std::uint64_t, 2> last_in_half_{};  // The last record in each half of the journal.
  std::size_t half_ = 0;                         // The half that is written.
  std::uint64_t in_lmdb_ = 0;                    // The last record that LMDB has.
  std::uint64_t begun_ = 0;  // The last record of the part that LMDB takes over.
  std::uint64_t told_ = 0;   // The last record says that those up to this one are durable.
  std::uint64_t commits_found_ = 0;
  Redo redo_;  // Of the transaction under way.
  /// What LMDB lacks and does not take over just now. The last one grows, unless a snapshot is
  /// taken after it.
  std::deque<CheckpointPart> lacking_;
  std::uint64_t lacking_bytes_ = 0;  // Bytes of what is in lacking_, with its values.
  CheckpointListener* listener_ = nullptr;
  std::unique_ptr<DiskReserve> reserve_;
  std::unique_ptr<Checkpoint> checkpoint_;
  Ground ground_;  // After the last record.
  StoredNumbers durable_;
  StoredNumbers readable_;
  std::map<std::uint32_t, SegmentRow> segments_;  // As of ground_: those that must be there.
  std::deque<GivenUp> given_up_;                  // Wait until LMDB has the record.
};

}  // namespace stele::log
