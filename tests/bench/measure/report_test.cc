#include "bench/measure/report.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace stele::bench {
namespace {

Run run_of(std::uint64_t acknowledged, double seconds = 2) {
  Run run;
  run.payload_bytes = 100;
  run.in_flight = 8;
  run.connections = 2;
  run.load.seconds = seconds;
  run.load.acknowledged = acknowledged;
  for (std::uint64_t i = 1; i <= 100; ++i) run.load.latency.record(i * 1000);
  return run;
}

double figure(const std::string& name, const Run& run) {
  const auto found = std::ranges::find(columns(), name, &Column::name);
  REQUIRE(found != columns().end());
  return found->of(run);
}

}  // namespace

TEST_SUITE("bench.report") {
  TEST_CASE("columns: each in its unit") {
    Run run = run_of(400'000);
    run.servers = {.cpu_seconds = 6,
                   .written_bytes = 120'000'000,
                   .rss_anon_bytes = 5 << 20,
                   .switches = 40'000};
    run.client = {.cpu_seconds = 1};
    run.load.longest_gap_ns = 7'500'000;
    CHECK(figure("entries", run) == doctest::Approx(200'000));
    CHECK(figure("payload", run) == doctest::Approx(20));
    CHECK(figure("p50", run) == doctest::Approx(50).epsilon(0.03));
    CHECK(figure("p99", run) == doctest::Approx(99).epsilon(0.03));
    CHECK(figure("gap", run) == doctest::Approx(7.5));
    CHECK(figure("client", run) == doctest::Approx(0.5));
    CHECK(figure("server CPU", run) == doctest::Approx(1.5));
    CHECK(figure("client CPU", run) == doctest::Approx(0.25));
    CHECK(figure("written", run) == doctest::Approx(3));
    CHECK(figure("wake-ups", run) == doctest::Approx(0.1));
    CHECK(figure("RssAnon", run) == doctest::Approx(5));
  }

  TEST_CASE("a run that acknowledged nothing has figures, too") {
    const Run nothing;
    for (const Column& column : columns()) {
      if (column.name != "written") CHECK(column.of(nothing) == 0);
    }
  }

  TEST_CASE("median: the middle one, or the mean of the two") {
    const std::vector<Run> odd{run_of(300), run_of(100), run_of(200)};
    CHECK(median_of(odd, columns().front()) == doctest::Approx(100));
    CHECK(median(odd).load.acknowledged == 200);
    const std::vector<Run> even{run_of(400), run_of(100), run_of(200), run_of(300)};
    CHECK(median_of(even, columns().front()) == doctest::Approx(125));
  }

  TEST_CASE("json: every figure, of every run and as a median") {
    Run first = run_of(200);
    first.load.late = 3;
    first.stored = 250;
    const auto told = nlohmann::json::parse(json({first, run_of(400)}, {{"share", 0.5}}));
    CHECK(told.at("in_flight") == 8);
    CHECK(told.at("clients") == 2);
    CHECK(told.at("runs").size() == 2);
    CHECK(told.at("runs").at(0).at("entries_per_s") == 100);
    CHECK(told.at("runs").at(0).at("late") == 3);
    CHECK(told.at("runs").at(0).at("stored") == 250);
    CHECK(told.at("median").at("entries_per_s") == 150);
    CHECK(told.at("share") == 0.5);
    CHECK_FALSE(told.contains("floor_us"));
  }

  TEST_CASE("against_floor and late_ones: nothing if there is nothing to say") {
    Run run = run_of(200);
    CHECK(against_floor({run}).empty());
    CHECK(late_ones({run}).empty());
    run.floor_us = 25;
    run.load.late = 4;
    CHECK(against_floor({run}).find("p50 is 2.0") == 0);
    CHECK(late_ones({run, run}).find("8 appends had to wait because 8 were under way") == 0);
  }

  TEST_CASE("table: a line for each run, and the medians, in columns") {
    const std::string one = table({run_of(200)});
    const std::string two = table({run_of(200), run_of(123'456)});
    CHECK(std::ranges::count(one, '\n') == 3);
    CHECK(std::ranges::count(two, '\n') == 5);
    CHECK(two.find("\n run 2") != std::string::npos);
    CHECK(two.find("61728") != std::string::npos);
    std::size_t begin = 0;
    const std::size_t width = two.find('\n');
    for (std::size_t end = 0; (end = two.find('\n', begin)) != std::string::npos; begin = end + 1) {
      CHECK(end - begin == width);
    }
  }
}

}  // namespace stele::bench
