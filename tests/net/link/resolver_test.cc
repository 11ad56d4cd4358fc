#include "net/link/resolver.h"

#include <doctest/doctest.h>

#include <atomic>
#include <latch>
#include <map>

#include "tests/support/nodes_in_process.h"

namespace stele::net {
namespace {

using asio::ip::make_address;
using Endpoints = Resolver::Endpoints;

Endpoints endpoints_of(const std::vector<const char*>& addresses) {
  Endpoints found;
  for (const char* address : addresses) found.emplace_back(make_address(address), 7001);
  return found;
}

/// A name server: of "hangs" it says nothing until the test has ended, of "unknown" that there is
/// no such name, and of others an address.
struct Server {
  std::atomic<int> asked{0};
  std::atomic<bool> hangs{false};  // For all names.
  std::latch end{1};

  Endpoints look_up(const Address& address, std::string& failure) {
    ++asked;
    if (hangs || address.host == "hangs") end.wait();
    if (address.host != "unknown") return endpoints_of({"192.0.2.1"});
    failure = "no such name";
    return {};
  }
};

struct Bench {
  Bench() = default;
  ~Bench() { server->end.count_down(); }

  void resolve(const char* host) {
    resolver->resolve({host, 7001}, [this, host](const Endpoints& found, const std::string& why) {
      answers[host] = found;
      failures[host] = why;
      ++told;
    });
  }
  bool run(const std::function<bool()>& done) { return log::run_until(context, done); }

  asio::io_context context{1};
  std::shared_ptr<Server> server = std::make_shared<Server>();
  std::unique_ptr<Resolver> resolver = std::make_unique<Resolver>(
      context, [server = server](const Address& address, std::string& failure) {
        return server->look_up(address, failure);
      });
  std::map<std::string, Endpoints> answers;
  std::map<std::string, std::string> failures;
  int told = 0;
};

}  // namespace

TEST_SUITE("net.resolver") {
  TEST_CASE("a name that is not answered holds up neither others nor the end") {
    Bench bench;
    bench.resolve("hangs");
    bench.resolve("good");
    bench.resolve("unknown");
    bench.resolve("127.0.0.1");
    REQUIRE(bench.run([&] { return bench.told == 3; }));
    CHECK(bench.answers["good"] == endpoints_of({"192.0.2.1"}));
    CHECK(bench.answers["127.0.0.1"] == endpoints_of({"127.0.0.1"}));
    CHECK(bench.answers["unknown"].empty());
    CHECK(bench.failures["unknown"] == "no such name");
    CHECK_FALSE(bench.answers.contains("hangs"));
    bench.resolver.reset();
    bench.context.run();  // Nothing is left to wait for.
    CHECK(bench.told == 3);
  }

  TEST_CASE("a name that is being looked up is not looked up a second time") {
    Bench bench;
    for (int i = 0; i < 100; ++i) bench.resolve("hangs");
    bench.resolve("good");
    REQUIRE(bench.run([&] { return bench.told == 1 && bench.server->asked >= 2; }));
    bench.resolve("another");
    REQUIRE(bench.run([&] { return bench.told == 2 && bench.server->asked >= 3; }));
    CHECK(bench.server->asked == 3);
  }

  TEST_CASE("what was known of a name is taken while the name server does not answer") {
    Bench bench;
    bench.resolve("good");
    REQUIRE(bench.run([&] { return bench.told == 1; }));
    bench.server->hangs = true;
    bench.answers.clear();
    bench.resolve("good");
    REQUIRE(bench.run([&] { return bench.told == 2; }));
    CHECK(bench.answers["good"] == endpoints_of({"192.0.2.1"}));
  }

  TEST_CASE("at most so many names are looked up at the same time") {
    Bench bench;
    bench.server->hangs = true;
    for (std::size_t i = 0; i < Resolver::kLookUpsMax; ++i) {
      bench.resolver->resolve({"host" + std::to_string(i), 7001}, [](const auto&, const auto&) {});
    }
    bench.resolve("one more");
    REQUIRE(bench.run([&] { return bench.told == 1; }));
    CHECK(bench.answers["one more"].empty());
    CHECK(bench.failures["one more"].find("too many") != std::string::npos);
  }

  TEST_CASE("the system's own resolver") {
    std::string failure;
    CHECK_FALSE(Resolver::look_up({"localhost", 7001}, failure).empty());
    CHECK(failure.empty());
    CHECK(Resolver::look_up({"no.such.name.invalid", 7001}, failure).empty());
    CHECK_FALSE(failure.empty());
  }

  TEST_CASE("interleaved: the families in turn") {
    CHECK(interleaved({}).empty());
    CHECK(interleaved(endpoints_of({"::1", "::2", "::3", "10.0.0.1"})) ==
          endpoints_of({"::1", "10.0.0.1", "::2", "::3"}));
    CHECK(interleaved(endpoints_of({"10.0.0.1", "10.0.0.2", "::1"})) ==
          endpoints_of({"10.0.0.1", "::1", "10.0.0.2"}));
  }
}

}  // namespace stele::net
