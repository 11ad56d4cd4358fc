// stele-floor: what this machine can do at best, in the units of stele-bench.

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstring>
#include <memory>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <vector>

#include "bench/cluster/process.h"
#include "bench/floor/floor.h"
#include "bench/measure/report.h"
#include "log/store/files/lmdb.h"
#include "net/wire/codec.h"
#include "net/wire/digest.h"
#include "net/wire/frame.h"

namespace stele::bench {
namespace {

template <class T>
T must(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().detail);
  if constexpr (!std::is_void_v<T>) return *std::move(result);
}

Figure lmdb_figure(const std::string& directory, int times) {
  auto lmdb = must(log::Lmdb::open(directory, {.map_bytes = 1 << 30}));
  const std::vector<std::byte> value(256);
  std::uint64_t key = 0;
  return figure("", "us",
                timed(times,
                      [&] {
                        auto txn = must(lmdb.begin(true));
                        must(txn.put(log::Table::slots, ++key, value));
                        must(txn.commit());
                      }),
                1000);
}

std::vector<Figure> measure(const std::string& directory, int times) {
  std::vector<Figure> all;
  const auto add = [&](const std::string& what, Figure found) {
    found.what = what;
    all.push_back(std::move(found));
  };
  add("sync of 4 KiB, file zeroed ahead", sync_figure(directory, 4096, times));
  add("the same, three processes at once",
      at_once(3, [&] { return sync_figure(directory, 4096, times); }));
  add("sync of 128 KiB, file zeroed ahead", sync_figure(directory, 128 << 10, times));
  const auto three_append = [&] {
    return at_once(3, [&] { return append_sync_figure(directory, 96 << 10, times / 4); });
  };
  add("96 KiB appended and synced, three processes at once", three_append());
  {
    Copier copier(directory);
    add("the same beside one that copies 200 MB/s", three_append());
    copier.check();
  }
  add("LMDB, commit of one record of 256 B", lmdb_figure(directory, times));
  add("round trip over loopback, sleeping", round_trip_figure(false, 4 * times));
  add("round trip over loopback, spinning", round_trip_figure(true, 4 * times));
  add("one append: a sync and two round trips, three processes at once",
      append_figure(directory, times));

  std::vector<std::byte> from(1 << 20, std::byte{1});
  std::vector<std::byte> to(1 << 20);
  add("copy of 1 MiB",
      figure("", "us", timed(times, [&] { std::memcpy(to.data(), from.data(), to.size()); }),
             1000));
  std::uint64_t sum = 0;
  add("XXH3-64 of 1 MiB",
      figure("", "us", timed(times, [&] { sum += net::value_digest(from); }), 1000));
  const auto shared = std::make_shared<std::vector<std::byte>>(256);
  const net::Message message{net::Append{{shared, *shared}}};
  add("Cap'n Proto, encode one append of 256 B",
      figure("", "ns", timed(10 * times, [&] { sum += net::encode(message).bytes(); }), 1));
  if (sum == 0) throw std::runtime_error("nothing was measured");
  return all;
}

int main_of(int count, char** arguments) {
  CLI::App app("What this machine can do at best.", "stele-floor");
  std::string data = "/tmp";
  int times = 2000;
  bool json = false;
  app.add_option("--data", data, "A directory on the disk to be measured")->capture_default_str();
  app.add_option("--times", times, "How often each thing is done")
      ->check(CLI::Range(10, 1'000'000))
      ->capture_default_str();
  app.add_flag("--json", json, "JSON instead of a table");
  CLI11_PARSE(app, count, arguments);

  const test::TempDirectory directory(data);
  const auto figures = measure(directory.path(), times);
  if (json) {
    nlohmann::ordered_json all;
    for (const Figure& found : figures) {
      all.push_back(
          {{"what", found.what}, {"unit", found.unit}, {"p50", found.p50}, {"p99", found.p99}});
    }
    std::puts(all.dump(2).c_str());
    return 0;
  }
  std::printf("%9s %9s\n", "p50", "p99");
  for (const Figure& found : figures) {
    std::printf("%9.1f %9.1f %s  %s\n", found.p50, found.p99, found.unit.c_str(),
                found.what.c_str());
  }
  return 0;
}

}  // namespace
}  // namespace stele::bench

int main(int count, char** arguments) {
  return stele::bench::run_main("stele-floor", stele::bench::main_of, count, arguments);
}
