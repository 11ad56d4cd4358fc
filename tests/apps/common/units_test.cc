#include "apps/common/units.h"

#include <doctest/doctest.h>

namespace stele::apps {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

TEST_SUITE("apps.units") {
  TEST_CASE("parse_bytes: whole numbers and the units of 1000 and 1024") {
    CHECK(*parse_bytes("0") == 0);
    CHECK(*parse_bytes("17") == 17);
    CHECK(*parse_bytes("17B") == 17);
    CHECK(*parse_bytes("3KB") == 3000);
    CHECK(*parse_bytes("3KiB") == 3072);
    CHECK(*parse_bytes("50GiB") == 50ULL << 30);
    CHECK(*parse_bytes("2TB") == 2'000'000'000'000);
    for (const char* wrong : {"", "GiB", "1.5GiB", "-1", "+1", "1 GiB", "1gib", "1GiBs", "x"}) {
      CHECK_MESSAGE(parse_bytes(wrong).error().detail.find("is none of") != std::string::npos,
                    wrong);
    }
    CHECK(parse_bytes("99999999999TiB").error().detail == "'99999999999TiB' is too large");
    CHECK(parse_bytes("99999999999999999999").error().detail.ends_with("is too large"));
  }

  TEST_CASE("parse_duration: a unit is always said") {
    CHECK(*parse_duration("5ms") == milliseconds(5));
    CHECK(*parse_duration("90s") == seconds(90));
    CHECK(*parse_duration("12h") == hours(12));
    CHECK(*parse_duration("7d") == hours(7 * 24));
    CHECK_FALSE(parse_duration("7").has_value());
    CHECK_FALSE(parse_duration("7w").has_value());
  }

  TEST_CASE("as text: the largest unit in which it is whole; read back it is the same") {
    CHECK(bytes_text(0) == "0B");
    CHECK(bytes_text(1000) == "1000B");
    CHECK(bytes_text(10ULL << 20) == "10MiB");
    CHECK(bytes_text(1536) == "1536B");
    CHECK(duration_text(milliseconds(0)) == "0ms");
    CHECK(duration_text(milliseconds(1500)) == "1500ms");
    CHECK(duration_text(seconds(3600)) == "1h");
    CHECK(duration_text(hours(48)) == "2d");
    for (const std::uint64_t bytes : {1ULL, 1024ULL, 4096ULL, 7ULL << 40}) {
      CHECK(*parse_bytes(bytes_text(bytes)) == bytes);
    }
  }
}

}  // namespace stele::apps
