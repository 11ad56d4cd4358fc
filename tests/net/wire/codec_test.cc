#include "net/wire/codec.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <map>
#include <random>
#include <set>

#include "tests/net/wire/samples.h"
#include "tests/support/hex.h"

namespace stele::net {
namespace {

/// Cuts wire bytes back into a frame, in an exact and aligned buffer.
InFrame frame_of(const std::vector<std::byte>& bytes) {
  std::uint32_t header_bytes = 0;
  std::uint32_t body_bytes = 0;
  std::memcpy(&header_bytes, bytes.data() + 4, 4);
  std::memcpy(&body_bytes, bytes.data() + 8, 4);
  auto copy = std::make_shared<std::vector<std::byte>>(bytes);
  const std::byte* data = copy->data();
  return {std::move(copy),
          {data + FramePrefix::kBytes, header_bytes},
          {data + FramePrefix::kBytes + header_bytes, body_bytes}};
}

Result<Message> through_the_wire(const Message& message) {
  return decode_from_anybody(frame_of(wire_bytes(encode(message))));
}

std::string joined(const std::vector<Slice>& slices) {
  std::string text;
  for (const Slice& slice : slices) {
    text.append(reinterpret_cast<const char*>(slice.bytes.data()), slice.bytes.size());
  }
  return text;
}

/// Whether two messages are the same, however their bytes are cut into slices.
bool same(const Message& a, const Message& b) {
  if (a.index() != b.index()) return false;
  return std::visit(
      [&](const auto& left) {
        using T = std::decay_t<decltype(left)>;
        const T& right = std::get<T>(b);
        if constexpr (std::is_same_v<T, Append>) {
          return joined({left.commands}) == joined({right.commands});
        } else if constexpr (std::is_same_v<T, ReadAnswer>) {
          return left.request == right.request && left.outcome == right.outcome &&
                 left.lsn_begin == right.lsn_begin && left.count == right.count &&
                 left.lsn_end == right.lsn_end && left.first_lsn == right.first_lsn &&
                 left.detail == right.detail && left.leader == right.leader &&
                 left.retry_ms == right.retry_ms && joined(left.entries) == joined(right.entries) &&
                 left.retention == right.retention;
        } else if constexpr (std::is_same_v<T, TailEntries>) {
          return left.request == right.request && left.lsn_begin == right.lsn_begin &&
                 left.count == right.count && joined(left.entries) == joined(right.entries);
        } else {
          return left == right;
        }
      },
      a);
}

Speaker speaker_of(const Message& message) {
  return std::holds_alternative<paxos::Message>(message) ? Speaker::node : Speaker::server;
}

/// Of all samples, as a version before this one has sent them, a line each. A change of the
/// protocol adds a file, and samples of what is new; those that are there stay:
///   build/release/tests/unit_tests -tc="record the frames" --no-skip
std::string recorded(std::uint16_t version) {
  return std::string(STELE_SOURCE_DIR) + "/tests/net/wire/recorded/protocol-" +
         std::to_string(version) + ".txt";
}

}  // namespace

TEST_SUITE("net.codec") {
  TEST_CASE("record the frames" * doctest::skip()) {
    std::ofstream file(recorded(kProtocolVersion));
    for (const Message& message : samples()) file << to_hex(wire_bytes(encode(message))) << '\n';
    REQUIRE(file.flush());
  }

  // From here on what was sent once stays readable.
  TEST_CASE("frames of protocol 4 say what they said") {
    std::ifstream file(recorded(4));
    std::size_t frames = 0;
    for (std::string line; std::getline(file, line); ++frames) {
      CAPTURE(frames);
      const auto read = decode_from_anybody(frame_of(from_hex(line)));
      REQUIRE_MESSAGE(read.has_value(), read.error().detail);
      const std::vector<Message> all = samples();
      CHECK(std::ranges::any_of(all, [&](const Message& sample) { return same(sample, *read); }));
    }
    CHECK(frames == 51);
  }

  TEST_CASE("every kind of message survives the wire, field by field") {
    std::set<std::size_t> kinds;
    std::set<std::size_t> paxos_kinds;
    for (const Message& message : samples()) {
      CAPTURE(message.index());
      const auto read = through_the_wire(message);
      REQUIRE_MESSAGE(read.has_value(), read.error().detail);
      CHECK(same(message, *read));
      kinds.insert(message.index());
      if (const auto* m = std::get_if<paxos::Message>(&message))
        paxos_kinds.insert(m->body.index());
    }
    CHECK(kinds.size() == std::variant_size_v<Message>);
    CHECK(paxos_kinds.size() == std::variant_size_v<paxos::Body>);
  }

  // What a client may make a node do is what clients do.
  TEST_CASE("each side says its own kinds of messages, and no others") {
    std::map<Speaker, std::set<std::size_t>> said;
    for (const Message& message : samples()) {
      for (const Speaker speaker : kSpeakers) {
        const auto read = decode(frame_of(wire_bytes(encode(message))), speaker);
        if (read) {
          said[speaker].insert(message.index());
        } else {
          CHECK(read.error().code == Errc::malformed);
          CHECK_FALSE(read.error().detail.empty());
        }
      }
    }
    const auto kinds = [](const std::vector<Message>& messages) {
      std::set<std::size_t> indices;
      for (const Message& message : messages) indices.insert(message.index());
      return indices;
    };
    CHECK(said[Speaker::stranger] == kinds({Hello{}}));
    CHECK(said[Speaker::client] ==
          kinds({OpenSession{}, Append{}, Read{}, Tail{}, TailCredit{}, StatusAsk{}, KeepAlive{}}));
    CHECK(said[Speaker::server] ==
          kinds({Hello{}, Refused{}, SessionOpened{}, AppendResults{}, ReadAnswer{}, TailEntries{},
                 TailEnd{}, StatusAnswer{}, KeepAlive{}}));
    CHECK(said[Speaker::node] == kinds({paxos::Message{}, Report{}, KeepAlive{}}));
    CHECK(said[Speaker::listening] == kinds({Hello{}, Refused{}, Report{}, KeepAlive{}}));
  }

  TEST_CASE("a value of a kind that this version does not know is passed on as it is") {
    const Slice bytes = slice("of a newer version");
    const paxos::Value value(static_cast<paxos::ValueKind>(9), {bytes}, value_digest(bytes.bytes));
    const paxos::Message message{{1}, paxos::Accept{{1, {1}}, {1}, value}};
    const auto read = through_the_wire(message);
    REQUIRE(read);
    CHECK(same(message, *read));
  }

  TEST_CASE("a value keeps the frame's buffer, without a copy") {
    const auto bytes =
        wire_bytes(encode(paxos::Message{{1}, paxos::Accept{{1, {1}}, {1}, paxos::value("x")}}));
    const InFrame frame = frame_of(bytes);
    const auto read = decode(frame, Speaker::node);
    REQUIRE(read);
    const auto& accept = std::get<paxos::Accept>(std::get<paxos::Message>(*read).body);
    CHECK(accept.value.parts()[0].bytes.data() == frame.body.data());
  }

  TEST_CASE("what no node would say is refused") {
    using namespace paxos;
    const Ballot b{7, kN2};
    const std::vector<Body> wrong{
        Prepare{{}, {1}},       // Ballot 0.
        Prepare{{7, {}}, {1}},  // No node.
        Prepare{b, {0}},        // Slot 0.
        Accepted{b, {4}, {4}},  // An empty range.
        Chosen{b, {9}, {4}},    // An inverted one.
        Promise{b, {5}, {4}, true, {1}, {}},
        Promise{b, {1}, {9}, true, {1}, {record(4, {9, kN3}, "above the ballot")}},
        Promise{b, {1}, {4}, true, {1}, {record(4, {1, kN1}, "outside")}},
        Promise{b, {1}, {9}, true, {1}, {record(5, {1, kN1}, "x"), record(4, {1, kN1}, "order")}},
        Fetched{{4}, {9}, {record(4, b, "x"), record(6, b, "hole")}},
        Fetched{{4}, {5}, {record(4, b, "x"), record(5, b, "not chosen")}},
        Fetch{{UINT64_MAX}},  // Where adding would wrap around.
    };
    for (const Body& body : wrong) {
      CAPTURE(name_of(body));
      CHECK_FALSE(through_the_wire(paxos::Message{{1}, body}).has_value());
    }
    CHECK_FALSE(through_the_wire(paxos::Message{{0}, Prepare{b, {1}}}).has_value());
    Hello hello;
    hello.node = {64};
    CHECK_FALSE(through_the_wire(hello).has_value());
    hello.node = {1};
    hello.software = std::string(5000, 'x');
    CHECK_FALSE(through_the_wire(hello).has_value());
    CHECK_FALSE(
        through_the_wire(SessionOpened{1, static_cast<Outcome>(200), {}, "", 0}).has_value());
  }

  TEST_CASE("a value that does not match its digest is refused") {
    auto bytes = wire_bytes(
        encode(paxos::Message{{1}, paxos::Accept{{1, {1}}, {1}, paxos::value("payload!")}}));
    bytes.back() ^= std::byte{1};
    const auto read = decode(frame_of(bytes), Speaker::node);
    REQUIRE_FALSE(read.has_value());
    CHECK(read.error().detail.find("digest") != std::string::npos);
  }

  TEST_CASE("a body that is longer or shorter than described is refused") {
    const auto bytes = wire_bytes(
        encode(paxos::Message{{1}, paxos::Accept{{1, {1}}, {1}, paxos::value("payload!")}}));
    InFrame frame = frame_of(bytes);
    frame.body = frame.body.first(frame.body.size() - 1);
    CHECK_FALSE(decode(frame, Speaker::node).has_value());
    const auto prepare = wire_bytes(encode(paxos::Message{{1}, paxos::Prepare{{1, {1}}, {1}}}));
    InFrame longer = frame_of(prepare);
    longer.body = longer.header;
    CHECK_FALSE(decode(longer, Speaker::node).has_value());
  }

  // Whatever bytes arrive, decoding ends with a message or a sentence.
  TEST_CASE("damaged headers are refused or read, and never crash") {
    std::mt19937_64 random(1);
    std::size_t refused = 0;
    std::size_t read = 0;
    for (const Message& message : samples()) {
      const auto bytes = wire_bytes(encode(message));
      for (int i = 0; i < 2000; ++i) {
        auto damaged = bytes;
        const std::size_t header_begin = FramePrefix::kBytes;
        const std::size_t changes = 1 + random() % 4;
        for (std::size_t k = 0; k < changes; ++k) {
          damaged[header_begin + random() % (damaged.size() - header_begin)] =
              static_cast<std::byte>(random());
        }
        (decode_from_anybody(frame_of(damaged)) ? read : refused) += 1;
      }
    }
    CHECK(refused > 10'000);
    CHECK(read > 1'000);
  }

  TEST_CASE("headers of random bytes and lengths are refused") {
    std::mt19937_64 random(2);
    for (int i = 0; i < 20'000; ++i) {
      auto bytes = std::make_shared<std::vector<std::byte>>(8 * (random() % 40));
      for (std::byte& byte : *bytes) byte = static_cast<std::byte>(random());
      // Mostly a plausible segment table, so that the reader itself is reached.
      if (i % 4 != 0 && bytes->size() >= 16) {
        const std::uint32_t table[2] = {0, static_cast<std::uint32_t>(bytes->size() / 8 - 1)};
        std::memcpy(bytes->data(), table, sizeof table);
      }
      const std::span<const std::byte> header(*bytes);
      const auto read = decode_from_anybody({bytes, header, {}});
      if (!read) CHECK_FALSE(read.error().detail.empty());
    }
  }

  // An empty element takes nothing on the wire, and something here: 3 MiB became 164.
  TEST_CASE("lists that claim more elements than came are refused, before any is built") {
    const std::uint32_t elements = 3000;
    const std::vector<paxos::SlotRecord> records(elements, paxos::record(1, {1, {1}}, ""));
    const std::vector<Message> lists{
        AppendResults{std::vector<CommandResult>(elements), "", 0},
        paxos::Message{{1}, paxos::Promise{{7, {2}}, {1}, {9}, true, {1}, records}},
        paxos::Message{{1}, paxos::Fetched{{1}, {9}, records}}};
    for (const Message& message : lists) {
      const auto bytes = wire_bytes(encode(message));
      // The word before the elements: how many there are, and how many words each one has.
      std::size_t tags = 0;
      for (std::size_t at = FramePrefix::kBytes; at + 8 <= bytes.size(); at += 8) {
        std::uint64_t word = 0;
        std::memcpy(&word, bytes.data() + at, 8);
        if (static_cast<std::uint32_t>(word) != elements << 2 || word >> 32 == 0) continue;
        ++tags;
        auto damaged = bytes;
        const std::uint64_t empty_elements = std::uint64_t{8 * elements} << 2;
        std::memcpy(damaged.data() + at, &empty_elements, 8);
        const auto read = decode(frame_of(damaged), speaker_of(message));
        REQUIRE_FALSE(read.has_value());
        CHECK(read.error().detail == "a list that is longer than its message");
      }
      CHECK(tags == 1);
    }
  }
}

}  // namespace stele::net
