#include "log/node/tcp_host.h"

#include <doctest/doctest.h>
#include <stele/client.h>

#include "paxos/base/check.h"
#include "tests/support/nodes_in_process.h"

namespace stele {
namespace {

/// A cluster of one node, by the public interface.
struct Bench {
  NodeOptions options() const {
    NodeOptions options;
    options.id = {1};
    options.cluster = {{{1}, address}};
    options.data = directory.sub("data");
    options.disk_bytes_max = 1ULL << 30;
    return options;
  }
  /// The error and the sentence; an empty sentence if it has started.
  std::pair<asio::error_code, std::string> start(Node& node) {
    std::optional<std::pair<asio::error_code, std::string>> started;
    node.async_start(
        [&](asio::error_code error, std::string why) { started.emplace(error, std::move(why)); });
    CHECK_FALSE(started.has_value());  // Never from within the call.
    REQUIRE(log::run_until(context, [&] { return started.has_value(); }));
    return *started;
  }
  void stop(Node& node) {
    bool stopped = false;
    node.async_stop([&](asio::error_code error, const std::string&) {
      CHECK_FALSE(error);
      stopped = true;
    });
    REQUIRE(log::run_until(context, [&] { return stopped; }));
  }

  log::TestDirectory directory;
  asio::io_context context{1};
  net::AsioLoop loop{context};
  log::QuietEvents events;
  test::Ports ports{2};
  Address address{"127.0.0.1", ports[0]};
};

/// A check fails in what hears of a leader.
class FailingEvents final : public Events {
 public:
  void event(EventLevel, std::string_view name, std::initializer_list<EventField>) override {
    STELE_CHECK(name != "leader_known", "for the test");
  }
};

}  // namespace

TEST_SUITE("log.tcp_host") {
  TEST_CASE("a node starts, serves, says what it is, stops, and goes on where it was") {
    Bench bench;
    for (const std::uint64_t lsn : {1U, 2U}) {
      Node node(bench.context, bench.options(), bench.events, {});
      CHECK(bench.start(node) == std::pair{asio::error_code(), std::string()});
      CHECK(node.report().node == NodeId{1});
      Client client(bench.context, {.addresses = {bench.address}});
      std::optional<AppendResult> told;
      client.async_append(asio::buffer("entry", 5), std::chrono::seconds(60),
                          [&](asio::error_code error, AppendResult result) {
                            CHECK_FALSE(error);
                            told = std::move(result);
                          });
      REQUIRE(log::run_until(bench.context, [&] { return told.has_value(); }));
      CHECK(told->lsn == Lsn{lsn});
      CHECK(node.report().role == "leader");
      CHECK(node.report().applied_lsn == Lsn{lsn});
      client.close();
      bench.stop(node);
    }
  }

  TEST_CASE("what keeps a node from starting is told, with a sentence") {
    Bench bench;
    Node first(bench.context, bench.options(), bench.events, {});
    REQUIRE_FALSE(bench.start(first).first);
    {
      Node same_port(bench.context, bench.options(), bench.events, {});
      const auto [error, why] = bench.start(same_port);
      CHECK(error == Errc::invalid_argument);
      CHECK(why.find(to_string(bench.address)) != std::string::npos);
    }
    {
      NodeOptions options = bench.options();
      options.listen = Address{"127.0.0.1", 1};  // A port for which one needs a privilege.
      options.data.clear();                      // Looked at before the port is asked for.
      Node without_data(bench.context, options, bench.events, {});
      const auto [error, why] = bench.start(without_data);
      CHECK(error == Errc::invalid_argument);
      CHECK(why == "data is empty");
    }
    {
      NodeOptions options = bench.options();
      options.listen = Address{"127.0.0.1", bench.ports[1]};
      Node same_directory(bench.context, options, bench.events, {});
      CHECK(bench.start(same_directory).first == Errc::in_use);
    }
    bench.stop(first);
  }

  TEST_CASE("a check that fails in a node ends it alone; another one of the program goes on") {
    Bench bench;
    FailingEvents failing;
    std::string failed;
    NodeOptions options = bench.options();
    options.on_failed_check = [&](const std::string& what) { failed = what; };
    Node sick(bench.context, options, failing, {});
    REQUIRE_FALSE(bench.start(sick).first);
    REQUIRE(log::run_until(bench.context, [&] { return !failed.empty(); }));
    CHECK(failed.find("for the test") != std::string::npos);
    CHECK(sick.report().role == "failed");
    bench.stop(sick);  // At once: it does nothing any more.

    options = bench.options();
    options.cluster[{1}] = {"127.0.0.1", bench.ports[1]};
    options.data = bench.directory.sub("sound");
    Node sound(bench.context, options, bench.events, {});
    REQUIRE_FALSE(bench.start(sound).first);
    REQUIRE(log::run_until(bench.context, [&] { return sound.report().role == "leader"; }));
    bench.stop(sound);
  }

  TEST_CASE("a node that was not started is stopped, and destroyed, without a word") {
    Bench bench;
    Node node(bench.context, bench.options(), bench.events, {});
    bench.stop(node);
  }

  TEST_CASE("a node that is destroyed calls no handler any more") {
    Bench bench;
    int called = 0;
    const auto count = [&](asio::error_code, const std::string&) { ++called; };
    NodeOptions wrong = bench.options();
    wrong.entry_bytes_max = 0;
    for (const NodeOptions& options : {bench.options(), wrong}) {
      {
        Node node(bench.context, options, bench.events, {});
        node.async_start(count);
      }
      {
        Node node(bench.context, options, bench.events, {});
        node.async_stop(count);
      }
      bench.context.restart();
      bench.context.run();
    }
    {
      Node node(bench.context, bench.options(), bench.events, {});
      REQUIRE_FALSE(bench.start(node).first);
      node.async_stop(count);
    }
    bench.context.restart();
    bench.context.run();
    CHECK(called == 0);
  }

  TEST_CASE("called too early, twice, or too late: told so") {
    Bench bench;
    Node stopped(bench.context, bench.options(), bench.events, {});
    CHECK(stopped.report().role == "stopped");
    bench.stop(stopped);
    CHECK(bench.start(stopped).first == Errc::shutting_down);
    Node twice(bench.context, bench.options(), bench.events, {});
    CHECK_FALSE(bench.start(twice).first);
    CHECK(bench.start(twice).first == Errc::invalid_argument);
    CHECK(twice.report().role != "stopped");
  }

  TEST_CASE("a member without a port is refused") {
    Bench bench;
    NodeOptions options = bench.options();
    options.cluster[{2}] = {"127.0.0.1", 0};
    Node node(bench.context, options, bench.events, {});
    CHECK(bench.start(node).first == Errc::invalid_argument);
  }
}

}  // namespace stele
