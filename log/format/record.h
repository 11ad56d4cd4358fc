// How records look on the disk, whatever the store: docs/storage-format.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "log/format/rows.h"
#include "paxos/base/identity.h"
#include "paxos/base/result.h"
#include "paxos/message.h"

namespace stele::log {

/// The format of a directory as a whole.
inline constexpr std::uint32_t kFormatVersion = 6;
/// The format of a slot's record.
inline constexpr std::uint16_t kSlotFormatVersion = 1;

/// What a directory is, and which node and cluster it belongs to. `members` is empty, and there are
/// no quorums, until the cluster is born.
struct Identity {
  std::string cluster_name;
  std::uint64_t cluster_id = 0;
  NodeId node;
  std::uint64_t incarnation = 0;
  std::vector<Member> members;  ///< In ascending order of their ids.
  std::uint8_t q1 = 0;          ///< 0 before birth.
  std::uint8_t q2 = 0;

  bool operator==(const Identity&) const = default;
};

/// Keys in the table `meta`.
inline constexpr std::uint64_t kIdentityKey = 1;
inline constexpr std::uint64_t kPromiseKey = 2;
inline constexpr std::uint64_t kJournalKey = 4;
inline constexpr std::uint64_t kHistoryKey = 5;

/// What a directory keeps of its own starts, and of what other nodes have told
/// (log/node/lineage.h).
struct History {
  std::uint64_t starts = 0;
  std::vector<Start> recent;    ///< Of this directory, the newest first.
  std::vector<Sighting> heard;  ///< Of the other nodes.
  /// Which start of this directory another node has kept, as it said itself.
  std::vector<std::pair<NodeId, std::uint64_t>> kept_by;
  Slot diverged_at;  ///< Not {}: the state differed from a majority's there.
  /// Not {}: others had another state there, and it was not known which is right.
  StatePoint disputed;
  bool gone_back = false;  ///< Others have shown that this is an older copy.

  bool operator==(const History&) const = default;
};

/// What an acceptor has promised.
struct Promised {
  Epoch epoch{1};
  Ballot ballot;
};

/// Where the bytes of a large value lie: log/store/files/value_log.h. Segment 0: nowhere there.
struct ValuePlace {
  std::uint32_t segment = 0;
  std::uint64_t offset = 0;

  auto operator<=>(const ValuePlace&) const = default;
};

/// Which journal belongs to the tables, the last of its records that they contain, and where the
/// value log went on after it.
struct JournalMark {
  std::uint64_t id = 0;
  std::uint64_t applied = 0;
  ValuePlace values_end;
  std::uint64_t commits = 0;  ///< As of Store::commits, up to that record.
};

/// Whether this program reads the format of the directory with that identity. Errors: newer_format,
/// also if it is an older one; corrupt.
[[nodiscard]] Result<void> check_format(std::span<const std::byte> sealed_identity);
[[nodiscard]] std::vector<std::byte> seal_identity(const Identity& identity);
[[nodiscard]] Result<Identity> unseal_identity(std::span<const std::byte> sealed);
[[nodiscard]] std::vector<std::byte> seal_promised(const Promised& promised);
[[nodiscard]] Result<Promised> unseal_promised(std::span<const std::byte> sealed);
[[nodiscard]] std::vector<std::byte> seal_journal_mark(const JournalMark& mark);
[[nodiscard]] Result<JournalMark> unseal_journal_mark(std::span<const std::byte> sealed);
[[nodiscard]] std::vector<std::byte> seal_history(const History& history);
[[nodiscard]] Result<History> unseal_history(std::span<const std::byte> sealed);

/// A slot's record is a header of kSlotHeaderBytes and the value's bytes, or the header alone if
/// they lie in the value log. The value's digest stands in the header, and the header's checksum
/// covers the digest, the slot and the place.
void write_slot_header(const paxos::SlotRecord& record,
                       std::span<std::byte, kSlotHeaderBytes> target, ValuePlace place = {});

/// A slot's record without the bytes of its value.
struct SlotHeader {
  paxos::SlotRecord record;  ///< Without its value.
  paxos::ValueKind kind{};
  std::uint64_t value_bytes = 0;
  std::uint64_t digest = 0;
  ValuePlace place;
};
/// Reads the header of a record. Errors: corrupt, naming the slot; newer_format.
[[nodiscard]] Result<SlotHeader> read_slot_header(Slot slot, std::span<const std::byte> bytes);
/// The record with its value. Errors: corrupt, naming the slot, if the value is not the one that
/// the header speaks of.
[[nodiscard]] Result<paxos::SlotRecord> with_value(SlotHeader header, Slice value);
}  // namespace stele::log
