#include "log/store/disk/data_directory.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "tests/support/directory.h"

namespace stele::log {

TEST_SUITE("log.data_directory") {
  TEST_CASE("open: makes what is missing, and says that it is fresh") {
    const TestDirectory directory;
    const auto opened = DataDirectory::open(directory.sub("a/b"));
    REQUIRE(opened);
    CHECK(opened->fresh());
  }

  TEST_CASE("open: a directory that holds something else is refused") {
    const TestDirectory directory;
    std::ofstream(directory.sub("letter.txt")) << "dear reader";
    const auto opened = DataDirectory::open(directory.path());
    REQUIRE_FALSE(opened.has_value());
    CHECK(opened.error().code == Errc::foreign_directory);
  }

  TEST_CASE("open: what is left of a store is not taken for a new directory") {
    for (const bool empty : {false, true}) {
      for (const char* left : {"journal", "values"}) {
        const TestDirectory directory;
        if (empty) std::ofstream(directory.sub("data.mdb"));
        if (left == std::string("values")) std::filesystem::create_directory(directory.sub(left));
        if (left == std::string("journal")) std::ofstream(directory.sub(left)) << "x";
        const auto opened = DataDirectory::open(directory.path());
        REQUIRE_FALSE(opened.has_value());
        CHECK(opened.error().code == Errc::corrupt);
        CHECK(opened.error().detail.find(empty ? "empty" : "missing") != std::string::npos);
        CHECK_FALSE(std::filesystem::exists(directory.sub("stele.lock")));
      }
    }
    // A first start that was killed before it had written anything.
    const TestDirectory directory;
    std::ofstream(directory.sub("data.mdb"));
    const auto opened = DataDirectory::open(directory.path());
    REQUIRE(opened);
    CHECK(opened->fresh());
  }

  TEST_CASE("open: what is no file, or no directory, where one should be, is not opened") {
    for (const char* name : {"data.mdb", "journal", "values", "stele.lock", "reserve"}) {
      CAPTURE(name);
      const TestDirectory directory;
      const bool values = name == std::string("values");
      if (values) std::ofstream(directory.sub(name)) << "x";
      if (!values) REQUIRE(::mkfifo(directory.sub(name).c_str(), 0600) == 0);
      for (const auto& opened :
           {DataDirectory::open(directory.path()), DataDirectory::open_to_read(directory.path())}) {
        REQUIRE_FALSE(opened.has_value());
        CHECK(opened.error().code == Errc::corrupt);
        CHECK(opened.error().detail.find("is not a ") != std::string::npos);
      }
    }
  }

  TEST_CASE("open: a file is no directory") {
    const TestDirectory directory;
    std::ofstream(directory.sub("file")) << "x";
    CHECK(DataDirectory::open(directory.sub("file")).error().code == Errc::io);
  }

  TEST_CASE("open: the lock is held until it is given up, also when moved") {
    const TestDirectory directory;
    {
      auto first = DataDirectory::open(directory.path());
      REQUIRE(first);
      const DataDirectory moved = *std::move(first);
      CHECK(DataDirectory::open(directory.path()).error().code == Errc::in_use);
    }
    CHECK(DataDirectory::open(directory.path()).has_value());
  }
}

}  // namespace stele::log
