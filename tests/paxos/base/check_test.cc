#include "paxos/base/check.h"

#include <doctest/doctest.h>

#include <stdexcept>

namespace stele {

TEST_SUITE("paxos.check") {
  TEST_CASE("a failed check says where and why, through the handler") {
    std::string told;
    const auto former = set_check_handler([&](const std::string& line) {
      told = line;
      throw std::runtime_error("ended");
    });
    const auto fails = [] { STELE_CHECK(1 == 2, std::string("numbers differ")); };
    CHECK_THROWS_AS(fails(), std::runtime_error);
    set_check_handler(former);
    CHECK(told.find("1 == 2") != std::string::npos);
    CHECK(told.find("check_test.cc") != std::string::npos);
    CHECK(told.find("numbers differ") != std::string::npos);
  }
}

}  // namespace stele
