#include <doctest/doctest.h>
#include <unistd.h>

#include <cstring>

#include "apps/stele/entry_source.h"
#include "apps/stele/output.h"

namespace stele::apps {
namespace {

std::span<const std::byte> bytes(std::string_view text) { return std::as_bytes(std::span(text)); }

/// Entries of a stream that arrives in the given pieces.
std::vector<std::string> entries_of(const std::vector<std::string>& pieces, char separator) {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  EntrySource source(ends[0], separator);
  std::vector<std::string> all;
  for (const std::string& piece : pieces) {
    REQUIRE(::write(ends[1], piece.data(), piece.size()) == static_cast<ssize_t>(piece.size()));
    if (piece.find(separator) == std::string::npos) continue;
    const auto entries = source.next();
    REQUIRE(entries);
    all.insert(all.end(), entries->begin(), entries->end());
  }
  ::close(ends[1]);
  while (true) {
    const auto entries = source.next();
    REQUIRE(entries);
    if (entries->empty()) break;
    all.insert(all.end(), entries->begin(), entries->end());
  }
  ::close(ends[0]);
  return all;
}

using Texts = std::vector<std::string>;

}  // namespace

TEST_SUITE("apps.tool_parts") {
  TEST_CASE("entry source: lines, however they arrive; bytes are kept") {
    CHECK(entries_of({"a\nb\n"}, '\n') == Texts{"a", "b"});
    CHECK(entries_of({"a\n", "\n", "b"}, '\n') == Texts{"a", "", "b"});
    CHECK(entries_of({"spl", "it ov", "er\r\nnext\n"}, '\n') == Texts{"split over\r", "next"});
    CHECK(entries_of({std::string("x\ny\0z", 5)}, '\0') == Texts{"x\ny", "z"});
    CHECK(entries_of({}, '\n').empty());
  }

  TEST_CASE("is_utf8: as RFC 3629 has it") {
    for (const char* valid : {"", "plain", "h\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x98\x80"}) {
      CHECK(is_utf8(bytes(valid)));
    }
    for (const char* invalid : {"\xff", "\xc3", "\xc0\x80", "\xe0\x80\x80", "\xed\xa0\x80",
                                "\xf4\x90\x80\x80", "a\x80", "\xe2\x82"}) {
      CHECK_FALSE(is_utf8(bytes(invalid)));
    }
  }

  TEST_CASE("base64: as RFC 4648 has it") {
    CHECK(base64(bytes("")) == "");
    CHECK(base64(bytes("f")) == "Zg==");
    CHECK(base64(bytes("fo")) == "Zm8=");
    CHECK(base64(bytes("foo")) == "Zm9v");
    CHECK(base64(bytes("foobar")) == "Zm9vYmFy");
    CHECK(base64(bytes("\xff\xfe\xfd\xfc")) == "//79/A==");
  }
}

}  // namespace stele::apps
