#include "net/wire/codec_parts.h"

#include "net/wire/digest.h"

namespace stele::net::codec {
namespace {

constexpr std::size_t kTextBytesMax = 4096;

}  // namespace

std::string text(capnp::Text::Reader from) {
  require(from.size() <= kTextBytesMax, "a text is too long");
  return std::string(from.begin(), from.size());
}

NodeId node_id(std::uint8_t raw, bool none_allowed) {
  require(raw <= kNodeIdMax && (raw != 0 || none_allowed), "a node id is out of range");
  return {raw};
}

std::uint64_t counter(std::uint64_t raw) {
  require(is_counter(raw), "a number is out of range");
  return raw;
}

Slot slot(std::uint64_t raw) {
  require(raw != 0, "slot 0");
  return {counter(raw)};
}

Outcome outcome(std::uint8_t raw) {
  require(raw <= static_cast<std::uint8_t>(kOutcomeLast), "an unknown outcome");
  return static_cast<Outcome>(raw);
}

Ballot any_ballot(wire::Ballot::Reader from) {
  return {counter(from.getRound()), node_id(from.getNode(), true)};
}

Ballot ballot(wire::Ballot::Reader from) {
  const Ballot read = any_ballot(from);
  require(read.round != 0 && read.node.value != 0, "ballot 0");
  return read;
}

Slice InBody::take(std::size_t bytes) {
  require(bytes <= body_.size(), "a frame's body is shorter than what its header describes");
  Slice slice{owner_, body_.first(bytes)};
  body_ = body_.subspan(bytes);
  return slice;
}

Slice InBody::take_all(std::uint64_t digest) {
  Slice slice = take(body_.size());
  require(value_digest(slice.bytes) == digest, "a body does not match its digest");
  return slice;
}

}  // namespace stele::net::codec
