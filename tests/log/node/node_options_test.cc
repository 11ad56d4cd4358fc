#include "log/node/node_options.h"

#include <doctest/doctest.h>

namespace stele::log {
namespace {

NodeOptions enough() {
  NodeOptions options;
  options.id = {2};
  options.cluster = {{{1}, {"a", 7101}}, {{2}, {"b", 7102}}};
  options.data = "d";
  return options;
}

/// Why valid options are refused after `change`; empty if they are not.
template <class Change>
std::string fault(Change change) {
  NodeOptions options = enough();
  change(options);
  const auto completed = complete(std::move(options));
  if (completed) return {};
  CHECK(completed.error().code == Errc::invalid_argument);
  return completed.error().detail;
}

}  // namespace

TEST_SUITE("log.node_options") {
  TEST_CASE("complete: what is not said is filled in") {
    const auto options = complete(enough());
    REQUIRE(options);
    CHECK(*options->listen == Address{"b", 7102});
    CHECK(options->memory_bytes_max == 64 << 20);
    REQUIRE(options->disk_bytes_max);
    CHECK(*options->disk_bytes_max % 4096 == 0);
    CHECK(options->disk_reserve_bytes == 256 << 20);

    NodeOptions small = enough();
    small.disk_bytes_max = (16 << 20) + 5;
    CHECK(complete(small)->disk_bytes_max == 16 << 20);
    // Not an eighth of it: what is in flight must fit.
    CHECK(complete(small)->disk_reserve_bytes == 8 << 20);
  }

  TEST_CASE("complete: what is out of range is refused by its name") {
    CHECK(fault([](NodeOptions&) {}) == "");
    CHECK(fault([](NodeOptions& o) { o.id = {3}; }).find("own id 3 is not in cluster") !=
          std::string::npos);
    CHECK(fault([](NodeOptions& o) { o.cluster[{64}] = {"c", 1}; }).starts_with("cluster has"));
    CHECK(fault([](NodeOptions& o) {
            for (std::uint64_t id = 3; id <= 8; ++id)
              o.cluster[{id}] = {"c", static_cast<std::uint16_t>(id)};
          }).starts_with("cluster names 8 nodes"));
    CHECK(fault([](NodeOptions& o) {
            o.cluster[{3}] = {"a", 7101};
          }) == "cluster has the address a:7101 twice");
    CHECK(fault([](NodeOptions& o) { o.clients_max = UINT64_MAX; }).starts_with("clients_max"));
    CHECK(fault([](NodeOptions& o) { o.data.clear(); }) == "data is empty");
    CHECK(fault([](NodeOptions& o) { o.cluster_name.clear(); }).starts_with("cluster_name"));
    CHECK(fault([](NodeOptions& o) { o.entry_bytes_max = 0; }).starts_with("entry_bytes_max"));
    CHECK(fault([](NodeOptions& o) { o.disk_bytes_max = 1; }).starts_with("disk_bytes_max"));
    CHECK(
        fault([](NodeOptions& o) { o.disk_reserve_bytes = 1; }).starts_with("disk_reserve_bytes"));
    CHECK(fault([](NodeOptions& o) {
            o.disk_bytes_max = o.disk_reserve_bytes = 16 << 20;
          }).starts_with("disk_reserve_bytes is less than"));
    CHECK(fault([](NodeOptions& o) { o.memory_bytes_max = 1; }).starts_with("memory_bytes_max"));
    CHECK(fault([](NodeOptions& o) {
            o.fetch_bytes_per_second = 1;
          }).starts_with("fetch_bytes_per_second"));
    using std::chrono::milliseconds;
    CHECK(fault([](NodeOptions& o) {
            o.heartbeat = milliseconds(0);
          }).starts_with("election_timeout"));
    CHECK(fault([](NodeOptions& o) {
            o.heartbeat = milliseconds(201);
          }).starts_with("election_timeout"));
    CHECK(fault([](NodeOptions& o) {
            o.election_timeout = milliseconds(600'001);
          }).starts_with("election_timeout"));
  }

  TEST_CASE("complete: says what an option is called where it was given") {
    NodeOptions options = enough();
    options.data.clear();
    const auto refused =
        complete(options, [](std::string_view name) { return "--" + std::string(name); });
    CHECK(refused.error().detail == "--data is empty");
  }
}

}  // namespace stele::log
