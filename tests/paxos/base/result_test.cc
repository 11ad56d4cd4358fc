#include "paxos/base/result.h"

#include <doctest/doctest.h>

#include <set>

namespace stele {

TEST_SUITE("paxos.result") {
  TEST_CASE("every code has a word of its own") {
    std::set<std::string_view> words;
    int codes = 0;
    for (int code = static_cast<int>(Errc::not_leader); code <= static_cast<int>(Errc::stopped);
         ++code) {
      const std::string_view word = to_string(static_cast<Errc>(code));
      CHECK(word != "unknown");
      words.insert(word);
      ++codes;
    }
    CHECK(static_cast<int>(words.size()) == codes);
  }
}

}  // namespace stele
