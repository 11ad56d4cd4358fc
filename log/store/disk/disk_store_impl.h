// What a store consists of.
#pragma once

#include <asio/post.hpp>
#include <asio/thread_pool.hpp>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "log/store/disk/commit_queue.h"
#include "log/store/disk/disk_store.h"
#include "log/store/disk/snapshot_keeper.h"
#include "log/store/disk/space_meter.h"
#include "log/store/disk/table_reader.h"

namespace stele::log {

/// Its data is the loop's alone; each part says for which thread its own is.
struct LmdbStore::Impl final : CommitListener,
                               CheckpointListener,
                               std::enable_shared_from_this<LmdbStore::Impl> {
  Impl(DataDirectory d, StoreFiles f, const Options& options, net::Loop& lp,
       std::function<void(Error)> on_fail)
      : directory(std::move(d)),
        loop(lp),
        on_failure(std::move(on_fail)),
        sections(options.files.sections),
        snapshot_free_bytes_min(options.snapshot_free_bytes_min),
        commits(f.commits_found()),
        durable(f.readable()),
        readable(f.readable()),
        space(directory.path(), f.reserve(), f.used_bytes(), options.files.map_bytes,
              options.files.reserve_bytes),
        queue(std::make_shared<CommitQueue>(std::move(f), lp, *this, options.commit_wanted)),
        reader(std::make_shared<TableReader>(files().lmdb(), lp,
                                             [this](const Error& error) { tell_failure(error); })) {
    snapshots = std::make_shared<SnapshotKeeper>(
        directory.path(), sections, !options.commit_wanted, durable.holding.snapshot,
        files().lmdb(), lp,
        [this](std::uint64_t bytes) { return space.has_now(bytes + snapshot_free_bytes_min); },
        [this](const Error& error) { tell_failure(error); });
    files().on_snapshot([this](Result<Lmdb::Txn> txn) { snapshots->take(std::move(txn)); });
    space.on_wrote(0, used_bytes());
  }

  [[nodiscard]] StoreFiles& files() { return queue->files(); }

  /// The slot is durably known, and LMDB does not know it yet.
  [[nodiscard]] bool lags(Slot slot) const {
    const bool applied = slot >= readable.state.chosen_end && slot < durable.state.chosen_end;
    return applied || (slot < readable.holding.slots_begin && slot >= durable.holding.slots_begin);
  }
  [[nodiscard]] std::uint64_t used_bytes() { return files().used_bytes() + snapshots->bytes(); }

  /// Errors: corrupt.
  Result<void> load_identity(bool fresh);
  void start_threads() {
    reader->start_thread();
    checkpointer.emplace(1);
    remover.emplace(1);
    snapshots->start_threads();
    files().listen(*this);
    queue->start_threads();
  }
  void stop() {
    closed = true;
    queue->stop();
    // What is under way ends, what waits is dropped.
    checkpointer.reset();
    snapshots->stop();
    stops = true;
    remover.reset();
    reader->stop();
    queue->close_files();
    const DataDirectory unlocked = std::move(directory);
  }
  void tell_failure(const Error& error) const {
    if (on_failure && !closed) on_failure(error);
  }
  /// As of TableReader. If `lags`, what is durable is moved to where it can be read first.
  template <class Get, class Done>
  void read(bool lags, Get get, Done done) {
    if (!lags) return reader->read(std::move(get), std::move(done));
    queue->enqueue(true, [&](Commit& next) {
      next.readable.push_back(
          [this, get = std::move(get), done = std::move(done)] { reader->read(get, done); });
    });
  }

  // As of CommitListener.
  void on_committed(const Commit& commit) override {
    durable = commit.numbers;
    readable = commit.found;
    commits = commit.commits;
  }
  /// With less than that left a disk counts as full.
  static constexpr std::uint64_t kFullBytes = 1 << 20;

  void on_wrote(std::size_t bytes) override { space.on_wrote(bytes, used_bytes()); }
  void on_commit_failed(Error error) override {
    space.on_failed();
    if (space.measured_free_bytes() < kFullBytes)
      error.detail += " (the disk, or the store's bound, is full)";
    loop.post([self = shared_from_this(), error = std::move(error)] { self->tell_failure(error); });
  }
  // As of CheckpointListener: the committing thread.
  void on_checkpoint_begun() override {
    asio::post(*checkpointer, [this] {
      loop.guard([this] {
        if (const auto done = files().run_checkpoint(); !done) queue->fail(done.error());
      });
    });
  }

  void on_segments_gone(std::vector<std::uint32_t> segments) override {
    asio::post(*remover, [this, segments = std::move(segments)] {
      loop.guard([&] {
        const auto done = files().remove_segments(segments, [this] { return stops.load(); });
        if (!done) queue->fail(done.error());
      });
    });
  }

  /// What was read as faulty may have been trimmed since its snapshot was taken.
  [[nodiscard]] Result<bool> trimmed(Slot slot);

  DataDirectory directory;
  net::Loop& loop;
  std::function<void(Error)> on_failure;
  std::vector<SectionTable> sections;
  std::uint64_t snapshot_free_bytes_min;
  std::optional<Identity> identity;
  History history;
  bool closed = false;     // Nothing is called any more.
  std::uint64_t commits;   // The last one that is durable.
  StoredNumbers durable;   // With it.
  StoredNumbers readable;  // Of that, what can be read from LMDB.

  SpaceMeter space;
  std::shared_ptr<CommitQueue> queue;
  std::shared_ptr<TableReader> reader;
  std::optional<asio::thread_pool> checkpointer;  // Not without threads.
  std::optional<asio::thread_pool> remover;       // Gives up files; not without threads.
  std::shared_ptr<SnapshotKeeper> snapshots;
  std::atomic<bool> stops = false;  // For the remover.
};

}  // namespace stele::log
