// A small file beside LMDB: a commit that is written here and synced once is durable (ADR 6).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "paxos/result.h"

namespace stele::log {

/// Numbered records one behind the other, in a file that is zeroed ahead and used again from its
/// beginning. Move-only; one thread. docs/storage-format.md has the layout.
class Journal {
 public:
  /// Makes a file with room for `bytes` bytes, durably, in place of any other. Errors: io.
  static Result<Journal> create(const std::string& path, std::uint64_t id, std::uint64_t bytes);
  /// Errors: io; corrupt (it is not the one with this id, or its head is damaged).
  static Result<Journal> open(const std::string& path, std::uint64_t id);
  ~Journal();
  Journal(Journal&& other) noexcept;
  Journal& operator=(Journal&& other) noexcept;

  /// The contents of the records behind number `applied`, in order. The last one may have been torn
  /// by a crash before it was durable: then it is not there. Any other that is missing or damaged
  /// was durable once. Errors: corrupt; io.
  [[nodiscard]] Result<std::vector<std::vector<std::byte>>> read(std::uint64_t applied) const;

  /// Whether a record with so much content has room behind the last one.
  [[nodiscard]] bool fits(std::size_t bytes) const;
  /// Requires fits(content.size()) and the number after the last one. Durable when it returns.
  /// Errors are final.
  Result<void> append(std::uint64_t number, std::span<const std::byte> content);
  /// The records so far are needed no more: the next one takes the place of the first.
  void restart() { at_ = kPage; }
  /// Of the file, in bytes.
  [[nodiscard]] std::uint64_t size() const { return size_; }

  /// Records begin at a page's begin, so that no write touches an earlier record.
  static constexpr std::size_t kPage = 4096;

 private:
  Journal(int file, std::uint64_t id, std::uint64_t size) : file_(file), id_(id), size_(size) {}

  int file_ = -1;
  std::uint64_t id_ = 0;
  std::uint64_t size_ = 0;
  std::uint64_t at_ = kPage;
};

}  // namespace stele::log
