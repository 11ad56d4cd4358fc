#include "bench/measure/page.h"

#include <doctest/doctest.h>

#include <fstream>

#include "tests/support/directory.h"

namespace stele::bench {
namespace {

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t found = 0;
  for (std::size_t at = 0; (at = text.find(part, at)) != std::string::npos; ++at) ++found;
  return found;
}

}  // namespace

TEST_SUITE("bench.page") {
  TEST_CASE("page: a picture for each plot, a line for each series, and the text") {
    const std::vector<Plot> plots{
        {"Latency", "seconds", "us", false, true, {{"a", {{0, 1}, {1, 100}}}, {"b", {{0, 3}}}}},
        {"Nothing", "x", "y", true, true, {}}};
    const std::string html = page("A <title>", plots, "1 < 2 & \"3\"");
    CHECK(count(html, "<svg") == 2);
    CHECK(count(html, "<path") == 2);
    CHECK(count(html, "<circle") == 3);
    CHECK(count(html, "A &lt;title&gt;") == 2);
    CHECK(html.find("<pre>1 &lt; 2 &amp; &quot;3&quot;</pre>") != std::string::npos);
    CHECK(count(html, "nan") == 0);
    CHECK(count(html, "inf") == 0);
    CHECK(count(html, "src=") + count(html, "href=") == 0);  // It needs nothing else.
  }

  TEST_CASE("page: a logarithm has no place for zero, a straight axis begins with it") {
    const Series series{"a", {{0, 5}, {10, 5}}};
    const std::string straight = page("t", {{"p", "x", "y", false, false, {series}}}, "");
    const std::string log = page("t", {{"p", "x", "y", true, false, {series}}}, "");
    CHECK(count(straight, "<circle") == 2);
    CHECK(count(log, "<circle") == 1);
    CHECK(straight.find("cx=\"80.0\"") != std::string::npos);  // The left end.
  }

  TEST_CASE("write_page: replaces what was there, and throws if it cannot") {
    const log::TestDirectory directory;
    const std::string path = directory.sub("page.html");
    std::ofstream(path) << "much longer than what comes";
    write_page(path, "short");
    std::string content;
    std::getline(std::ifstream(path), content);
    CHECK(content == "short");
    CHECK_THROWS(write_page(directory.path() + "/none/page.html", "x"));
  }
}

}  // namespace stele::bench
