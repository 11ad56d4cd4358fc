// What Raft, Zab and the textbooks promise, by the names that they give it: docs/guarantees.md.
// Each is a story over the real actors; the simulation looks for the same under everything that
// goes wrong (docs/verification.md).

#include <doctest/doctest.h>

#include "tests/scenarios/story.h"

namespace stele::sim {

TEST_SUITE("guarantees") {
  TEST_CASE("election safety: a ballot names its node, which leads in it at most once") {
    CHECK(run_story(R"(
nodes 3
lead n1
settle
expect n1 leads
expect n2 promised 1.1
crash n1
restart n1
lead n1                     # Its next ballot, never the former one.
settle
expect n1 leads
expect n2 promised 2.1
expect n3 promised 2.1
)") == "");
  }

  TEST_CASE("leader append-only: what a leader proposes again is what it proposed") {
    CHECK(run_story(R"(
nodes 3
lead n1
open n1 alice
settle
append n1 alice "first"
deliver accept to=n2
drop accept                 # To n1 and n3: they are sent again.
append n1 alice "second"
settle
expect n1 log "first" "second"
expect n2 log "first" "second"
expect n3 log "first" "second"
)") == "");
  }

  TEST_CASE("leader completeness: what was chosen is in the log of every later leader") {
    CHECK(run_story(R"(
nodes 5
lead n1
open n1 alice
settle
append n1 alice "chosen"
deliver accept to=n2
deliver accept to=n3
sync n1
sync n2
sync n3                     # Three of five have voted; nobody has heard so.
drop all
crash n1
lead n5                     # It has never heard of that entry.
settle
expect n5 log "chosen"
crash n5
lead n4
settle
expect n4 log "chosen"
expect n2 log "chosen"
)") == "");
  }

  TEST_CASE("log matching: nodes that have applied as many slots have one log and one state") {
    CHECK(run_story(R"(
nodes 3
lead n1
open n1 alice
settle
append n1 alice "a"
drop accept to=n3
append n1 alice "b"
settle
expect n1 equals n2
expect n1 equals n3
crash n3
append n1 alice "c" "d"
settle
restart n3
settle
expect n3 log "a" "b" "c" "d"
expect n1 equals n3
)") == "");
  }

  TEST_CASE("state machine safety: no node ever applies another value in a slot") {
    CHECK(run_story(R"(
nodes 3
lead n1
open n1 alice
settle
cut n1 n2
cut n1 n3
append n1 alice "by n1, alone"
sync n1
lead n2
open n2 bob
settle
append n2 bob "by n2"
settle
expect n2 log "by n2"
expect n3 log "by n2"
expect n1 log               # It has voted for its own value, and does not apply it.
heal
settle
expect n1 log "by n2"
expect n1 equals n2
)") == "");
  }

  TEST_CASE("integrity: an entry is delivered at most once, and only if a client has sent it") {
    CHECK(run_story(R"(
nodes 3
lead n1
open n1 alice
settle
append n1 alice "once"
deliver accept to=n2
sync n2
crash n1
lead n2
settle
resend n2 alice 1 "once"
resend n2 alice 1 "once"
settle
expect alice 1
expect n2 log "once"
lead n3                     # Its noops are no entries.
settle
expect n3 log "once"
)") == "");
  }

  TEST_CASE("total order and agreement: all nodes deliver the same entries in the same order") {
    CHECK(run_story(R"(
nodes 3
lead n1
open n1 alice
open n1 bob
settle
append n1 alice "a1"
append n1 bob "b1"
append n1 alice "a2"
settle
crash n1
lead n2
settle
append n2 bob "b2"
settle
restart n1
settle
expect n1 log "a1" "b1" "a2" "b2"
expect n2 log "a1" "b1" "a2" "b2"
expect n3 log "a1" "b1" "a2" "b2"
)") == "");
  }

  TEST_CASE("primary order: what a client sends counts in its order, or not at all") {
    CHECK(run_story(R"(
nodes 3
lead n1
open n1 alice
settle
append n1 alice "one"
drop accept                 # The first reaches nobody,
append n1 alice "two"
deliver accept to=n2        # the second reaches n2.
sync n2
crash n1
lead n3
settle
expect n3 log               # "two" is in a slot, after a noop, and has no effect.
expect alice resend=1
resend n3 alice 1 "one" "two"
settle
expect n3 log "one" "two"
)") == "");
  }

  TEST_CASE("linearizability: a read sees all that was acknowledged before it, or is not served") {
    CHECK(run_story(R"(
nodes 3
lead n1
open n1 alice
settle
append n1 alice "first"
settle
expect alice 1
open n1 bob
settle
read n1 before
settle
expect before sees 1
cut n1 n2
cut n1 n3
lead n2
append n2 bob "second"
sync all
deliver all
sync all
deliver all
sync all
deliver all
expect bob 2
expect n1 leads             # So it believes,
read n1 stale               # but nobody confirms it.
settle
expect stale refused
read n2 after
settle
expect after sees 2
)") == "");
  }

  TEST_CASE("partition: the side with a quorum serves, the other one acknowledges nothing") {
    CHECK(run_story(R"(
nodes 5
lead n1
open n1 alice
settle
cut n1 n3
cut n1 n4
cut n1 n5
cut n2 n3
cut n2 n4
cut n2 n5
append n1 alice "of the minority"
lead n3
open n3 bob
settle
append n3 bob "of the majority"
settle
expect bob 1
expect alice
expect n1 log
expect n2 log
heal
settle
expect n1 log "of the majority"
expect n2 log "of the majority"
)") == "");
  }
}

}  // namespace stele::sim
