#include "log/state/row_cache.h"

#include <doctest/doctest.h>

#include <map>
#include <random>

#include "tests/support/commands.h"
#include "tests/support/submit.h"
#include "tests/support/tabled_counters.h"

namespace stele::log {
namespace {

using Cache = RowCache<std::string>;

Cache::Key key(std::uint64_t number) { return key_of(number); }

}  // namespace

TEST_SUITE("log.row_cache") {
  TEST_CASE("what was read or changed is there; a row that is gone is known to be") {
    Cache cache(2);
    CHECK_FALSE(cache.holds(key(1)));
    cache.take(key(1), "one");
    cache.take(key(2), std::nullopt);
    REQUIRE(cache.holds(key(2)));
    CHECK(*cache.find(key(1)) == "one");
    CHECK(cache.find(key(2)) == nullptr);
    cache.change(key(2), "two", {5});
    cache.change(key(1), std::nullopt, {5});
    cache.take(key(2), "older");  // A read that was begun before.
    CHECK(*cache.find(key(2)) == "two");
    CHECK(cache.find(key(1)) == nullptr);
  }

  TEST_CASE("the rows that were used last stay, and all that cannot be read back yet") {
    Cache cache(2);
    for (const std::uint64_t number : {1U, 2U, 3U, 4U}) cache.take(key(number), "read");
    CHECK(cache.size() == 4);
    CHECK(cache.find(key(1)) != nullptr);
    cache.change(key(2), "changed", {7});
    cache.on_readable({7});  // Slot 7 itself is not readable.
    CHECK(cache.size() == 2);
    CHECK(cache.holds(key(1)));
    CHECK(cache.holds(key(2)));
    cache.take(key(5), "read");
    cache.take(key(6), "read");
    cache.on_readable({7});
    CHECK(cache.holds(key(2)));
    CHECK(cache.holds(key(6)));
    cache.take(key(8), "read");
    cache.on_readable({8});
    CHECK_FALSE(cache.holds(key(2)));
    CHECK(cache.size() == 2);
  }

  TEST_CASE("a section of many rows and little memory counts right, also after restarts") {
    // LMDB takes over each commit at once, so that rows leave memory.
    NodesInProcess nodes(3, with_tabled_counters(), {.lacking_bytes_max = 1});
    std::mt19937_64 random(3);
    std::map<std::uint64_t, std::uint64_t> counted;
    const SessionId session = open_session(nodes);
    Sequence sequence;
    for (int round = 0; round < 3; ++round) {
      const NodeId away{nodes.leader().value % 3 + 1};
      nodes.crash(away);
      for (int i = 0; i < 30; ++i) {
        const std::uint64_t counter = random() % 10;
        ++counted[counter];
        ++sequence;
        submit(nodes, kCount, count_command(session, sequence, counter), session, sequence);
      }
      nodes.start(away);
      REQUIRE(nodes.settle());
    }
    const auto& state = nodes.node({1}).replica()->state();
    const auto& section = dynamic_cast<const TabledCounters&>(*state.section(kTabledCounters));
    CHECK(section.rows_in_memory() < 10);
    // As every node has stored them; the table is read as one that is kept in memory.
    for (const NodeId node : {NodeId{1}, NodeId{2}, NodeId{3}}) {
      nodes.crash(node);
      auto tables = tables_of(with_tabled_counters());
      tables.back().in_memory = true;
      auto store = LmdbStore::open(*DataDirectory::open(nodes.directory(node)),
                                   {.files = {.map_bytes = kTestMapBytes, .sections = tables}},
                                   nodes.loop, {});
      REQUIRE(store);
      std::map<std::uint64_t, std::uint64_t> stored;
      const StoreContent content = (*store)->load().value();
      for (const Row& row : content.rows) {
        if (row.table == kTabledCounters) stored[number_of(row.key)] = number_of(row.bytes);
      }
      CHECK(stored == counted);
    }
  }
}

}  // namespace stele::log
