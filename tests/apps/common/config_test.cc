#include "apps/common/config.h"

#include <doctest/doctest.h>

#include <fstream>

#include "tests/support/directory.h"

namespace stele::apps {
namespace {

Settings enough() {
  Settings settings;
  settings.id = 1;
  settings.cluster = "1=localhost:7101,2=[::1]:7102";
  settings.data = "d";
  return settings;
}

}  // namespace

TEST_SUITE("apps.config") {
  TEST_CASE("make_config: defaults, and the own address to listen on") {
    const auto config = make_config(enough());
    REQUIRE(config);
    CHECK(config->node.listen == Address{"localhost", 7101});
    CHECK(config->node.cluster_name == "stele");
    CHECK(config->node.entry_bytes_max == 1 << 20);
    CHECK(config->node.election_timeout == std::chrono::milliseconds(400));
    CHECK(config->node.heartbeat == std::chrono::milliseconds(50));
    CHECK(config->node.memory_bytes_max == 64 << 20);
  }

  TEST_CASE("make_config: memory has room for entries of the size that is allowed") {
    Settings settings = enough();
    settings.entry_bytes_max = 64 << 20;
    settings.disk_reserve_bytes = 1ULL << 30;
    CHECK(make_config(settings)->node.memory_bytes_max > 16ULL * (64 << 20));
    settings.memory_bytes_max = 256 << 20;
    const auto refused = make_config(settings);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().detail.find("--memory-bytes-max ranges from") == 0);
    settings.entry_bytes_max = 1 << 20;
    CHECK(make_config(settings)->node.memory_bytes_max == 256 << 20);
  }

  TEST_CASE("make_config: what is out of range is refused") {
    const auto refused = [](auto change) {
      Settings settings = enough();
      change(settings);
      return !make_config(settings).has_value();
    };
    CHECK(refused([](Settings& s) { s.id = 3; }));
    CHECK(refused([](Settings& s) { s.cluster_name = ""; }));
    CHECK(refused([](Settings& s) { s.entry_bytes_max = 0; }));
    CHECK(refused([](Settings& s) { s.entry_bytes_max = 1ULL << 40; }));
    CHECK(refused([](Settings& s) { s.disk_bytes_max = 1000; }));
    CHECK(refused([](Settings& s) {
      s.disk_bytes_max = 1 << 25;
      s.disk_reserve_bytes = 1 << 25;
    }));
    CHECK(refused([](Settings& s) { s.fetch_bytes_per_second = 1000; }));
    CHECK(refused([](Settings& s) { s.memory_bytes_max = 1 << 20; }));
    CHECK(refused([](Settings& s) { s.election_timeout_ms = 50; }));
    CHECK(refused([](Settings& s) { s.heartbeat_ms = 0; }));
    CHECK(refused([](Settings& s) { s.listen = "nowhere"; }));
    CHECK(refused([](Settings& s) { s.log_format = "xml"; }));
    CHECK(refused(
        [](Settings& s) { s.cluster = "1=a:1,2=b:2,3=c:3,4=d:4,5=e:5,6=f:6,7=g:7,8=h:8"; }));
  }

  TEST_CASE("read_settings: the keys of the flags, the cluster as a table, flags win") {
    const log::TestDirectory directory;
    const std::string path = directory.sub("stele.toml");
    std::ofstream(path) << "id = 2\ndata = 'x'\ncluster-name = 'mine'\nlog-level = 'debug'\n"
                           "entry-bytes-max = 5000\n[cluster]\n1 = 'a:1'\n2 = 'b:2'\n";
    const auto file = read_settings(path);
    REQUIRE_MESSAGE(file.has_value(), file.error().detail);
    Settings flags;
    flags.id = 1;
    flags.fill_from(*file);
    const auto config = make_config(flags);
    REQUIRE(config);
    CHECK(config->node.id == NodeId{1});
    CHECK(config->node.cluster_name == "mine");
    CHECK(config->node.entry_bytes_max == 5000);
    CHECK(config->node.cluster.at({2}) == Address{"b", 2});
  }
}

}  // namespace stele::apps
