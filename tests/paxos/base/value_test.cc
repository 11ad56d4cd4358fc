#include "paxos/base/value.h"

#include <doctest/doctest.h>

#include "tests/support/nodes.h"

namespace stele::paxos {

TEST_SUITE("paxos.value") {
  TEST_CASE("a default value is a noop without bytes") {
    const Value noop;
    CHECK(noop.kind() == ValueKind::noop);
    CHECK(noop.size() == 0);
    CHECK(noop.digest() == 0);
    CHECK(noop == Value{});
  }

  TEST_CASE("equality looks at bytes, not at how they are cut into parts") {
    const Value whole = value("hello");
    const Value left = value("he");
    const Value right = value("llo");
    const Value cut(ValueKind::batch, {left.parts()[0], right.parts()[0]}, whole.digest());
    CHECK(cut == whole);
    CHECK(text_of(cut) == "hello");
    CHECK_FALSE(whole == value("hellx"));
    CHECK_FALSE(whole == Value{});
  }

  TEST_CASE("a value keeps its buffer alive") {
    Value copy;
    {
      const Value original = value("kept");
      copy = original;
    }
    CHECK(text_of(copy) == "kept");
  }
}

}  // namespace stele::paxos
