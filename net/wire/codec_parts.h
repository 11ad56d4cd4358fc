// What the codecs of all messages have in common. For net/wire alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "net/wire/frame.h"
#include "net/wire/message.h"
#include "net/wire/wire.capnp.h"

namespace stele::net::codec {

// --- Encoding ----------------------------------------------------------------------------

/// Collects the body while the header is written.
struct OutBody {
  std::vector<Slice> slices;
  std::size_t bytes = 0;

  void add(std::span<const Slice> parts) {
    for (const Slice& part : parts) {
      if (part.bytes.empty()) continue;
      slices.push_back(part);
      bytes += part.bytes.size();
    }
  }
};

inline void put(wire::Ballot::Builder to, Ballot ballot) {
  to.setRound(ballot.round);
  to.setNode(static_cast<std::uint8_t>(ballot.node.value));
}

// One for each message, in the file of its topic.
void put(wire::Frame::Builder to, const paxos::Message& message, OutBody& body);
void put(wire::Frame::Builder to, const Hello& hello, OutBody& body);
void put(wire::Frame::Builder to, const Refused& refused, OutBody& body);
void put(wire::Frame::Builder to, const Report& report, OutBody& body);
void put(wire::Frame::Builder to, const KeepAlive& alive, OutBody& body);
void put(wire::Frame::Builder to, const OpenSession& open, OutBody& body);
void put(wire::Frame::Builder to, const SessionOpened& opened, OutBody& body);
void put(wire::Frame::Builder to, const Append& append, OutBody& body);
void put(wire::Frame::Builder to, const AppendResults& results, OutBody& body);
void put(wire::Frame::Builder to, const Read& read, OutBody& body);
void put(wire::Frame::Builder to, const ReadAnswer& answer, OutBody& body);
void put(wire::Frame::Builder to, const Tail& tail, OutBody& body);
void put(wire::Frame::Builder to, const TailCredit& credit, OutBody& body);
void put(wire::Frame::Builder to, const TailEntries& entries, OutBody& body);
void put(wire::Frame::Builder to, const TailEnd& end, OutBody& body);
void put(wire::Frame::Builder to, const StatusAsk& ask, OutBody& body);
void put(wire::Frame::Builder to, const StatusAnswer& answer, OutBody& body);

// --- Decoding ----------------------------------------------------------------------------

/// Thrown and caught within the codec only, as kj's own exceptions are.
struct Malformed {
  std::string what;
};

inline void require(bool condition, const char* what) {
  if (!condition) throw Malformed{what};
}

[[nodiscard]] std::string text(capnp::Text::Reader from);
[[nodiscard]] NodeId node_id(std::uint8_t raw, bool none_allowed = false);
/// Counters stay far from their end, so that adding to one never wraps around.
[[nodiscard]] std::uint64_t counter(std::uint64_t raw);
[[nodiscard]] Slot slot(std::uint64_t raw);
[[nodiscard]] Outcome outcome(std::uint8_t raw);
[[nodiscard]] Ballot any_ballot(wire::Ballot::Reader from);
[[nodiscard]] Ballot ballot(wire::Ballot::Reader from);

/// A frame's body, from which messages take what their headers describe.
class InBody {
 public:
  explicit InBody(const InFrame& frame)
      : owner_(frame.owner), header_bytes_(frame.header.size()), body_(frame.body) {}

  [[nodiscard]] Slice take(std::size_t bytes);
  /// What is left, which has that digest.
  [[nodiscard]] Slice take_all(std::uint64_t digest);
  /// All that is claimed to be there may have come: the elements of a list have at least so many
  /// bytes each. A list that claims more than that must not make this side build it.
  void require_came(std::size_t elements, std::size_t bytes_min) const {
    require(elements <= header_bytes_ / bytes_min, "a list that is longer than its message");
  }
  [[nodiscard]] bool empty() const { return body_.empty(); }

 private:
  std::shared_ptr<const void> owner_;
  std::size_t header_bytes_;
  std::span<const std::byte> body_;  // What is not yet taken.
};

// One for each topic; `from` is of that topic.
[[nodiscard]] paxos::Message get_paxos(wire::Paxos::Reader from, InBody& body);
[[nodiscard]] Hello get_hello(wire::Hello::Reader from);
[[nodiscard]] Report get_report(wire::Report::Reader from);
[[nodiscard]] Message get_client(wire::Frame::Reader from, InBody& body);

}  // namespace stele::net::codec
