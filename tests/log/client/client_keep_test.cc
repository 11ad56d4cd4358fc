// How clients trim, and change what is kept.
#include <doctest/doctest.h>

#include <stele/client.h>
#include "tests/log/client/client_cluster.h"

namespace stele {
namespace {

using namespace client_cluster;

/// A change, and what it was told.
struct Told {
  asio::error_code error;
  ChangeResult result;
};

template <class Start>
Told change(Bench& bench, Start start) {
  std::optional<Told> told;
  start([&](asio::error_code error, ChangeResult result) {
    told = Told{error, std::move(result)};
  });
  REQUIRE(bench.nodes.run([&] { return told.has_value(); }));
  return *std::move(told);
}

void append(Bench& bench, const std::string& text) {
  bool done = false;
  bench.client.async_append(asio::buffer(text), seconds(20),
                            [&](asio::error_code error, const AppendResult&) {
                              CHECK_FALSE(error);
                              done = true;
                            });
  REQUIRE(bench.nodes.run([&] { return done; }));
}

Told trim(Bench& bench, std::uint64_t before, bool force = false) {
  return change(bench, [&](auto handler) {
    bench.client.async_trim({before}, {.force = force}, seconds(20), std::move(handler));
  });
}

Told hold(Bench& bench, const std::string& name, std::uint64_t lsn,
          std::chrono::milliseconds ttl = seconds(60)) {
  return change(bench, [&](auto handler) {
    bench.client.async_set_hold(name, {lsn}, ttl, seconds(20), std::move(handler));
  });
}

RetentionReport retention(Bench& bench) {
  std::optional<RetentionReport> report;
  bench.client.async_retention(seconds(20), [&](asio::error_code error, RetentionReport told) {
    CHECK_FALSE(error);
    report = std::move(told);
  });
  REQUIRE(bench.nodes.run([&] { return report.has_value(); }));
  return *std::move(report);
}

}  // namespace

TEST_SUITE("log.client.keep") {
  TEST_CASE("a trim stands among the appends in the order of the calls") {
    Bench bench;
    std::vector<std::uint64_t> told;
    const auto append = [&](const std::string& text) {
      bench.client.async_append(asio::buffer(text), seconds(20),
                                [&](asio::error_code error, const AppendResult& result) {
                                  CHECK_FALSE(error);
                                  told.push_back(result.lsn.value);
                                });
    };
    for (int i = 0; i < 100; ++i) append("before");
    bench.client.async_trim({101}, {}, seconds(20),
                            [&](asio::error_code error, ChangeResult result) {
                              CHECK_FALSE(error);
                              CHECK(result.lsn == Lsn{101});
                              told.push_back(0);
                            });
    for (int i = 0; i < 100; ++i) append("after");
    REQUIRE(bench.nodes.run([&] { return told.size() == 201; }));
    CHECK(told[99] == 100);
    CHECK(told[100] == 0);
    CHECK(told[101] == 101);
    const RetentionReport report = retention(bench);
    CHECK(report.first_lsn == Lsn{101});
    CHECK(report.lsn_end == Lsn{201});
    CHECK(report.retained_bytes > 0);
  }

  TEST_CASE("each refusal has its code, and is definite") {
    Bench bench;
    append(bench, "a");
    append(bench, "b");
    const auto refused = [](const Told& told) {
      CHECK_FALSE(told.result.may_be_made);
      CHECK_FALSE(told.result.detail.empty());
      return static_cast<Errc>(told.error.value());
    };
    CHECK(refused(trim(bench, 9)) == Errc::out_of_range);
    CHECK(refused(trim(bench, 0)) == Errc::invalid_argument);
    CHECK(refused(trim(bench, std::uint64_t{1} << 62)) == Errc::invalid_argument);
    CHECK(hold(bench, "backup", 2).result.lsn == Lsn{2});
    CHECK(refused(trim(bench, 3)) == Errc::held);
    CHECK(trim(bench, 2).result.lsn == Lsn{2});
    CHECK(refused(hold(bench, "late", 1)) == Errc::trimmed);
    CHECK(refused(hold(bench, "early", 9)) == Errc::out_of_range);
    CHECK(refused(hold(bench, "a b", 2)) == Errc::invalid_argument);
    CHECK(refused(hold(bench, "x", 2, std::chrono::milliseconds(0))) == Errc::invalid_argument);
    CHECK(refused(change(bench, [&](auto handler) {
            bench.client.async_release_hold("other", seconds(20), std::move(handler));
          })) == Errc::not_found);
    CHECK(refused(change(bench, [&](auto handler) {
            const Retention wrong{0, std::chrono::milliseconds(-1)};
            bench.client.async_set_retention(wrong, seconds(20), std::move(handler));
          })) == Errc::invalid_argument);
    CHECK(trim(bench, 3, true).result.lsn == Lsn{3});
    CHECK(retention(bench).holds.size() == 1);
  }

  TEST_CASE("the retention is read back as it was set, and so are holds") {
    Bench bench;
    append(bench, "a");
    const Retention kept{1 << 20, std::chrono::hours(24)};
    CHECK_FALSE(change(bench, [&](auto handler) {
                  bench.client.async_set_retention(kept, seconds(20), std::move(handler));
                }).error);
    hold(bench, "backup", 1);
    const RetentionReport report = retention(bench);
    CHECK(report.retention == kept);
    REQUIRE(report.holds.size() == 1);
    CHECK(report.holds[0].name == "backup");
    CHECK(report.holds[0].lsn == Lsn{1});
    CHECK(report.holds[0].left > seconds(30));
  }

  TEST_CASE("a tail and a read are told where the log begins") {
    Bench bench;
    for (const char* text : {"a", "b", "c"}) append(bench, text);
    trim(bench, 3);
    std::optional<std::pair<asio::error_code, ReadResult>> tail;
    bench.client.async_tail({1}, [&](asio::error_code error, ReadResult result) {
      tail.emplace(error, std::move(result));
    });
    REQUIRE(bench.nodes.run([&] { return tail.has_value(); }));
    CHECK(tail->first == Errc::trimmed);
    CHECK(tail->second.first_lsn == Lsn{3});
    std::optional<std::pair<asio::error_code, ReadResult>> read;
    bench.client.async_read({.lsn_begin = {2}}, [&](asio::error_code error, ReadResult result) {
      read.emplace(error, std::move(result));
    });
    REQUIRE(bench.nodes.run([&] { return read.has_value(); }));
    CHECK(read->first == Errc::trimmed);
    CHECK(read->second.first_lsn == Lsn{3});
    bench.client.async_tail(tail->second.first_lsn, [&](asio::error_code error, ReadResult result) {
      tail.emplace(error, std::move(result));
    });
    REQUIRE(bench.nodes.run([&] { return !tail->first; }));
    CHECK(tail->second.entries.at(0).lsn == Lsn{3});
  }
}

}  // namespace stele
