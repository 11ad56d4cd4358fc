// A small file beside LMDB: a transaction that is written here and synced once is durable (ADR 6).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "log/store/files/direct_file.h"
#include "log/store/files/journal_record.h"
#include "paxos/base/result.h"

namespace stele::log {

/// Numbered records one after the other, in the halves of a file that is zeroed ahead, in turn:
/// one half is written while LMDB takes over what the other holds. Move-only; one thread.
class Journal {
 public:
  /// Makes a file with room for `bytes` bytes in all, durably, in place of any other. Errors: io,
  /// no_space.
  static Result<Journal> create(const std::string& path, std::uint64_t id, std::uint64_t bytes);
  /// Opens that file. Errors: io; newer_format; corrupt (it is not the one with this id, or its
  /// head is damaged).
  static Result<Journal> open(const std::string& path, std::uint64_t id);

  /// Whether a record with so much redo has room after the last one, in the same half.
  [[nodiscard]] bool fits(std::size_t redo_bytes) const;
  /// Requires fits(redo.size()). Durable when it returns, or with `apart`. Errors are final.
  Result<void> append(RecordNumber number, std::span<const std::byte> redo,
                      FileSync* apart = nullptr);
  /// The next record is the first one of the other half; what that holds is needed no more.
  void turn();
  /// Bytes of the file.
  [[nodiscard]] std::uint64_t size() const { return size_; }

 private:
  Journal(DirectFile file, std::uint64_t id, std::uint64_t size)
      : file_(std::move(file)), id_(id), size_(size), end_(middle()) {}
  [[nodiscard]] std::uint64_t middle() const {
    return kPageBytes + (size_ / kPageBytes - 1) / 2 * kPageBytes;
  }

  DirectFile file_;
  std::uint64_t id_ = 0;
  std::uint64_t size_ = 0;
  std::uint64_t at_ = kPageBytes;
  std::uint64_t end_ = 0;  // Of the half that is written.
};

/// The id that a journal names itself; nothing if `file` is none.
[[nodiscard]] std::optional<std::uint64_t> journal_id(std::span<const std::byte> file);
/// Checks the head of a journal. Errors: newer_format; corrupt, if `file` is not a journal with
/// this id.
[[nodiscard]] Result<void> check_journal(std::span<const std::byte> file, const std::string& path,
                                         std::uint64_t id);

}  // namespace stele::log
