#include "log/format/batch.h"

#include <doctest/doctest.h>

#include <random>

#include "net/wire/digest.h"
#include "tests/support/commands.h"

namespace stele::log {

TEST_SUITE("log.batch") {
  TEST_CASE("parse_command: reads back what was written") {
    const Slice bytes = append_command({7}, {3}, {"hello", "", "world"}, {2}, {55});
    const auto command = parse_command(bytes.bytes);
    REQUIRE(command);
    CHECK(command->kind == CommandKind::append);
    CHECK(command->session == SessionId{7});
    CHECK(command->sequence == Sequence{3});
    CHECK(command->count == 3);
    CHECK(command->acked == Sequence{2});
    CHECK(command->condition == Lsn{55});
    CHECK(command->largest_bytes == 5);
    CHECK(payloads(command->body) == std::vector<std::string>{"hello", "", "world"});
  }

  TEST_CASE("parse_command: anything cut off, left over or unknown is refused") {
    const Slice whole = append_command({7}, {3}, {"hello", "world"});
    const std::vector<std::byte> bytes(whole.bytes.begin(), whole.bytes.end());
    for (std::size_t length = 0; length < bytes.size(); ++length) {
      CHECK_FALSE(parse_command(std::span(bytes).first(length)).has_value());
    }
    auto longer = bytes;
    longer.push_back({});
    CHECK_FALSE(parse_command(longer).has_value());
    for (const std::size_t at : {1U, 2U, 4U, 12U}) {  // Flags, reserved, count, reserved.
      auto damaged = bytes;
      damaged[at] = std::byte{99};
      CHECK_FALSE(parse_command(damaged).has_value());
    }
  }

  TEST_CASE("parse_command: random damage never crashes") {
    std::mt19937_64 random(5);
    const Slice whole = append_command({7}, {3}, {"hello", "world", std::string(300, 'x')});
    for (int i = 0; i < 20'000; ++i) {
      std::vector<std::byte> damaged(whole.bytes.begin(), whole.bytes.end());
      for (std::size_t k = 0; k < 1 + random() % 5; ++k) {
        damaged[random() % damaged.size()] = static_cast<std::byte>(random());
      }
      if (const auto command = parse_command(damaged)) payloads(command->body);
    }
  }

  TEST_CASE(
      "take: a batch holds whole commands in their order, small ones copied, large ones shared") {
    BatchBuilder builder;
    const Slice small = append_command({1}, {1}, {"a"});
    const Slice large =
        append_command({2}, {1}, {std::string(2 * BatchBuilder::kCopyBytesMax, 'b')});
    const Slice other = append_command({3}, {1}, {"c"});
    for (const Slice& bytes : {small, large, other}) builder.add(CommandKind::append, bytes);
    const paxos::Value value = builder.take({1000, 5}, 1 << 20);
    CHECK(builder.empty());
    CHECK(builder.bytes() == 0);
    CHECK(net::intact(value));
    REQUIRE(value.parts().size() == 4);  // The header is the first.
    CHECK(value.parts()[1].owner != small.owner);
    CHECK(value.parts()[2].bytes.data() == large.bytes.data());
    const auto batch = parse_batch(value);
    REQUIRE(batch);
    CHECK(batch->header.elapsed_us == 1000);
    CHECK(batch->header.stamp_us == 5);
    REQUIRE(batch->commands.size() == 3);
    CHECK(batch->commands[0].session == SessionId{1});
    CHECK(batch->commands[1].session == SessionId{2});
    CHECK(batch->commands[2].session == SessionId{3});
    // Read back from one piece, as from a disk or a frame.
    CHECK(parse_batch(in_one_part(value))->commands.size() == 3);
  }

  TEST_CASE("take: many small commands are few parts") {
    BatchBuilder builder;
    for (std::uint64_t i = 1; i <= 1000; ++i) {
      builder.add(CommandKind::append, append_command({1}, {i}, {std::string(200, 'x')}));
    }
    const paxos::Value value = builder.take({}, 1 << 20);
    CHECK(value.parts().size() <= 24);
    CHECK(net::intact(value));
    const auto batch = parse_batch(value);
    REQUIRE(batch);
    REQUIRE(batch->commands.size() == 1000);
    CHECK(batch->commands[999].sequence == Sequence{1000});
  }

  TEST_CASE("take: at most so many bytes, but at least one command") {
    BatchBuilder builder;
    for (std::uint64_t i = 1; i <= 10; ++i) {
      builder.add(CommandKind::append, append_command({1}, {i}, {std::string(1000, 'x')}));
    }
    CHECK(parse_batch(builder.take({}, 3500))->commands.size() == 3);
    CHECK(parse_batch(builder.take({}, 1))->commands.size() == 1);
    CHECK(parse_batch(builder.take({}, 1 << 20))->commands.size() == 6);
    CHECK(parse_batch(builder.take({}, 1 << 20))->commands.empty());
  }

  // A session's id is the slot that opened it.
  TEST_CASE("take: a batch opens one session at most") {
    BatchBuilder builder;
    builder.add(CommandKind::append, append_command({1}, {1}, {"x"}));
    builder.add(CommandKind::open_session, open_command(1));
    builder.add(CommandKind::open_session, open_command(2));
    CHECK(parse_batch(builder.take({}, 1 << 20))->commands.size() == 2);
    CHECK(parse_batch(builder.take({}, 1 << 20))->commands.size() == 1);
  }

  TEST_CASE("parse_batch: what is no batch is refused") {
    CHECK_FALSE(parse_batch(paxos::Value{}).has_value());
    CHECK_FALSE(parse_batch(paxos::value("not a batch, but long enough to be one")).has_value());
  }
}

}  // namespace stele::log
