// What clients say after the codec: commands of any bytes.
#include <doctest/doctest.h>

#include <cstdlib>

#include "tests/log/service/service_bench.h"
#include "tests/sim/world/random.h"

namespace stele::log {
namespace {

/// Of a command, as in docs/storage-format.md.
constexpr std::size_t kHeadBytes = 48;

/// STELE_FUZZ=N: so many times as many.
std::uint64_t rounds(std::uint64_t count) {
  const char* more = std::getenv("STELE_FUZZ");
  return count * (more == nullptr ? 1 : std::max(1ULL, std::strtoull(more, nullptr, 10)));
}

std::vector<std::byte> bytes_of(const Slice& slice) {
  return {slice.bytes.begin(), slice.bytes.end()};
}

net::Append append_of(std::vector<std::byte> bytes) {
  const auto own = std::make_shared<std::vector<std::byte>>(std::move(bytes));
  return {Slice{own, *own}};
}

}  // namespace

TEST_SUITE("log.client_commands") {
  // Refused, or applied as what it says: in no case does it end the node, or make a batch that
  // others cannot apply.
  TEST_CASE("commands whose bytes are damaged, cut off, put together, or anything") {
    ServiceBench bench;
    sim::Random random(17);
    std::uint64_t sequence = 1;
    FakeLink* link = &bench.connect();
    bench.open(*link);
    const auto valid = [&] {
      std::vector<std::string> entries(random.between(1, 4));
      for (std::string& entry : entries) entry = std::string(random.below(40), 'e');
      return bytes_of(append_command(bench.session, {sequence}, std::move(entries)));
    };
    std::uint64_t refused = 0;
    for (std::uint64_t round = 0; round < rounds(20'000); ++round) {
      std::vector<std::byte> bytes = valid();
      std::size_t at = 0;
      switch (random.below(6)) {
        case 0: break;
        case 1:  // Bits.
          for (std::uint64_t i = random.between(1, 4); i > 0; --i) {
            bytes[random.below(bytes.size())] ^= std::byte(1U << random.below(8));
          }
          break;
        case 2:  // A number of the head, anything or near a bound.
          at = random.below(kHeadBytes / 4) * 4;
          for (std::size_t i = 0; i < 4; ++i) {
            bytes[at + i] = random.chance(50) ? std::byte{0xff} : std::byte(random.below(256));
          }
          break;
        case 3: bytes.resize(random.below(bytes.size() + 20)); break;
        case 4: {
          const std::vector<std::byte> second = valid();
          bytes.insert(bytes.end(), second.begin(), second.end());
          break;
        }
        default:
          bytes.resize(random.below(200));
          for (std::byte& byte : bytes) byte = std::byte(random.below(256));
      }
      bench.say(*link, append_of(std::move(bytes)));
      if (random.chance(30)) bench.sync();
      if (random.chance(10)) sequence += random.below(5);
      // A client that was refused connects again.
      if (std::ranges::find(bench.links, link) == bench.links.end()) {
        ++refused;
        link = &bench.connect();
        bench.say(*link, net::OpenSession{round + 100, 100, 60'000});
        bench.sync();
        for (const net::Message& message : std::exchange(link->sent, {})) {
          const auto* opened = std::get_if<net::SessionOpened>(&message);
          if (opened != nullptr && opened->session != SessionId{}) bench.session = opened->session;
        }
        sequence = 1;
      }
      link->sent.clear();
    }
    CHECK(refused > 100);
    // It still takes what is right.
    FakeLink& last = bench.connect();
    bench.say(last, net::OpenSession{1'000'000'000, 100, 60'000});
    bench.sync();
    bench.session = std::get<net::SessionOpened>(last.sent.back()).session;
    last.sent.clear();
    const std::uint64_t before = bench.entries();
    bench.append(last, 1, {"a", "b"});
    bench.sync();
    CHECK(bench.entries() == before + 2);
    CHECK(ServiceBench::results(last) ==
          std::vector<std::string>{"1x2=ok@" + std::to_string(before + 1)});
  }
}

}  // namespace stele::log
