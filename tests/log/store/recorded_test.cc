// Directories as versions before this one have left them: tests/log/store/recorded. A change of the
// format adds one, and leaves those that are there:
//   build/release/tests/unit_tests -tc="record a directory" --no-skip
#include <doctest/doctest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "log/store/disk/disk_store.h"
#include "log/store/disk/snapshots.h"
#include "log/store/offline/verify.h"
#include "tests/log/store/store_benches.h"

namespace stele::log {
namespace {

using paxos::kN1;
using paxos::kN2;

const std::string kRecorded = std::string(STELE_SOURCE_DIR) + "/tests/log/store/recorded/format-" +
                              std::to_string(kFormatVersion);
constexpr std::uint64_t kSlots = 530;
constexpr std::uint64_t kSnapshotSlot = 300;
constexpr std::uint64_t kTrimmedBefore = 270;

std::string entry(std::uint64_t slot) {
  return "slot " + std::to_string(slot) + std::string(slot % 50 == 0 ? 3000 : 0, '.');
}

/// What stands in a slot: sessions, entries of two sizes, a policy, a hold, a snapshot, a trim.
std::vector<Slice> commands_of(std::uint64_t slot) {
  Command command;
  command.session = {1};
  command.sequence = {slot - (slot < kSnapshotSlot ? 1 : 2)};
  command.count = 1;
  command.acked = {command.sequence.value - 1};
  switch (slot) {
    case 1: return {open_command(1)};
    case 2:
      command.kind = CommandKind::set_retention;
      return {command_with(command, body_of(RetentionPolicy{1 << 30, 86'400'000'000}))};
    case 3:
      command.kind = CommandKind::set_hold;
      return {command_with(command, body_of(HoldCommand{"backup", {400}, 3'600'000'000}))};
    case kSnapshotSlot:
      command = {};
      command.kind = CommandKind::snapshot;
      command.count = 1;
      return {command_with(command, body_of(SnapshotCommand{}))};
    case kSlots: return {trim_command({1}, command.sequence, kTrimmedBefore)};
    default: return {append_command({1}, command.sequence, {entry(slot)}, command.acked)};
  }
}

/// All of it, and three votes that are not chosen; the last slots only in the journal.
void write_directory(const std::string& path) {
  auto files = StoreFiles::open(path, {.map_bytes = kTestMapBytes,
                                       .sections = kTestTables,
                                       .journal_bytes = 8 * kPageBytes,
                                       .small_bytes_max = 1000,
                                       .values = {.segment_bytes = 12'000}});
  REQUIRE(files);
  Snapshots snapshots(path, kTestTables, false);
  files->on_snapshot([&](Result<Lmdb::Txn> txn) {
    REQUIRE(snapshots.begin());
    REQUIRE(snapshots.take(*std::move(txn), [](std::uint64_t) { return true; }));
  });
  Transaction identity;
  identity.identity = Identity{"recorded", 9, kN2, 77, {{kN1, 5}, {kN2, 77}}, 2, 1};
  REQUIRE(files->commit(identity, true));
  LogState state;
  Lsn kept;  // Of the first run that stays.
  for (std::uint64_t slot = 1; slot <= kSlots; ++slot) {
    const paxos::Value value = batch_of(commands_of(slot), 1000, slot * 1000);
    const auto applied = state.apply({slot}, value).value();
    StateWrite write;
    if (applied.row.count != 0) write.index.push_back(applied.row);
    if (applied.run) write.runs.push_back(*applied.run);
    if (applied.run && applied.run->number == 1) kept = applied.run->next_lsn;
    write.snapshot = applied.snapshot;
    write.numbers = state.numbers();
    write.rows = state.take_changed();
    Transaction transaction;
    transaction.add({paxos::WriteAccepted{{{slot}, {1}, {3, kN1}, value}}});
    transaction.add(std::move(write));
    REQUIRE(files->commit(transaction, false));
  }
  Transaction trim;
  trim.add(TrimWrite{{kRunSlots}, kept, {kSnapshotSlot + 1}});
  REQUIRE(files->commit(trim, true));
  for (std::uint64_t slot = kSlots + 1; slot <= kSlots + 3; ++slot) {
    Transaction vote;
    vote.add({paxos::WriteAccepted{paxos::record(slot, {4, kN2}, "vote")}});
    REQUIRE(files->commit(vote, false));
  }
}

struct Bench {
  explicit Bench(const std::string& recorded) {
    std::filesystem::copy(recorded, directory.path(), std::filesystem::copy_options::recursive);
  }
  void open() {
    store.reset();
    auto opened =
        LmdbStore::open(*DataDirectory::open(directory.path()),
                        {.files = {.map_bytes = kTestMapBytes, .sections = kTestTables}}, loop, {});
    REQUIRE_MESSAGE(opened.has_value(), opened.error().detail);
    store = *std::move(opened);
  }
  EntriesRead read(Lsn begin) {
    std::optional<EntriesRead> read;
    store->read_entries(begin, {kSlots}, 1 << 20,
                        [&](EntriesRead found) { read = std::move(found); });
    REQUIRE(run_until(context, [&] { return read.has_value(); }));
    return *read;
  }

  TestDirectory directory;
  asio::io_context context{1};
  net::AsioLoop loop{context};
  std::unique_ptr<LmdbStore> store;
};

void check_sound(const std::string& path, std::uint64_t votes) {
  const auto report = verify_directory(path);
  REQUIRE_MESSAGE(report.has_value(), report.error().detail);
  for (const std::string& fault : report->faults) CHECK(fault == "");
  CHECK(report->identity.cluster_name == "recorded");
  CHECK(report->votes == votes);
  CHECK(report->holding.first_slot == Slot{kRunSlots});
  CHECK(report->rows == decltype(report->rows){{"sessions", 1}, {"retention", 1}});
  REQUIRE(report->snapshots.size() == 1);
  CHECK(report->snapshots[0].slot == Slot{kSnapshotSlot + 1});
}

}  // namespace

TEST_SUITE("log.recorded") {
  TEST_CASE("record a directory" * doctest::skip()) {
    TestDirectory directory;
    write_directory(directory.path());
    std::filesystem::remove(directory.sub("lock.mdb"));
    std::filesystem::create_directories(kRecorded);
    std::filesystem::copy(directory.path(), kRecorded, std::filesystem::copy_options::recursive);
  }

  // From here on what was written once stays readable.
  TEST_CASE("a directory of format 6 is verified, opened, read and written") {
    Bench bench(std::string(STELE_SOURCE_DIR) + "/tests/log/store/recorded/format-6");
    check_sound(bench.directory.path(), 3);
    bench.open();
    const auto content = bench.store->load();
    REQUIRE(content);
    const auto state = LogState::load(known_sections(), content->numbers, content->rows);
    REQUIRE(state);
    CHECK(state->check() == "");
    CHECK(state->numbers().chosen_end == Slot{kSlots + 1});
    CHECK(state->numbers().first_lsn == Lsn{kTrimmedBefore});
    CHECK(state->retention().policy() == RetentionPolicy{1 << 30, 86'400'000'000});
    CHECK(state->numbers().hash == 497694022263392689);
    CHECK(content->acceptor.promised == Ballot{4, kN2});
    for (Lsn lsn{kTrimmedBefore}; lsn < state->numbers().next_lsn;) {
      const EntriesRead found = bench.read(lsn);
      REQUIRE(found.lsn_begin == lsn);
      REQUIRE(found.count != 0);
      lsn = lsn + found.count;
    }
    CHECK(bench.store->snapshots().newest()->digest == 8918683700163888073);

    bool durable = false;
    bench.store->write_votes(
        {paxos::WriteAccepted{paxos::record(kSlots + 4, {5, kN2}, std::string(20'000, 'v'))}},
        [&] { durable = true; });
    REQUIRE(run_until(bench.context, [&] { return durable; }));
    bench.store.reset();
    check_sound(bench.directory.path(), 4);
  }
}

}  // namespace stele::log
