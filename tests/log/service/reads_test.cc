#include "log/service/reads.h"

#include <doctest/doctest.h>

#include "tests/log/service/service_bench.h"

namespace stele::log {
namespace {

using std::chrono::milliseconds;
using Bench = ServiceBench;

}  // namespace

TEST_SUITE("log.reads") {
  TEST_CASE("read: from the applied state, refused beyond what may wait") {
    Bench bench;
    FakeLink& link = bench.connect();
    bench.open(link);
    bench.append(link, 1, {"a", "b", "c"});
    bench.sync();
    link.sent.clear();
    bench.say(link, net::Read{5, {2}, {}, 1000, false});
    REQUIRE(link.sent.size() == 1);
    const auto& result = std::get<net::ReadAnswer>(link.sent[0]);
    CHECK(payloads(result.entries) == std::vector<std::string>{"b", "c"});
    CHECK(result.lsn_end == Lsn{4});
    link.sent.clear();
    link.queued = 100 << 20;  // It does not read its answers: reads wait, and then are refused.
    for (std::uint64_t i = 0; i < ClientReads::kWaitingMax + 5; ++i) {
      bench.say(link, net::Read{i, {1}, {}, 1000, false});
    }
    CHECK(link.sent.size() == 5);
    link.queued = 0;
    bench.loop.advance(milliseconds(100));
    CHECK(link.sent.size() == ClientReads::kWaitingMax + 5);
  }
}

}  // namespace stele::log
