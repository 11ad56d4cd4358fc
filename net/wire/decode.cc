// Frames to messages: everything is validated here, and nothing asserted.

#include <capnp/message.h>
#include <capnp/serialize.h>

#include <algorithm>
#include <cstring>
#include <initializer_list>
#include <optional>
#include <utility>

#include "net/wire/codec.h"
#include "net/wire/digest.h"
#include "net/wire/wire.capnp.h"

namespace stele::net {
namespace {

using wire::Frame;

constexpr std::size_t kSegmentsMax = 64;
constexpr std::size_t kTextBytesMax = 4096;
/// Clients say nothing longer than a hello, but for what is in bodies.
constexpr std::size_t kClientHeaderBytesMax = kHelloBytesMax;
/// The elements of a list have at least so many bytes each: who claims more of them than came does
/// not make this side build them.
constexpr std::size_t kRecordBytesMin = 32;
constexpr std::size_t kResultBytesMin = 40;

/// Thrown and caught in this file only, like kj's own exceptions.
struct Malformed {
  std::string what;
};

void require(bool condition, const char* what) {
  if (!condition) throw Malformed{what};
}

std::string text(capnp::Text::Reader reader) {
  require(reader.size() <= kTextBytesMax, "a text is too long");
  return std::string(reader.begin(), reader.size());
}

NodeId node_id(std::uint8_t raw, bool none_allowed = false) {
  require(raw <= kNodeIdMax && (raw != 0 || none_allowed), "a node id is out of range");
  return {raw};
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

/// Counters stay far from their end, so that adding to one never wraps around.
std::uint64_t counter(std::uint64_t raw) {
  require(raw < (std::uint64_t{1} << 62), "a number is out of range");
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

class Decoder {
 public:
  explicit Decoder(const InFrame& frame)
      : owner_(frame.owner), header_bytes_(frame.header.size()), body_(frame.body) {}

  Message message(Frame::Reader from) {
    Message read = read_message(from);
    require(body_.empty(), "a frame's body is longer than what its header describes");
    return read;
  }

 private:
  Slice take(std::size_t bytes) {
    require(bytes <= body_.size(), "a frame's body is shorter than what its header describes");
    const Slice slice{owner_, body_.first(bytes)};
    body_ = body_.subspan(bytes);
    return slice;
  }

  Slice take_all(std::uint64_t expected_digest) {
    const Slice slice = take(body_.size());
    require(value_digest(slice.bytes) == expected_digest, "a body does not match its digest");
    return slice;
  }

  paxos::Value value(wire::Value::Reader from) {
    const std::uint8_t kind = from.getKind();  // One of a newer version is voted for all the same.
    const Slice slice = take(from.getBytes());
    require(value_digest(slice.bytes) == from.getDigest(), "a value does not match its digest");
    if (static_cast<paxos::ValueKind>(kind) == paxos::ValueKind::noop) {
      require(slice.bytes.empty(), "a noop with bytes");
      return {};
    }
    return {static_cast<paxos::ValueKind>(kind), {slice}, from.getDigest()};
  }

  /// All that is claimed to be there may have come.
  void require_came(std::size_t elements, std::size_t bytes_min) const {
    require(elements <= header_bytes_ / bytes_min, "a list that is longer than its message");
  }

  /// Ascending slots within [begin, end).
  std::vector<paxos::SlotRecord> records(capnp::List<wire::Record>::Reader list, Slot begin,
                                         Slot end) {
    require_came(list.size(), kRecordBytesMin);
    std::vector<paxos::SlotRecord> read;
    read.reserve(list.size());
    for (const auto from : list) {
      paxos::SlotRecord record;
      record.slot = slot(from.getSlot());
      require(record.slot >= begin && record.slot < end, "a record outside of its range");
      require(read.empty() || read.back().slot < record.slot, "records out of order");
      record.epoch = {counter(from.getEpoch())};
      require(record.epoch.value != 0, "epoch 0");
      record.ballot = ballot(from.getBallot());
      record.value = value(from.getValue());
      read.push_back(std::move(record));
    }
    return read;
  }

  paxos::Body paxos_body(wire::Paxos::Reader from) {
    switch (from.which()) {
      case wire::Paxos::PREPARE: {
        const auto m = from.getPrepare();
        return paxos::Prepare{ballot(m.getBallot()), slot(m.getSlotBegin())};
      }
      case wire::Paxos::PROMISE: {
        const auto m = from.getPromise();
        paxos::Promise read;
        read.ballot = ballot(m.getBallot());
        read.slot_begin = slot(m.getSlotBegin());
        read.slot_end = slot(m.getSlotEnd());
        require(read.slot_begin <= read.slot_end, "a promise with an inverted range");
        read.last = m.getLast();
        read.chosen_end = slot(m.getChosenEnd());
        read.accepted = records(m.getAccepted(), read.slot_begin, read.slot_end);
        for (const paxos::SlotRecord& record : read.accepted) {
          require(record.ballot <= read.ballot, "a promise that tells a vote above its ballot");
        }
        return read;
      }
      case wire::Paxos::FAULTY: {
        const auto m = from.getFaulty();
        return paxos::Faulty{ballot(m.getBallot()), slot(m.getSlot())};
      }
      case wire::Paxos::ACCEPT: {
        const auto m = from.getAccept();
        return paxos::Accept{ballot(m.getBallot()), slot(m.getSlot()), value(m.getValue()),
                             from.getRecovers()};
      }
      case wire::Paxos::ACCEPTED: {
        const auto m = from.getAccepted();
        const paxos::Accepted read{ballot(m.getBallot()), slot(m.getSlotBegin()),
                                   slot(m.getSlotEnd())};
        require(read.slot_begin < read.slot_end, "an empty range of slots");
        return read;
      }
      case wire::Paxos::NACK: {
        const auto m = from.getNack();
        return paxos::Nack{ballot(m.getBallot()), any_ballot(m.getPromised()), m.getNoSpace()};
      }
      case wire::Paxos::CHOSEN_END: return paxos::ChosenEnd{slot(from.getChosenEnd())};
      case wire::Paxos::CHOSEN: {
        const auto m = from.getChosen();
        const paxos::Chosen read{ballot(m.getBallot()), slot(m.getSlotBegin()),
                                 slot(m.getSlotEnd())};
        require(read.slot_begin < read.slot_end, "an empty range of slots");
        return read;
      }
      case wire::Paxos::HEARTBEAT: {
        const auto m = from.getHeartbeat();
        return paxos::Heartbeat{ballot(m.getBallot()), counter(m.getRound())};
      }
      case wire::Paxos::HEARTBEAT_ACK: {
        const auto m = from.getHeartbeatAck();
        return paxos::HeartbeatAck{ballot(m.getBallot()), counter(m.getRound()),
                                   any_ballot(m.getPromised()), slot(m.getChosenEnd()),
                                   m.getNoSpace()};
      }
      case wire::Paxos::HEARD: {
        const auto m = from.getHeard();
        return paxos::Heard{ballot(m.getBallot()), counter(m.getRound())};
      }
      case wire::Paxos::PRE_VOTE: {
        const auto m = from.getPreVote();
        return paxos::PreVote{m.getAttempt(), slot(m.getChosenEnd())};
      }
      case wire::Paxos::PRE_VOTE_ANSWER: {
        const auto m = from.getPreVoteAnswer();
        return paxos::PreVoteAnswer{m.getAttempt(), m.getLeaderLost(), counter(m.getRound()),
                                    slot(m.getChosenEnd())};
      }
      case wire::Paxos::TAKE_OVER: return paxos::TakeOver{ballot(from.getTakeOver())};
      case wire::Paxos::FETCH: return paxos::Fetch{slot(from.getFetch())};
      case wire::Paxos::FETCHED: {
        const auto m = from.getFetched();
        paxos::Fetched read;
        read.slot_begin = slot(m.getSlotBegin());
        read.chosen_end = slot(m.getChosenEnd());
        read.records = records(m.getRecords(), read.slot_begin, read.chosen_end);
        for (std::size_t i = 0; i < read.records.size(); ++i) {
          require(read.records[i].slot == read.slot_begin + i, "fetched records with a hole");
        }
        return read;
      }
    }
    throw Malformed{"an unknown kind of message between nodes"};
  }

  Hello hello(wire::Hello::Reader from) {
    Hello read;
    read.protocol_version = from.getProtocolVersion();
    require(from.getKind() <= 1, "an unknown kind of sender");
    read.kind = static_cast<Hello::Kind>(from.getKind());
    read.cluster_name = text(from.getClusterName());
    read.cluster_id = from.getClusterId();
    read.node = node_id(from.getNode(), true);
    read.incarnation = from.getIncarnation();
    require(from.getMembers().size() <= kMembersMax, "too many members");
    for (const auto member : from.getMembers()) {
      read.members.push_back({node_id(member.getNode()), member.getIncarnation()});
    }
    read.entry_bytes_max = from.getEntryBytesMax();
    read.software = text(from.getSoftware());
    require(from.getConfigured().size() <= kMembersMax, "too many members");
    for (const auto node : from.getConfigured()) read.configured.push_back(node_id(node));
    read.q1 = from.getQ1();
    read.q2 = from.getQ2();
    read.starts = counter(from.getStarts());
    read.recent_starts = starts(from.getRecentStarts());
    return read;
  }

  std::vector<Start> starts(capnp::List<wire::Start>::Reader from) {
    require(from.size() <= kRecentStartsMax, "too many starts");
    std::vector<Start> read;
    for (const auto start : from) {
      read.push_back({start.getId(), counter(start.getCommitsFound())});
    }
    return read;
  }

  Report report(wire::Report::Reader from) {
    Report read;
    require(from.getSightings().size() <= kMembersMax, "too many sightings");
    for (const auto seen : from.getSightings()) {
      require(seen.getRecent().size() != 0, "a sighting of no start");
      read.sightings.push_back({node_id(seen.getNode()), counter(seen.getStarts()),
                                starts(seen.getRecent()), counter(seen.getCommits()),
                                seen.getForked()});
    }
    require(from.getPoints().size() <= kStatePointsMax, "too many points");
    for (const auto point : from.getPoints()) {
      read.points.push_back({slot(point.getChosenEnd()), point.getHash()});
    }
    return read;
  }

  StatusAnswer status(wire::Status::Reader from) {
    NodeReport read;
    read.cluster_id = from.getClusterId();
    read.cluster_name = text(from.getClusterName());
    read.node = node_id(from.getNode());
    read.role = text(from.getRole());
    read.ballot = any_ballot(from.getBallot());
    read.leader = node_id(from.getLeader(), true);
    read.chosen_end = slot(from.getChosenEnd());
    read.applied_lsn = {counter(from.getAppliedLsn())};
    read.first_lsn = {counter(from.getFirstLsn())};
    read.disk_bytes = from.getDiskBytes();
    read.uptime_s = from.getUptimeS();
    read.state_hash = from.getStateHash();
    read.version = text(from.getVersion());
    read.fault = text(from.getFault());
    require(from.getMembers().size() <= kMembersMax, "too many members");
    for (const auto member : from.getMembers()) {
      read.members.push_back({node_id(member.getNode()), text(member.getAddress())});
    }
    return {from.getRequest(), std::move(read)};
  }

  AppendResults append_results(Frame::AppendResults::Reader from) {
    AppendResults read;
    const auto results = from.getResults();
    require_came(results.size(), kResultBytesMin);
    for (const auto result : results) {
      read.results.push_back({{result.getSession()},
                              {counter(result.getSequence())},
                              result.getCount(),
                              outcome(result.getOutcome()),
                              {counter(result.getLsn())},
                              {counter(result.getResendFrom())}});
    }
    read.leader = text(from.getLeader());
    read.retry_ms = from.getRetryMs();
    return read;
  }

  ReadAnswer read_result(wire::ReadResult::Reader from) {
    ReadAnswer read;
    read.request = from.getRequest();
    read.outcome = outcome(from.getOutcome());
    read.lsn_begin = {counter(from.getLsnBegin())};
    read.count = from.getCount();
    read.lsn_end = {counter(from.getLsnEnd())};
    read.first_lsn = {counter(from.getFirstLsn())};
    read.detail = text(from.getDetail());
    read.leader = text(from.getLeader());
    read.retry_ms = from.getRetryMs();
    read.entries.push_back(take_all(from.getDigest()));
    return read;
  }

  Message read_message(Frame::Reader from) {
    switch (from.which()) {
      case Frame::HELLO: return hello(from.getHello());
      case Frame::REFUSED: return Refused{text(from.getRefused())};
      case Frame::PAXOS: {
        const auto m = from.getPaxos();
        require(m.getEpoch() != 0, "epoch 0");
        return paxos::Message{{counter(m.getEpoch())}, paxos_body(m), counter(m.getCommits())};
      }
      case Frame::REPORT: return report(from.getReport());
      case Frame::OPEN_SESSION: {
        const auto m = from.getOpenSession();
        return OpenSession{m.getNonce(), m.getWindow(), m.getTtlMs()};
      }
      case Frame::SESSION_OPENED: {
        const auto m = from.getSessionOpened();
        return SessionOpened{m.getNonce(),
                             outcome(m.getOutcome()),
                             {m.getSession()},
                             text(m.getLeader()),
                             m.getRetryMs()};
      }
      case Frame::APPEND: return Append{take_all(from.getAppend().getDigest())};
      case Frame::APPEND_RESULTS: return append_results(from.getAppendResults());
      case Frame::READ: {
        const auto m = from.getRead();
        return Read{m.getRequest(),
                    {counter(m.getLsnBegin())},
                    {counter(m.getLsnEnd())},
                    m.getBytesMax(),
                    m.getLinearizable()};
      }
      case Frame::READ_RESULT: return read_result(from.getReadResult());
      case Frame::TAIL: {
        const auto m = from.getTail();
        return Tail{m.getRequest(), {counter(m.getLsnBegin())}, m.getCreditBytes()};
      }
      case Frame::TAIL_CREDIT: {
        const auto m = from.getTailCredit();
        return TailCredit{m.getRequest(), m.getCreditBytes()};
      }
      case Frame::TAIL_ENTRIES: {
        const auto m = from.getTailEntries();
        TailEntries read{m.getRequest(), {counter(m.getLsnBegin())}, m.getCount(), {}};
        read.entries.push_back(take_all(m.getDigest()));
        return read;
      }
      case Frame::TAIL_END: {
        const auto m = from.getTailEnd();
        return TailEnd{m.getRequest(),
                       outcome(m.getOutcome()),
                       {counter(m.getFirstLsn())},
                       text(m.getDetail()),
                       text(m.getLeader())};
      }
      case Frame::STATUS_ASK: return StatusAsk{from.getStatusAsk()};
      case Frame::STATUS: return status(from.getStatus());
      case Frame::KEEP_ALIVE: return KeepAlive{};
    }
    throw Malformed{"an unknown kind of message"};
  }

  std::shared_ptr<const void> owner_;
  std::size_t header_bytes_;
  std::span<const std::byte> body_;  // What is not yet taken.
};

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

}  // namespace

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
    require_from(speaker, root.which());
    return Decoder(frame).message(root);
  } catch (const Malformed& malformed) {
    return fail(Errc::malformed, malformed.what);
  } catch (const kj::Exception& exception) {
    return fail(Errc::malformed, std::string("not a valid Cap'n Proto message: ") +
                                     exception.getDescription().cStr());
  }
}

}  // namespace stele::net
