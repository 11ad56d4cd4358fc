#include "net/link/read_buffer.h"

#include <doctest/doctest.h>

#include <cstring>
#include <random>
#include <thread>

#include "tests/net/wire/samples.h"

namespace stele::net {
namespace {

/// Feeds bytes in steps of at most `step`, and takes all frames as they become whole.
std::vector<Message> feed(ReadBuffer& buffer, std::span<const std::byte> bytes, std::size_t step,
                          bool keep, std::vector<Message>* kept = nullptr) {
  std::vector<Message> messages;
  while (!bytes.empty()) {
    const auto space = buffer.space();
    REQUIRE(!space.empty());
    const std::size_t count = std::min({space.size(), bytes.size(), step});
    std::memcpy(space.data(), bytes.data(), count);
    buffer.filled(count);
    bytes = bytes.subspan(count);
    while (true) {
      auto frame = buffer.next();
      REQUIRE(frame.has_value());
      if (!*frame) break;
      CHECK(reinterpret_cast<std::uintptr_t>((*frame)->header.data()) % 8 == 0);
      auto message = decode_from_anybody(**frame);
      REQUIRE(message.has_value());
      messages.push_back(*message);
      if (keep && kept != nullptr) kept->push_back(*message);
    }
  }
  return messages;
}

Message accept_of(std::size_t bytes, char fill) {
  return paxos::Message{{1}, paxos::Accept{{1, {1}}, {1}, paxos::value(std::string(bytes, fill))}};
}

}  // namespace

TEST_SUITE("net.read_buffer") {
  TEST_CASE("frames come out whole, however the stream is cut") {
    std::vector<std::byte> stream;
    for (const Message& message : samples()) {
      const auto bytes = wire_bytes(encode(message));
      stream.insert(stream.end(), bytes.begin(), bytes.end());
    }
    for (const std::size_t step : {1U, 7U, 16U, 1000U, 1000000U}) {
      ReadBuffer buffer;
      buffer.set_frame_bytes_max(kFrameBytesMax);
      CHECK(feed(buffer, stream, step, false).size() == samples().size());
    }
  }

  TEST_CASE("what is kept of earlier frames is not overwritten by later ones") {
    ReadBuffer buffer;
    buffer.set_frame_bytes_max(kFrameBytesMax);
    std::mt19937_64 random(4);
    std::vector<Message> kept;
    std::vector<std::size_t> sizes;
    for (int i = 0; i < 400; ++i) {
      const std::size_t size = random() % (i % 10 == 0 ? 700'000 : 3000);
      sizes.push_back(size);
      feed(buffer, wire_bytes(encode(accept_of(size, static_cast<char>('a' + i % 26)))), 5000, true,
           &kept);
    }
    REQUIRE(kept.size() == 400);
    for (std::size_t i = 0; i < kept.size(); ++i) {
      const auto& accept = std::get<paxos::Accept>(std::get<paxos::Message>(kept[i]).body);
      CHECK(accept.value.size() == sizes[i]);
      CHECK(intact(accept.value));
    }
  }

  TEST_CASE("one small buffer serves an idle connection for ever") {
    ReadBuffer buffer;
    const std::byte* first = buffer.space().data();
    for (int i = 0; i < 1000; ++i) {
      feed(buffer, wire_bytes(encode(KeepAlive{})), 1000, false);
      CHECK(buffer.space().data() == first);
      CHECK(buffer.space().size() == ReadBuffer::kChunkBytesMin);
    }
  }

  TEST_CASE("a buffer is used again once its last frame was dropped, on another thread, too") {
    ReadBuffer buffer;
    const std::byte* const first = buffer.space().data();
    const auto bytes = wire_bytes(encode(KeepAlive{}));
    std::memcpy(buffer.space().data(), bytes.data(), bytes.size());
    buffer.filled(bytes.size());
    std::byte sum{};
    std::thread reader([&sum, frame = **buffer.next()]() mutable {
      for (const std::byte byte : frame.header) sum ^= byte;
      frame = {};
    });
    while (buffer.space().data() != first) std::this_thread::yield();
    std::memset(buffer.space().data(), 0, bytes.size());
    reader.join();
  }

  TEST_CASE("a small frame does not keep the large buffer alive in which it came") {
    ReadBuffer buffer;
    buffer.set_frame_bytes_max(kFrameBytesMax);
    // A large frame makes the buffer large; small ones follow in it.
    std::vector<std::byte> bytes = wire_bytes(encode(accept_of(300'000, 'x')));
    const std::size_t large_bytes = bytes.size();
    for (int i = 0; i < 3; ++i) {
      const auto small = wire_bytes(encode(accept_of(100, 'y')));
      bytes.insert(bytes.end(), small.begin(), small.end());
    }
    std::vector<InFrame> frames;
    for (std::size_t done = 0; done < bytes.size();) {
      const auto space = buffer.space();
      const std::size_t count = std::min({space.size(), bytes.size() - done, large_bytes});
      std::memcpy(space.data(), bytes.data() + done, count);
      buffer.filled(count);
      done += count;
      while (true) {
        auto frame = buffer.next();
        REQUIRE(frame);
        if (!*frame) break;
        frames.push_back(*std::move(*frame));
      }
    }
    REQUIRE(frames.size() == 4);
    // Two small frames that shared the chunk do not share an owner.
    CHECK(frames[2].owner.get() != frames[3].owner.get());
    const auto last = decode(frames[3], Speaker::node);
    REQUIRE(last);
    const auto& accept = std::get<paxos::Accept>(std::get<paxos::Message>(*last).body);
    CHECK(accept.value.size() == 100);
    CHECK(intact(accept.value));
  }

  TEST_CASE("a frame above the limit is refused before it is read") {
    ReadBuffer buffer;
    const auto bytes = wire_bytes(encode(accept_of(kHelloBytesMax, 'x')));
    const auto space = buffer.space();
    std::memcpy(space.data(), bytes.data(), 16);
    buffer.filled(16);
    CHECK_FALSE(buffer.next().has_value());
  }

  // Reading may go on while nobody takes frames; the buffer must not be overrun, nor be full for
  // ever.
  TEST_CASE("what is read and not taken never overruns the buffer; discard drops it") {
    ReadBuffer buffer;
    for (int i = 0; i < 100; ++i) {
      const auto space = buffer.space();
      REQUIRE_FALSE(space.empty());
      std::memset(space.data(), 'x', space.size());
      buffer.filled(space.size());
      if (i % 7 == 6) buffer.discard();
    }
  }

  TEST_CASE("a header that does not match its checksum is refused") {
    ReadBuffer buffer;
    auto bytes = wire_bytes(encode(StatusAsk{1}));
    bytes[FramePrefix::kBytes + 12] ^= std::byte{1};
    const auto space = buffer.space();
    std::memcpy(space.data(), bytes.data(), bytes.size());
    buffer.filled(bytes.size());
    CHECK_FALSE(buffer.next().has_value());
  }

  TEST_CASE("a large frame waits for memory that others hold, and arrives when there is some") {
    const auto memory = std::make_shared<ReceiveMemory>(1 << 20, 0);
    ReadBuffer first(memory);
    ReadBuffer second(memory);
    const auto bytes = wire_bytes(encode(accept_of(600'000, 'x')));
    const std::span<const std::byte> all(bytes);
    first.set_frame_bytes_max(kFrameBytesMax);
    second.set_frame_bytes_max(kFrameBytesMax);
    // The head of the frame fits into the first small buffer; then its size is known.
    feed(first, all.first(5000), 5000, false);
    CHECK(first.holds_memory());
    REQUIRE(second.space().size() == ReadBuffer::kChunkBytesMin);
    std::memcpy(second.space().data(), bytes.data(), ReadBuffer::kChunkBytesMin);
    second.filled(ReadBuffer::kChunkBytesMin);
    REQUIRE(second.next());
    CHECK(second.space().empty());
    bool again = false;
    memory->wait([&] { again = true; });

    CHECK(feed(first, all.subspan(5000), 100'000, false).size() == 1);
    CHECK_FALSE(first.space().empty());  // Gives it back with the next read at the latest.
    CHECK(again);
    CHECK(memory->reserved() < 600'000);
    CHECK(feed(second, all.subspan(ReadBuffer::kChunkBytesMin), 100'000, false).size() == 1);
    first.discard();
    second.discard();
    CHECK(memory->reserved() == 0);
  }

  TEST_CASE("a buffer for a large frame holds nothing of the next one") {
    const auto memory = std::make_shared<ReceiveMemory>(1 << 20, 0);
    ReadBuffer buffer(memory);
    buffer.set_frame_bytes_max(kFrameBytesMax);
    const auto bytes = wire_bytes(encode(accept_of(700'000, 'x')));
    feed(buffer, std::span<const std::byte>(bytes).first(5000), 5000, false);
    CHECK(buffer.space().size() == bytes.size() - 5000);
    CHECK(memory->reserved() == bytes.size());
  }

  TEST_CASE("leave_bound: what it receives counts no more") {
    const auto memory = std::make_shared<ReceiveMemory>(1000, 0);
    REQUIRE(memory->reserve(1000));
    ReadBuffer buffer(memory);
    buffer.set_frame_bytes_max(kFrameBytesMax);
    buffer.leave_bound();
    CHECK(feed(buffer, wire_bytes(encode(accept_of(700'000, 'x'))), 100'000, false).size() == 1);
    CHECK(memory->reserved() == 1000);
  }
}

}  // namespace stele::net
