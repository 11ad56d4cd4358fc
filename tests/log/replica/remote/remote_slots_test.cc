#include "log/replica/remote/remote_slots.h"

#include <doctest/doctest.h>

#include <string>
#include <utility>
#include <vector>

#include "net/wire/digest.h"
#include "tests/support/commands.h"

namespace stele::log {
namespace {

using paxos::kN2;
using paxos::kN3;
using std::chrono::milliseconds;

/// Counts what is told.
struct Told final : Events {
  void event(EventLevel, std::string_view name, std::initializer_list<EventField>) override {
    if (name == "peer_serves_other_slots") ++other_slots;
  }
  int other_slots = 0;
};

/// The first slots of run 1, as they were chosen.
std::vector<paxos::SlotRecord> chosen() {
  std::vector<paxos::SlotRecord> records;
  for (std::uint64_t slot = 256; slot < 260; ++slot) {
    records.push_back(paxos::record(slot, {1, kN2}, "value " + std::to_string(slot)));
  }
  return records;
}

std::vector<SlotSummary> summaries() {
  std::vector<SlotSummary> slots;
  for (const paxos::SlotRecord& record : chosen()) {
    slots.push_back({{{record.slot.value}, record.slot, 1, {}},
                     static_cast<std::uint8_t>(record.value.kind()),
                     record.value.size(),
                     record.value.digest()});
  }
  return slots;
}

paxos::RunSlots answer(const std::vector<SlotSummary>& slots) {
  const Slice bytes = to_slice(encode_run_list(slots));
  return {1, {260}, {paxos::ValueKind::batch, {bytes}, net::value_digest(bytes.bytes)}};
}

struct Bench {
  void ask_for_run() {
    remote.run(now, 1, {260}, digest_of(summaries()), [this](RemoteSlots::Known found) {
      known = std::move(found);
      ++runs;
    });
  }
  void ask_for_values() {
    const auto run = std::make_shared<const KnownRun>(KnownRun{1, summaries()});
    remote.values(now, run, {257}, [this](std::vector<paxos::SlotRecord> found) {
      records = std::move(found);
      ++values;
    });
  }
  paxos::Fetched fetched(std::vector<paxos::SlotRecord> from_257) {
    return {{257}, {500}, std::move(from_257), {256}, true};
  }
  [[nodiscard]] NodeId asked() const { return sent.back().to; }

  Time now{};
  Told told;
  std::vector<paxos::Send> sent;
  RemoteSlots::Known known;
  std::vector<paxos::SlotRecord> records;
  int runs = 0;
  int values = 0;
  RemoteSlots remote{{{kN2, kN3}, {1}, milliseconds(100)}, told, [this](paxos::Send send) {
                       sent.push_back(std::move(send));
                     }};
};

}  // namespace

TEST_SUITE("log.remote_slots") {
  TEST_CASE("a run is taken from the node that has it, if its digest is right") {
    Bench bench;
    bench.ask_for_run();
    CHECK(bench.asked() == kN2);
    bench.remote.on_run_slots(bench.now, kN3, {1, {260}, {}});  // Was not asked.
    CHECK(bench.sent.size() == 1);
    bench.remote.on_run_slots(bench.now, kN2, {1, {260}, {}});  // Does not have it.
    CHECK(bench.asked() == kN3);
    bench.remote.on_run_slots(bench.now, kN3, answer(summaries()));
    REQUIRE(bench.known);
    CHECK(bench.known->slots == summaries());
    CHECK(bench.told.other_slots == 0);
    // The next question goes there first.
    bench.ask_for_run();
    CHECK(bench.asked() == kN3);
  }

  // Invariant 13: nobody is believed.
  TEST_CASE("a node that serves altered slots is found out, named, and another one is asked") {
    Bench bench;
    bench.ask_for_run();
    std::vector<SlotSummary> altered = summaries();
    ++altered[1].digest;
    bench.remote.on_run_slots(bench.now, kN2, answer(altered));
    CHECK(bench.told.other_slots == 1);
    CHECK(bench.runs == 0);
    bench.remote.on_run_slots(bench.now, kN3, answer(summaries()));
    CHECK(bench.runs == 1);

    bench.ask_for_values();
    auto records = chosen();
    records.erase(records.begin());
    auto wrong = records;
    wrong[1] = paxos::record(258, {1, kN2}, "another value");
    bench.remote.on_fetched(bench.now, bench.asked(), bench.fetched(wrong));
    CHECK(bench.told.other_slots == 2);
    CHECK(bench.values == 0);
    bench.remote.on_fetched(bench.now, bench.asked(), bench.fetched(records));
    CHECK(bench.records == records);
  }

  TEST_CASE("an answer that is late is as good, from whichever node it comes") {
    Bench bench;
    bench.ask_for_run();
    bench.remote.tick(bench.now += milliseconds(100), {});
    CHECK(bench.asked() == kN3);
    bench.remote.on_run_slots(bench.now, kN2, answer(summaries()));
    CHECK(bench.known != nullptr);
  }

  TEST_CASE("the leader is asked after all others") {
    Bench bench;
    bench.remote.tick(bench.now, kN2);
    bench.ask_for_values();
    CHECK(bench.asked() == kN3);
    bench.remote.on_fetched(bench.now, kN3, bench.fetched({}));
    CHECK(bench.asked() == kN2);
    bench.remote.on_fetched(bench.now, kN2, bench.fetched({}));
    CHECK(bench.asked() == kN3);
  }

  // Otherwise each question would wait for a node that is gone.
  TEST_CASE("who has helped last is asked first, also the leader, until it does not answer") {
    Bench bench;
    bench.remote.tick(bench.now, kN2);
    bench.ask_for_run();
    CHECK(bench.asked() == kN3);
    bench.remote.tick(bench.now += milliseconds(100), kN2);
    CHECK(bench.asked() == kN2);
    bench.remote.on_run_slots(bench.now, kN2, answer(summaries()));
    bench.ask_for_values();
    CHECK(bench.asked() == kN2);
    bench.remote.tick(bench.now += milliseconds(100), kN2);
    CHECK(bench.asked() == kN3);
    bench.ask_for_run();
    CHECK(bench.asked() == kN3);
  }

  TEST_CASE("values after the end of the run are left out") {
    Bench bench;
    bench.ask_for_values();
    auto records = chosen();
    records.erase(records.begin());
    auto more = records;
    more.push_back(paxos::record(260, {1, kN2}, "of no run that is known"));
    bench.remote.on_fetched(bench.now, kN2, bench.fetched(more));
    CHECK(bench.records == records);
  }

  TEST_CASE("who does not answer is passed over, and after all were asked twice it is told") {
    Bench bench;
    bench.ask_for_run();
    // The second time there is more patience.
    std::size_t asked = 1;
    for (const int patience_ms : {100, 100, 400}) {
      bench.remote.tick(bench.now += milliseconds(patience_ms - 1), {});
      CHECK(bench.sent.size() == asked);
      bench.remote.tick(bench.now += milliseconds(1), {});
      CHECK(bench.sent.size() == ++asked);
    }
    CHECK(bench.runs == 0);
    bench.remote.tick(bench.now += milliseconds(400), {});
    CHECK(bench.runs == 1);
    CHECK(bench.known == nullptr);
  }

  TEST_CASE("more questions than may be wait for nobody") {
    Bench bench;
    for (std::size_t i = 0; i < RemoteSlots::kQuestionsMax + 3; ++i) bench.ask_for_run();
    CHECK(bench.runs == 3);
    CHECK(bench.sent.size() == RemoteSlots::kQuestionsMax);
  }
}

}  // namespace stele::log
