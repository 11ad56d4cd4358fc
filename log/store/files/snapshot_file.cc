#include "log/store/files/snapshot_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <utility>

#include "log/store/files/direct_file.h"
#include "log/store/files/table_reads.h"
#include "paxos/base/check.h"

namespace stele::log {
namespace {

constexpr const char* kUnfinishedName = "/unfinished";
constexpr const char* kReceivedName = "/received";
constexpr std::size_t kUnsyncedBytesMax = 1 << 20;

tl::unexpected<Error> system_error(const std::string& doing, const std::string& path) {
  const int code = errno;
  const bool full = code == ENOSPC || code == EDQUOT;
  return fail(full ? Errc::no_space : Errc::io,
              "cannot " + doing + " " + path + ": " + std::strerror(code));
}

Result<std::vector<std::byte>> read_at(const Descriptor& file, std::uint64_t at, std::size_t count,
                                       const std::string& path) {
  std::vector<std::byte> bytes(count);
  std::size_t done = 0;
  while (done < count) {
    const ssize_t got =
        ::pread(file.get(), bytes.data() + done, count - done, static_cast<off_t>(at + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return system_error("read", path);
    if (got == 0) return fail(Errc::corrupt, path + " is cut off");
    done += static_cast<std::size_t>(got);
  }
  return bytes;
}

Result<void> write_at(const Descriptor& file, std::uint64_t at, std::span<const std::byte> bytes,
                      const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t wrote = ::pwrite(file.get(), bytes.data(), bytes.size(), static_cast<off_t>(at));
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return system_error("write", path);
    bytes = bytes.subspan(static_cast<std::size_t>(wrote));
    at += static_cast<std::uint64_t>(wrote);
  }
  return {};
}

Result<void> make_directory(const std::string& directory) {
  std::error_code error;
  const bool made = std::filesystem::create_directory(snapshots_directory(directory), error);
  if (error) return fail(Errc::io, "cannot make " + snapshots_directory(directory));
  return made ? sync_directory(directory) : Result<void>{};
}

/// All of it is on the disk before it has its name.
Result<SnapshotInfo> put_in_place(const std::string& directory, const char* name,
                                  const Descriptor& file, Slot slot) {
  const std::string from = snapshots_directory(directory) + name;
  const std::string path = snapshot_path(directory, slot);
  if (::fdatasync(file.get()) != 0) return system_error("sync", from);
  if (::rename(from.c_str(), path.c_str()) != 0) return system_error("rename", from);
  auto placed = [&]() -> Result<SnapshotInfo> {
    if (auto done = sync_directory(snapshots_directory(directory)); !done) return forward(done);
    const auto opened = SnapshotFile::open(path);
    if (!opened) return forward(opened);
    return opened->info();
  }();
  std::error_code none;
  if (!placed) std::filesystem::remove(path, none);  // Nobody knows of it.
  return placed;
}

/// The kept runs: from the one on in which the first entry lies that is not trimmed. All nodes have
/// these, whatever else they still have.
Result<void> pack_runs(Lmdb::Txn& txn, Lsn first_lsn, Slot chosen_end, SnapshotPacker& packer) {
  const auto first =
      find_run(txn, [first_lsn](const RunRow& row) { return row.next_lsn <= first_lsn; });
  if (!first) return forward(first);
  Lmdb::Cursor cursor(txn, Table::runs);
  for (bool found = cursor.seek(*first ? (*first)->number : 0); found; found = cursor.next()) {
    const auto row = unseal_run_row(cursor.key(), cursor.value());
    if (!row) return forward(row);
    if (row->number > run_of(chosen_end)) break;  // Of a snapshot that was not installed.
    if (auto done = packer.add(*row); !done) return done;
  }
  return cursor.status();
}

Result<void> pack_section(Lmdb::Txn& txn, Table table, std::uint32_t generation,
                          SnapshotPacker& packer) {
  Lmdb::Cursor cursor(txn, table);
  const std::vector<std::byte> begin = stored_key(generation, std::vector{std::byte{0}});
  for (bool found = cursor.seek(begin); found; found = cursor.next()) {
    const auto key = parse_stored_key(table, cursor.key_bytes());
    if (!key) return forward(key);
    if (key->generation != generation) break;
    const auto content = unseal(table, cursor.key_bytes(), cursor.value());
    if (!content) return forward(content);
    if (auto done = packer.add(table, key->key, *content); !done) return done;
  }
  return cursor.status();
}

}  // namespace

std::string snapshots_directory(const std::string& directory) { return directory + "/snapshots"; }

std::string snapshot_path(const std::string& directory, Slot slot) {
  return snapshots_directory(directory) + "/" + std::to_string(slot.value);
}

std::vector<Slot> list_snapshots(const std::string& directory) {
  std::vector<Slot> slots;
  std::error_code error;
  for (std::filesystem::directory_iterator at(snapshots_directory(directory), error), no_more;
       !error && at != no_more; at.increment(error)) {
    const std::string name = at->path().filename().string();
    std::uint64_t slot = 0;
    const auto [rest, fault] = std::from_chars(name.data(), name.data() + name.size(), slot);
    if (fault == std::errc() && rest == name.data() + name.size()) slots.push_back({slot});
  }
  std::ranges::sort(slots);
  return slots;
}

Descriptor::~Descriptor() {
  if (file_ >= 0) ::close(file_);
}

Descriptor::Descriptor(Descriptor&& other) noexcept : file_(std::exchange(other.file_, -1)) {}

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
  std::swap(file_, other.file_);
  return *this;
}

// --- Writing ---------------------------------------------------------------------------

Result<SnapshotWriter> SnapshotWriter::create(const std::string& directory,
                                              const SnapshotHead& head) {
  if (auto made = make_directory(directory); !made) return forward(made);
  const std::string path = snapshots_directory(directory) + kUnfinishedName;
  Descriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640));
  if (file.get() < 0) return system_error("make", path);
  SnapshotWriter writer(directory, std::move(file), head);
  if (auto done = writer.write(encode_head(head)); !done) return forward(done);
  return writer;
}

SnapshotWriter::~SnapshotWriter() {
  if (!directory_.empty()) remove_unfinished(directory_);
}

void SnapshotWriter::remove_unfinished(const std::string& directory) {
  std::error_code none;
  std::filesystem::remove(snapshots_directory(directory) + kUnfinishedName, none);
}

SnapshotWriter::SnapshotWriter(SnapshotWriter&& other) noexcept
    : directory_(std::exchange(other.directory_, {})),
      file_(std::move(other.file_)),
      manifest_(std::move(other.manifest_)) {}

Result<void> SnapshotWriter::write(std::span<const std::byte> bytes) {
  const std::string path = snapshots_directory(directory_) + kUnfinishedName;
  while (!bytes.empty()) {
    const ssize_t wrote = ::write(file_.get(), bytes.data(), bytes.size());
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return system_error("write", path);
    bytes = bytes.subspan(static_cast<std::size_t>(wrote));
    unsynced_bytes_ += static_cast<std::size_t>(wrote);
  }
  return unsynced_bytes_ >= kUnsyncedBytesMax ? sync() : Result<void>{};
}

Result<void> SnapshotWriter::sync() {
  unsynced_bytes_ = 0;
  if (::fdatasync(file_.get()) == 0) return {};
  return system_error("sync", snapshots_directory(directory_) + kUnfinishedName);
}

Result<void> SnapshotWriter::add(std::span<const std::byte> piece) {
  manifest_.pieces.push_back({piece.size(), piece_digest(piece, manifest_.pieces.size())});
  return write(piece);
}

Result<SnapshotInfo> SnapshotWriter::finish() {
  if (auto done = write(encode_tail(manifest_)); !done) return forward(done);
  auto placed = put_in_place(directory_, kUnfinishedName, file_, manifest_.head.slot);
  if (placed) directory_.clear();
  return placed;
}

// --- Receiving -------------------------------------------------------------------------

// Head and tail are written first, in their places: they say what the pieces must be.
Result<SnapshotReceiver> SnapshotReceiver::begin(const std::string& directory,
                                                 SnapshotManifest manifest) {
  if (auto made = make_directory(directory); !made) return forward(made);
  const std::string path = snapshots_directory(directory) + kReceivedName;
  if (const auto known = SnapshotFile::open(path); known && known->manifest() == manifest) {
    Descriptor file(::open(path.c_str(), O_RDWR | O_CLOEXEC));
    if (file.get() < 0) return system_error("open", path);
    SnapshotReceiver receiver(directory, std::move(file), std::move(manifest));
    receiver.count_pieces();
    return receiver;
  }
  Descriptor file(::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0640));
  if (file.get() < 0) return system_error("make", path);
  const std::uint64_t tail_at = SnapshotHead::kBytes + manifest.content_bytes();
  auto done = write_at(file, 0, encode_head(manifest.head), path);
  if (done) done = write_at(file, tail_at, encode_tail(manifest), path);
  if (!done) return forward(done);
  if (::fdatasync(file.get()) != 0) return system_error("sync", path);
  return SnapshotReceiver(directory, std::move(file), std::move(manifest));
}

/// One that is not what it should be did not reach the disk.
void SnapshotReceiver::count_pieces() {
  const std::string path = snapshots_directory(directory_) + kReceivedName;
  while (!complete()) {
    const SnapshotPiece& piece = manifest_.pieces[pieces_];
    const auto bytes = read_at(file_, offset_, piece.bytes, path);
    if (!bytes || piece_digest(*bytes, pieces_) != piece.digest) return;
    ++pieces_;
    offset_ += piece.bytes;
  }
}

Result<void> SnapshotReceiver::add(std::span<const std::byte> piece) {
  STELE_CHECK(!complete());
  const SnapshotPiece& expected = manifest_.pieces[pieces_];
  if (piece.size() != expected.bytes || piece_digest(piece, pieces_) != expected.digest) {
    return fail(Errc::corrupt, "piece " + std::to_string(pieces_) + " of the snapshot at slot " +
                                   std::to_string(manifest_.head.slot.value) +
                                   " is not what it should be");
  }
  auto done = write_at(file_, offset_, piece, snapshots_directory(directory_) + kReceivedName);
  if (!done) return done;
  ++pieces_;
  offset_ += piece.size();
  unsynced_bytes_ += piece.size();
  if (unsynced_bytes_ < kUnsyncedBytesMax) return {};
  unsynced_bytes_ = 0;
  if (::fdatasync(file_.get()) == 0) return {};
  return system_error("sync", snapshots_directory(directory_) + kReceivedName);
}

Result<SnapshotInfo> SnapshotReceiver::finish() {
  STELE_CHECK(complete());
  return put_in_place(directory_, kReceivedName, file_, manifest_.head.slot);
}

void SnapshotReceiver::remove(const std::string& directory) {
  std::error_code none;
  std::filesystem::remove(snapshots_directory(directory) + kReceivedName, none);
}

std::optional<SnapshotInfo> received_snapshot(const std::string& directory) {
  const auto file = SnapshotFile::open(snapshots_directory(directory) + kReceivedName);
  return file ? std::optional(file->info()) : std::nullopt;
}

// --- Reading ---------------------------------------------------------------------------

Result<SnapshotFile> SnapshotFile::open(const std::string& path) {
  SnapshotFile opened(path, Descriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC)));
  const Descriptor& file = opened.file_;
  struct stat status {};
  if (file.get() < 0 || ::fstat(file.get(), &status) != 0) return system_error("open", path);
  const auto size = static_cast<std::uint64_t>(status.st_size);
  if (size < SnapshotHead::kBytes + kSnapshotTailEndBytes) {
    return fail(Errc::corrupt, path + " is cut off");
  }
  const auto head_bytes = read_at(file, 0, SnapshotHead::kBytes, path);
  if (!head_bytes) return forward(head_bytes);
  const auto head = parse_head(*head_bytes, path);
  if (!head) return forward(head);
  const auto end = read_at(file, size - kSnapshotTailEndBytes, kSnapshotTailEndBytes, path);
  if (!end) return forward(end);
  const auto bytes = tail_bytes(*end, path);
  if (!bytes) return forward(bytes);
  if (*bytes > size - SnapshotHead::kBytes) return fail(Errc::corrupt, path + " is cut off");
  const auto tail = read_at(file, size - *bytes, *bytes, path);
  if (!tail) return forward(tail);
  auto manifest = parse_tail(*head, *tail, path);
  if (!manifest) return forward(manifest);
  if (SnapshotHead::kBytes + manifest->content_bytes() + *bytes != size) {
    return fail(Errc::corrupt, path + " is longer or shorter than its pieces");
  }
  opened.manifest_ = *std::move(manifest);
  std::uint64_t offset = SnapshotHead::kBytes;
  for (const SnapshotPiece& piece : opened.manifest_.pieces) {
    opened.offsets_.push_back(std::exchange(offset, offset + piece.bytes));
  }
  opened.info_ = {opened.manifest_.head.slot, opened.manifest_.digest(), size,
                  static_cast<std::uint64_t>(status.st_mtim.tv_sec) * 1000000 +
                      static_cast<std::uint64_t>(status.st_mtim.tv_nsec) / 1000};
  return opened;
}

Result<std::vector<std::byte>> SnapshotFile::read(std::size_t number) const {
  const SnapshotPiece& piece = manifest_.pieces.at(number);
  auto bytes = read_at(file_, offsets_.at(number), piece.bytes, path_);
  if (bytes && piece_digest(*bytes, number) != piece.digest) {
    return fail(Errc::corrupt,
                path_ + " is damaged: piece " + std::to_string(number) + " is another one");
  }
  return bytes;
}

Result<void> SnapshotFile::for_each_row(const std::function<Result<void>(Row&&)>& each) const {
  bool first = true;
  for (std::size_t number = 0; number < manifest_.pieces.size(); ++number) {
    const auto piece = read(number);
    if (!piece) return forward(piece);
    std::span<const std::byte> rest = *piece;
    while (!rest.empty()) {
      auto row = take_row(rest);
      if (!row) return forward(row);
      if (first) {
        const auto numbers = numbers_of(*row);
        if (!numbers) return forward(numbers);
        if (numbers->chosen_end != manifest_.head.slot) {
          return fail(Errc::corrupt, path_ + " holds the state of another slot");
        }
      }
      first = false;
      if (auto done = each(*std::move(row)); !done) return done;
    }
  }
  if (first) return fail(Errc::corrupt, path_ + " is empty");
  return {};
}

Result<void> pack_state(Lmdb::Txn& txn, const std::vector<SectionTable>& sections,
                        SnapshotPacker& packer) {
  const auto numbers = get_numbers(txn);
  if (!numbers) return forward(numbers);
  if (auto done = packer.add(numbers->state); !done) return done;
  if (auto done = pack_runs(txn, numbers->state.first_lsn, numbers->state.chosen_end, packer);
      !done)
    return done;
  std::vector<Table> tables;
  tables.reserve(sections.size());
  for (const SectionTable& section : sections) tables.push_back(section.table);
  std::ranges::sort(tables);
  for (const Table table : tables) {
    auto done = pack_section(txn, table, numbers->holding.generation, packer);
    if (!done) return done;
  }
  return packer.finish();
}

}  // namespace stele::log
