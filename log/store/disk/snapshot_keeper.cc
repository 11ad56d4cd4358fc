#include "log/store/disk/snapshot_keeper.h"

#include "log/store/files/snapshot_install.h"

namespace stele::log {
namespace {

tl::unexpected<Error> no_room() {
  return fail(Errc::no_space, "there is no room for another node's snapshot");
}

}  // namespace

SnapshotKeeper::SnapshotKeeper(const std::string& directory,
                               const std::vector<SectionTable>& sections, bool paced, Slot stays,
                               Lmdb& lmdb, net::Loop& loop, HasRoom has_room,
                               std::function<void(Error)> on_failure)
    : snapshots_(directory, sections, paced, stays),
      lmdb_(lmdb),
      loop_(loop),
      has_room_(std::move(has_room)),
      on_failure_(std::move(on_failure)) {
  report_.kept = snapshots_.kept();
  if (snapshots_.why_removed().empty()) return;
  report_.given_up = 1;
  report_.why_given_up = snapshots_.why_removed();
}

void SnapshotKeeper::stop() {
  stopped_ = true;
  snapshots_.stop();
  thread_.reset();
  reads_.reset();
}

void SnapshotKeeper::take(Result<Lmdb::Txn> txn) {
  if (!snapshots_.begin()) {
    return loop_.post([self = shared_from_this()] {
      ++self->report_.given_up;
      self->report_.why_given_up = "the one before is still being written";
    });
  }
  // It keeps LMDB from using pages again, and must be gone before LMDB is.
  const auto shared = std::make_shared<Result<Lmdb::Txn>>(std::move(txn));
  run(
      thread_,
      [this, shared] {
        Result<Lmdb::Txn> seen = std::exchange(*shared, fail(Errc::io, "it was taken"));
        auto taken =
            seen ? snapshots_.take(*std::move(seen), has_room_) : snapshots_.give_up(seen.error());
        return std::pair(std::move(taken), snapshots_.kept());
      },
      [this](const auto& taken) { tell(taken.first, taken.second); });
}

void SnapshotKeeper::tell(const Result<SnapshotInfo>& taken,
                          const std::vector<SnapshotInfo>& kept) {
  report_.kept = kept;
  if (taken) {
    ++report_.taken;
    report_.in_a_row = 0;
    report_.why_given_up.clear();
  } else {
    ++report_.given_up;
    ++report_.in_a_row;
    report_.why_given_up = taken.error().detail;
  }
}

void SnapshotKeeper::read(Slot slot, std::uint64_t digest, std::size_t part,
                          std::function<void(std::vector<std::byte>)> done) {
  run(
      reads_, [this, slot, digest, part] { return snapshots_.read(slot, digest, part); },
      std::move(done));
}

void SnapshotKeeper::begin_fetch(SnapshotManifest manifest,
                                 std::function<void(Result<std::size_t>)> done) {
  run(
      thread_,
      [this, manifest = std::move(manifest)] {
        // It is written to a file first, and to the tables then.
        const std::uint64_t bytes = manifest.content_bytes();
        auto pieces = has_room_(snapshots_.has_begun(manifest) ? 0 : 2 * bytes)
                          ? snapshots_.begin_fetch(manifest)
                          : Result<std::size_t>(no_room());
        return std::pair(std::move(pieces), snapshots_.kept());
      },
      [this, done = std::move(done)](const auto& there) {
        report_.kept = there.second;
        done(there.first);
      });
}

void SnapshotKeeper::add_piece(std::vector<std::byte> piece,
                               std::function<void(Result<void>)> done) {
  run(
      thread_,
      [this, piece = std::move(piece)] {
        auto added =
            has_room_(piece.size()) ? snapshots_.add_piece(piece) : Result<void>(no_room());
        return std::pair(std::move(added), snapshots_.kept());
      },
      [this, done = std::move(done)](const auto& added) {
        report_.kept = added.second;
        done(added.first);
      });
}

void SnapshotKeeper::stage(Slot slot, CheckState check,
                           std::function<void(Result<InstallWrite>)> done) {
  run(
      thread_,
      [this, slot] {
        auto staged = stage_now(slot);
        // What was staged of it is of no use; and what is damaged would be so the next time, too.
        if (!staged) static_cast<void>(erase_rows());
        if (!staged && staged.error().code == Errc::corrupt) snapshots_.remove(slot);
        return std::pair(std::move(staged), snapshots_.kept());
      },
      [this, check = std::move(check), done = std::move(done)](const auto& result) {
        report_.kept = result.second;
        const Result<StagedState>& staged = result.first;
        if (!staged) return done(forward(staged));
        const auto sound = check(staged->install.numbers, staged->rows);
        if (sound) return done(staged->install);
        erase_what_is_replaced();
        done(forward(sound));
      });
}

Result<StagedState> SnapshotKeeper::stage_now(Slot slot) {
  const auto file = snapshots_.open(slot);
  if (!file) return forward(file);
  if (file->info().slot != slot) return fail(Errc::corrupt, "the snapshot is that of another slot");
  return stage_rows(lmdb_, snapshots_.sections(), *file,
                    [this] { return !snapshots_.stopping() && has_room_(0); });
}

Result<void> SnapshotKeeper::erase_rows() {
  return erase_other_generations(lmdb_, snapshots_.sections(),
                                 [this] { return !snapshots_.stopping(); });
}

void SnapshotKeeper::erase_what_is_replaced() {
  run(
      thread_, [this] { return erase_rows(); },
      [this](const Result<void>& done) {
        const bool later = !done && (done.error().code == Errc::no_space ||
                                     done.error().code == Errc::shutting_down);
        if (!done && !later) on_failure_(done.error());
      });
}

}  // namespace stele::log
