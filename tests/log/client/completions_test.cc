#include "log/client/completions.h"

#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <vector>

namespace stele::log {
namespace {

using Told = std::vector<std::string>;

class Done final : public AppendDone {
 public:
  Done(Told& told, std::string name) : told_(told), name_(std::move(name)) {}
  void complete(std::optional<Errc> error, AppendResult result) override {
    told_.push_back(
        name_ + (error ? " failed: " + result.detail : " at " + std::to_string(result.lsn.value)));
  }

 private:
  Told& told_;
  std::string name_;
};

AppendResult appended(std::uint64_t lsn) {
  AppendResult result;
  result.lsn = {lsn};
  return result;
}

}  // namespace

TEST_SUITE("log.completions") {
  TEST_CASE("told one by one, in their order, whatever they are of") {
    Told told;
    Completions completions;
    AppendResult refused;
    refused.detail = "full";
    completions.add(std::make_unique<Done>(told, "a"), {}, appended(7));
    completions.add(std::make_unique<Done>(told, "b"), Errc::overloaded, refused);
    ReadResult read;
    read.lsn_next = {9};
    completions.add(
        [&](std::optional<Errc> error, const ReadResult& result) {
          CHECK(error == Errc::trimmed);
          told.push_back("read to " + std::to_string(result.lsn_next.value));
        },
        Errc::trimmed, read);
    CHECK(completions.size() == 3);
    CHECK(told.empty());  // Never from within the call that took it.
    CHECK(completions.tell_next());
    CHECK(told == Told{"a at 7"});
    CHECK(completions.size() == 2);
    while (completions.tell_next()) {
    }
    CHECK(told == Told{"a at 7", "b failed: full", "read to 9"});
    CHECK(completions.empty());
  }

  TEST_CASE("what is added while one is told comes after those that wait") {
    Told told;
    Completions completions;
    completions.add([&] {
      told.emplace_back("first");
      completions.add([&] { told.emplace_back("third"); });
    });
    completions.add([&] { told.emplace_back("second"); });
    CHECK(completions.tell_next());
    completions.drop_told();
    CHECK(completions.size() == 2);
    while (completions.tell_next()) {
    }
    CHECK(told == Told{"first", "second", "third"});
  }

  TEST_CASE("the last one may destroy them") {
    auto completions = std::make_unique<Completions>();
    Completions& all = *completions;
    all.add([&] { completions.reset(); });
    CHECK(all.tell_next());
    CHECK(completions == nullptr);
  }
}

}  // namespace stele::log
