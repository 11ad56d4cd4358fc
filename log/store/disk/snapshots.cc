#include "log/store/disk/snapshots.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <utility>

#include "log/store/files/table_reads.h"

namespace stele::log {

Snapshots::Snapshots(std::string directory, std::vector<SectionTable> sections, bool paced,
                     Slot stays)
    : directory_(std::move(directory)),
      sections_(std::move(sections)),
      paced_(paced),
      stay_{stays} {
  std::error_code none;
  SnapshotWriter::remove_unfinished(directory_);
  for (const Slot slot : list_snapshots(directory_)) {
    const std::string path = snapshot_path(directory_, slot);
    const auto file = SnapshotFile::open(path);
    if (file && file->info().slot == slot) {
      kept_.push_back(file->info());
      continue;
    }
    // What can only not be read just now may be read the next time.
    if (!file && file.error().code != Errc::corrupt) continue;
    why_removed_ = file ? path + " is that of another slot" : file.error().detail;
    std::filesystem::remove(path, none);
  }
  keep_last();
}

Result<SnapshotInfo> Snapshots::take(Lmdb::Txn txn, const HasRoom& has_room) {
  auto taken = write(txn, has_room);
  if (taken) {
    // What is being fetched and is no newer is for nothing any more.
    if (received_ && received_->slot() <= taken->slot) received_.reset();
    keep(*taken);
  }
  taking_ = false;
  return taken;
}

Result<SnapshotInfo> Snapshots::give_up(const Error& why) {
  taking_ = false;
  return tl::unexpected(why);
}

Result<SnapshotInfo> Snapshots::write(Lmdb::Txn& txn, const HasRoom& has_room) {
  const auto numbers = get_numbers(txn);
  if (!numbers) return forward(numbers);
  const auto found = get_identity(txn);
  if (!found) return forward(found);
  if (!*found) return fail(Errc::corrupt, "the directory has no identity");
  if (!has_room(0)) return fail(Errc::no_space, "there is no room for a snapshot");
  auto writer =
      SnapshotWriter::create(directory_, {(*found)->cluster_id, numbers->state.chosen_end});
  if (!writer) return forward(writer);
  SnapshotPacker packer([&](std::span<const std::byte> piece) -> Result<void> {
    const auto begin = std::chrono::steady_clock::now();
    if (!has_room(piece.size())) return fail(Errc::no_space, "there is no room for a snapshot");
    if (auto done = writer->add(piece); !done) return done;
    const Duration took = std::chrono::steady_clock::now() - begin;
    if (!paced_ || pause((kShare - 1) * took)) return {};
    return fail(Errc::shutting_down, "the node stops");
  });
  if (auto done = pack_state(txn, sections_, packer); !done) return forward(done);
  return writer->finish();
}

bool Snapshots::pause(Duration duration) {
  std::unique_lock lock(mutex_);
  return !stops_.wait_for(lock, duration, [this] { return stopping_; });
}

void Snapshots::stop() {
  const std::lock_guard lock(mutex_);
  stopping_ = true;
  stops_.notify_all();
}

bool Snapshots::stopping() {
  const std::lock_guard lock(mutex_);
  return stopping_;
}

bool Snapshots::has_begun(const SnapshotManifest& manifest) const {
  std::vector<SnapshotInfo> there = kept();
  if (const auto received = received_snapshot(directory_)) there.push_back(*received);
  return std::ranges::any_of(there, [&](const SnapshotInfo& one) {
    return one.slot == manifest.head.slot && one.digest == manifest.digest();
  });
}

Result<std::size_t> Snapshots::begin_fetch(SnapshotManifest manifest) {
  received_.reset();
  for (const SnapshotInfo& kept : this->kept()) {
    if (kept.slot == manifest.head.slot && kept.digest == manifest.digest()) {
      return manifest.pieces.size();
    }
  }
  auto receiver = SnapshotReceiver::begin(directory_, std::move(manifest));
  if (!receiver) return forward(receiver);
  const std::size_t pieces = receiver->pieces();
  received_.emplace(*std::move(receiver));
  keep_last();  // It counts, too.
  if (!received_->complete()) return pieces;
  // All that was left to be done was to give it its name.
  if (auto done = finish_fetch(); !done) return forward(done);
  return pieces;
}

Result<void> Snapshots::add_piece(std::span<const std::byte> piece) {
  if (!received_ || received_->complete()) return fail(Errc::io, "no piece was asked for");
  if (auto done = received_->add(piece); !done) return done;
  return received_->complete() ? finish_fetch() : Result<void>{};
}

Result<void> Snapshots::finish_fetch() {
  const auto placed = std::exchange(received_, std::nullopt)->finish();
  if (!placed) return forward(placed);
  keep(*placed);
  return {};
}

std::vector<std::byte> Snapshots::read(Slot slot, std::uint64_t digest, std::size_t part) {
  const std::shared_ptr<const SnapshotFile> file = open_to_read(slot);
  if (file == nullptr || file->info().slot != slot || file->info().digest != digest) return {};
  const SnapshotManifest& manifest = file->manifest();
  if (part == 0) {
    std::vector<std::byte> bytes = encode_head(manifest.head);
    const std::vector<std::byte> tail = encode_tail(manifest);
    bytes.insert(bytes.end(), tail.begin(), tail.end());
    return bytes;
  }
  if (part > manifest.pieces.size()) return {};
  return file->read(part - 1).value_or(std::vector<std::byte>());
}

/// The one that was read last stays open as long as it is kept.
std::shared_ptr<const SnapshotFile> Snapshots::open_to_read(Slot slot) {
  {
    const std::lock_guard lock(mutex_);
    if (read_last_ != nullptr && read_last_->info().slot == slot) return read_last_;
  }
  auto opened = open(slot);
  if (!opened) return nullptr;
  auto file = std::make_shared<const SnapshotFile>(*std::move(opened));
  const std::lock_guard lock(mutex_);
  const bool kept = std::ranges::find(kept_, slot, &SnapshotInfo::slot) != kept_.end();
  if (kept) read_last_ = file;
  return file;
}

std::vector<SnapshotInfo> Snapshots::kept() const {
  const std::lock_guard lock(mutex_);
  return kept_;
}

bool Snapshots::set_kept(const std::set<Slot>& slots) {
  const std::lock_guard lock(mutex_);
  const bool there = std::ranges::all_of(slots, [this](Slot slot) {
    return std::ranges::find(kept_, slot, &SnapshotInfo::slot) != kept_.end();
  });
  if (there) stay_ = slots;
  return there;
}

void Snapshots::keep(const SnapshotInfo& added) {
  {
    const std::lock_guard lock(mutex_);
    forget(added.slot);
    kept_.push_back(added);
    std::ranges::sort(kept_, {}, &SnapshotInfo::slot);
  }
  keep_last();
}

void Snapshots::remove(Slot slot) {
  {
    const std::lock_guard lock(mutex_);
    forget(slot);
  }
  std::error_code none;
  std::filesystem::remove(snapshot_path(directory_, slot), none);
  keep_last();
}

/// With mutex_ held. Its file is not read any more, either.
void Snapshots::forget(Slot slot) {
  std::erase_if(kept_, [&](const SnapshotInfo& one) { return one.slot == slot; });
  if (read_last_ != nullptr && read_last_->info().slot == slot) read_last_.reset();
}

/// The oldest ones that need not stay are forgotten.
std::vector<Slot> Snapshots::forget_old() {
  const std::lock_guard lock(mutex_);
  std::vector<Slot> gone;
  for (std::size_t newer = kept_.size(); newer > kKept; --newer) {
    const auto goes = std::ranges::find_if(
        kept_, [this](const SnapshotInfo& one) { return !stay_.contains(one.slot); });
    if (goes == kept_.end() || kept_.end() - goes <= std::ptrdiff_t{kKept}) break;
    gone.push_back(goes->slot);
    forget(gone.back());
  }
  return gone;
}

/// The loop takes the mutex, so files are given up without it.
void Snapshots::keep_last() {
  std::error_code none;
  for (const Slot slot : forget_old()) {
    std::filesystem::remove(snapshot_path(directory_, slot), none);
  }
  const std::vector<SnapshotInfo> kept = this->kept();
  std::uint64_t bytes = 0;
  for (const SnapshotInfo& one : kept) bytes += one.bytes;
  // Another node's that is no newer than the own ones is for nothing any more.
  const auto received = received_snapshot(directory_);
  const bool old = received && !kept.empty() && received->slot <= kept.back().slot;
  if (old && !received_) SnapshotReceiver::remove(directory_);
  if (received && !old) bytes += received->bytes;
  bytes_ = bytes;
}

}  // namespace stele::log
