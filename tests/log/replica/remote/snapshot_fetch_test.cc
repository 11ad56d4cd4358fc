#include "log/replica/remote/snapshot_fetch.h"

#include <doctest/doctest.h>

#include <functional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "log/replica/remote/supplier.h"
#include "tests/sim/disk/memory_store.h"
#include "tests/sim/nodes/sim_loop.h"
#include "tests/support/commands.h"

namespace stele::log {
namespace {

using paxos::kN1;
using paxos::kN2;
using paxos::kN3;
using std::chrono::milliseconds;

const Identity kIdentity{"stele", 9, kN1, 5, {{kN1, 5}, {kN2, 6}, {kN3, 7}}, 2, 2};

struct Quiet final : Events {
  void event(EventLevel, std::string_view name, std::initializer_list<EventField>) override {
    names.emplace_back(name);
  }
  [[nodiscard]] int count(std::string_view name) const {
    return static_cast<int>(std::ranges::count(names, name));
  }
  std::vector<std::string> names;
};

/// Nodes 2 and 3 have the same snapshot at slot 400, of several pieces; node 1 fetches it. What is
/// on its way can be changed, or lost.
struct Bench {
  struct Server {
    explicit Server(Bench& b, NodeId node, const sim::Snapshot& snapshot) : bench(b), id(node) {
      disk.add(snapshot);
      store.emplace(bench.loop, disk);
      supplier.emplace(*store, Epoch{1}, [this](paxos::Send send) {
        if (send.to == kN1) bench.deliver(id, std::move(send.message.body));
      });
      supplier->set_offered(store->snapshots().newest());
    }
    Bench& bench;
    NodeId id;
    sim::Disk disk;
    std::optional<sim::MemoryStore> store;
    std::optional<Supplier> supplier;
  };

  explicit Bench(std::uint64_t cluster_id = 9)
      : snapshot(make(cluster_id)), two(*this, kN2, snapshot), three(*this, kN3, snapshot) {
    disk.cached.identity = disk.synced.identity = kIdentity;
    start();
  }
  static sim::Snapshot make(std::uint64_t cluster_id) {
    sim::Image image;
    image.identity = kIdentity;
    image.identity->cluster_id = cluster_id;
    image.numbers.chosen_end = {400};
    for (std::uint64_t i = 1; i <= 10; ++i) {
      image.rows[{Table::sessions, key_of(i)}] = std::vector<std::byte>(200'000, std::byte(i));
    }
    return snapshot_of(image);
  }
  void start() {
    fetch.reset();
    store.emplace(loop, disk);
    fetch.emplace(
        SnapshotFetch::Options{{kN2, kN3}, {1}, milliseconds(100), 1'000'000'000}, *store, events,
        [this](paxos::Send send) {
          ++asked[send.to];
          const auto& ask = std::get<paxos::FetchSnapshot>(send.message.body);
          Server& to = send.to == kN2 ? two : three;
          loop.post([this, &to, ask] { to.supplier->on_fetch_snapshot(loop.now(), kN1, ask); });
        },
        [this](Slot slot) { complete.push_back(slot); });
  }
  void deliver(NodeId from, paxos::Body body) {
    auto part = std::get<paxos::SnapshotPart>(std::move(body));
    if (on_way && !on_way(from, part)) return;
    loop.post([this, from, part] { fetch->on_part(loop.now(), from, part); });
  }
  void run(int ticks = 50) {
    for (int i = 0; i < ticks && complete.empty(); ++i) {
      loop.run();
      loop.advance(milliseconds(20));
      fetch->tick(loop.now());
    }
    loop.run();
  }

  sim::SimLoop loop{1};
  Quiet events;
  sim::Snapshot snapshot;
  Server two;
  Server three;
  sim::Disk disk;
  std::optional<sim::MemoryStore> store;
  std::optional<SnapshotFetch> fetch;
  std::function<bool(NodeId, paxos::SnapshotPart&)> on_way;  // False: it is lost.
  std::map<NodeId, int> asked;
  std::vector<Slot> complete;
};

}  // namespace

TEST_SUITE("log.snapshot_fetch") {
  TEST_CASE("a snapshot is fetched from one node, and then the store has it") {
    Bench bench;
    bench.fetch->want(bench.loop.now(), {7});
    CHECK(bench.fetch->under_way());
    bench.run();
    CHECK(bench.complete == std::vector<Slot>{{400}});
    CHECK_FALSE(bench.fetch->under_way());
    CHECK(bench.store->snapshots().newest()->digest == bench.snapshot.info.digest);
    CHECK(bench.asked[kN3] == 0);
    CHECK(bench.asked[kN2] == 1 + static_cast<int>(bench.snapshot.pieces.size()));
  }

  TEST_CASE("parts that are lost are asked of the next node, and those that came are not") {
    Bench bench;
    int lost = 0;
    bench.on_way = [&](NodeId from, paxos::SnapshotPart& part) {
      if (from == kN2 && part.part >= 4) ++lost;
      return from != kN2 || part.part < 4;
    };
    bench.fetch->want(bench.loop.now(), {7});
    bench.run();
    CHECK(bench.complete.size() == 1);
    CHECK(lost > 0);
    CHECK(bench.asked[kN3] == static_cast<int>(bench.snapshot.pieces.size()) - 3);
  }

  TEST_CASE("a damaged piece is refused, and another node gives the right one") {
    Bench bench;
    bench.on_way = [&](NodeId from, paxos::SnapshotPart& part) {
      if (from == kN2 && part.part == 2) part.bytes = paxos::value("something else");
      return true;
    };
    bench.fetch->want(bench.loop.now(), {7});
    bench.run();
    CHECK(bench.complete.size() == 1);
    CHECK(bench.events.count("snapshot_piece_refused") == 1);
    CHECK(bench.store->snapshots().newest()->digest == bench.snapshot.info.digest);
  }

  TEST_CASE("a restart goes on with what has come") {
    Bench bench;
    bench.on_way = [](NodeId, paxos::SnapshotPart& part) { return part.part < 5; };
    bench.fetch->want(bench.loop.now(), {7});
    bench.run(4);
    REQUIRE(bench.complete.empty());
    bench.start();
    bench.asked.clear();
    bench.on_way = nullptr;
    bench.fetch->want(bench.loop.now(), {7});
    bench.run();
    CHECK(bench.complete.size() == 1);
    CHECK(bench.asked[kN2] + bench.asked[kN3] ==
          1 + static_cast<int>(bench.snapshot.pieces.size()) - 4);
  }

  TEST_CASE("that of another cluster, or one that is not above what there is, is not taken") {
    {
      Bench bench(10);
      bench.fetch->want(bench.loop.now(), {7});
      bench.run(20);
      CHECK(bench.complete.empty());
      CHECK(bench.events.count("snapshot_refused") >= 2);
      CHECK(bench.fetch->under_way());  // It goes on asking.
    }
    Bench bench;
    bench.fetch->want(bench.loop.now(), {400});
    bench.run(20);
    CHECK(bench.complete.empty());
    CHECK(bench.fetch->under_way());
    bench.fetch->stop();
    CHECK_FALSE(bench.fetch->under_way());
  }

  TEST_CASE("what is no snapshot at all is refused") {
    Bench bench;
    bench.on_way = [](NodeId, paxos::SnapshotPart& part) {
      part.bytes = paxos::value(std::string(200, 'x'));
      return true;
    };
    bench.fetch->want(bench.loop.now(), {7});
    bench.run(20);
    CHECK(bench.complete.empty());
    CHECK(bench.events.count("snapshot_refused") >= 2);
  }

  // Otherwise a large one would be gone before its last piece is fetched.
  TEST_CASE("what is being fetched is named to stay, and for a while after") {
    Bench bench;
    CHECK(bench.two.supplier->fetched(bench.loop.now()).empty());
    bench.fetch->want(bench.loop.now(), {3});
    bench.run();
    REQUIRE(bench.complete.size() == 1);
    CHECK(bench.two.supplier->fetched(bench.loop.now()) == std::set<Slot>{{400}});
    // Another node's question does not let it go.
    bench.two.supplier->on_fetch_snapshot(bench.loop.now(), kN3, {{300}, 5, 1});
    CHECK(bench.two.supplier->fetched(bench.loop.now()).contains({400}));
    CHECK(bench.three.supplier->fetched(bench.loop.now()).empty());
    bench.loop.advance(Supplier::kStaysFor);
    CHECK(bench.two.supplier->fetched(bench.loop.now()).empty());
    bench.two.supplier->on_fetch_snapshot(bench.loop.now(), kN1, {{300}, 5, 1});  // It has none.
    CHECK(bench.two.supplier->fetched(bench.loop.now()).empty());
  }
}

}  // namespace stele::log
