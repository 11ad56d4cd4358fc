#include "net/wire/codec.h"

#include <capnp/message.h>
#include <capnp/serialize.h>

#include <algorithm>
#include <cstring>
#include <initializer_list>
#include <utility>

#include "net/wire/codec_parts.h"
#include "net/wire/wire.capnp.h"
#include "paxos/base/check.h"

namespace stele::net {
namespace {

using codec::require;
using wire::Frame;

constexpr std::size_t kScratchWords = 256;
constexpr std::size_t kSegmentsMax = 64;
/// Clients say nothing longer than a hello, but for what is in bodies.
constexpr std::size_t kClientHeaderBytesMax = kHelloBytesMax;

/// Prefix, segment table and segments, in one piece.
std::vector<std::byte> serialize(capnp::MallocMessageBuilder& builder, std::size_t body_bytes) {
  const auto segments = builder.getSegmentsForOutput();
  const std::size_t table_words = segments.size() / 2 + 1;
  std::size_t words = table_words;
  for (const auto& segment : segments) words += segment.size();

  std::vector<std::byte> head(FramePrefix::kBytes + words * 8);
  std::byte* at = head.data() + FramePrefix::kBytes;
  std::vector<std::uint32_t> table(table_words * 2);
  table[0] = static_cast<std::uint32_t>(segments.size() - 1);
  for (std::size_t i = 0; i < segments.size(); ++i) {
    table[i + 1] = static_cast<std::uint32_t>(segments[i].size());
  }
  std::memcpy(at, table.data(), table_words * 8);
  at += table_words * 8;
  for (const auto& segment : segments) {
    std::memcpy(at, segment.begin(), segment.size() * 8);
    at += segment.size() * 8;
  }
  const auto prefix =
      make_prefix(std::span<const std::byte>(head).subspan(FramePrefix::kBytes), body_bytes);
  std::memcpy(head.data(), prefix.data(), prefix.size());
  return head;
}

/// Whether that side says such things.
void require_from(Speaker speaker, Frame::Which kind) {
  const auto is_one_of = [kind](std::initializer_list<Frame::Which> kinds) {
    return std::ranges::find(kinds, kind) != kinds.end();
  };
  switch (speaker) {
    case Speaker::stranger:
      return require(kind == Frame::HELLO, "the first message must be a hello, and no other");
    case Speaker::client:
      return require(is_one_of({Frame::OPEN_SESSION, Frame::APPEND, Frame::READ, Frame::TAIL,
                                Frame::TAIL_CREDIT, Frame::STATUS_ASK, Frame::KEEP_ALIVE}),
                     "a client does not send this kind of message");
    case Speaker::server:
      return require(is_one_of({Frame::HELLO, Frame::REFUSED, Frame::SESSION_OPENED,
                                Frame::APPEND_RESULTS, Frame::READ_RESULT, Frame::TAIL_ENTRIES,
                                Frame::TAIL_END, Frame::STATUS, Frame::KEEP_ALIVE}),
                     "a node does not send this kind of message to clients");
    case Speaker::node:
      return require(is_one_of({Frame::PAXOS, Frame::REPORT, Frame::KEEP_ALIVE}),
                     "a node does not send this kind of message to nodes");
    case Speaker::listening:
      return require(is_one_of({Frame::HELLO, Frame::REFUSED, Frame::REPORT, Frame::KEEP_ALIVE}),
                     "a node does not send this kind of message to those who have dialled it");
  }
}

/// Checks the segment table that Cap'n Proto itself would trust.
void check_segments(std::span<const std::byte> header) {
  std::uint32_t count = 0;
  std::memcpy(&count, header.data(), 4);
  require(count < kSegmentsMax, "too many segments");
  ++count;
  std::size_t words = count / 2 + 1;
  require(header.size() >= words * 8, "a segment table that does not fit");
  for (std::uint32_t i = 0; i < count; ++i) {
    std::uint32_t segment_words = 0;
    std::memcpy(&segment_words, header.data() + 4 + std::size_t{4} * i, 4);
    words += segment_words;
  }
  require(words * 8 == header.size(), "segments that do not fill the header");
}

Message read_message(Frame::Reader from, codec::InBody& body) {
  switch (from.which()) {
    case Frame::HELLO: return codec::get_hello(from.getHello());
    case Frame::REFUSED: return Refused{codec::text(from.getRefused())};
    case Frame::PAXOS: return codec::get_paxos(from.getPaxos(), body);
    case Frame::REPORT: return codec::get_report(from.getReport());
    case Frame::KEEP_ALIVE: return KeepAlive{};
    default: return codec::get_client(from, body);
  }
}

Message message_of(Frame::Reader from, const InFrame& frame) {
  codec::InBody body(frame);
  Message read = read_message(from, body);
  require(body.empty(), "a frame's body is longer than what its header describes");
  return read;
}

}  // namespace

OutFrame encode(const Message& message) {
  capnp::word scratch[kScratchWords] = {};
  capnp::MallocMessageBuilder builder(kj::arrayPtr(scratch, kScratchWords));
  codec::OutBody body;
  auto root = builder.initRoot<Frame>();
  std::visit([&](const auto& any) { codec::put(root, any, body); }, message);

  OutFrame frame;
  frame.body = std::move(body.slices);
  frame.body_bytes = body.bytes;
  frame.head = serialize(builder, body.bytes);
  STELE_CHECK(frame.head.size() <= kHeaderBytesMax && frame.bytes() <= kFrameBytesMax);
  return frame;
}

Result<Message> decode(const InFrame& frame, Speaker speaker) {
  try {
    const bool small = speaker == Speaker::stranger || speaker == Speaker::client;
    require(!small || frame.header.size() <= kClientHeaderBytesMax, "a header is too long");
    require(frame.header.size() >= 8, "a header without a segment table");
    check_segments(frame.header);
    capnp::ReaderOptions options;
    options.traversalLimitInWords = 8 * (frame.header.size() / 8) + 1024;
    options.nestingLimit = 8;
    const auto* words = reinterpret_cast<const capnp::word*>(frame.header.data());
    capnp::FlatArrayMessageReader reader(kj::arrayPtr(words, frame.header.size() / 8), options);
    const auto root = reader.getRoot<Frame>();
    require(root.getGroup() == kGroup, "a frame of a group that is not here");
    require_from(speaker, root.which());
    return message_of(root, frame);
  } catch (const codec::Malformed& malformed) {
    return fail(Errc::malformed, malformed.what);
  } catch (const kj::Exception& exception) {
    return fail(Errc::malformed, std::string("not a valid Cap'n Proto message: ") +
                                     exception.getDescription().cStr());
  }
}

}  // namespace stele::net
