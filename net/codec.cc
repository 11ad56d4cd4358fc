#include "net/codec.h"

#include <capnp/message.h>
#include <capnp/serialize.h>

#include <cstring>
#include <optional>
#include <utility>

#include "net/digest.h"
#include "net/wire.capnp.h"
#include "paxos/check.h"

namespace stele::net {
namespace {

using wire::Frame;

constexpr std::size_t kSegmentsMax = 64;
constexpr std::size_t kTextBytesMax = 4096;
constexpr std::size_t kScratchWords = 256;

// --- Encoding
// --------------------------------------------------------------------------------------

void put(wire::Ballot::Builder to, Ballot ballot) {
  to.setRound(ballot.round);
  to.setNode(static_cast<std::uint8_t>(ballot.node.value));
}

/// Collects the body while the header is written.
struct Body {
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

void put(wire::Value::Builder to, const paxos::Value& value, Body& body) {
  to.setKind(static_cast<std::uint8_t>(value.kind()));
  to.setBytes(static_cast<std::uint32_t>(value.size()));
  to.setDigest(value.digest());
  body.add(value.parts());
}

template <class Init>
void put_records(Init init, const std::vector<paxos::Record>& records, Body& body) {
  auto list = init(static_cast<unsigned>(records.size()));
  for (unsigned i = 0; i < records.size(); ++i) {
    list[i].setSlot(records[i].slot.value);
    list[i].setEpoch(records[i].epoch.value);
    put(list[i].initBallot(), records[i].ballot);
    put(list[i].initValue(), records[i].value, body);
  }
}

struct PaxosEncoder {
  wire::Paxos::Builder to;
  Body& body;

  void operator()(const paxos::Prepare& m) {
    auto b = to.initPrepare();
    put(b.initBallot(), m.ballot);
    b.setSlotBegin(m.slot_begin.value);
  }
  void operator()(const paxos::Promise& m) {
    auto b = to.initPromise();
    put(b.initBallot(), m.ballot);
    b.setSlotBegin(m.slot_begin.value);
    b.setSlotEnd(m.slot_end.value);
    b.setLast(m.last);
    b.setChosenEnd(m.chosen_end.value);
    put_records([&](unsigned n) { return b.initAccepted(n); }, m.accepted, body);
  }
  void operator()(const paxos::Faulty& m) {
    auto b = to.initFaulty();
    put(b.initBallot(), m.ballot);
    b.setSlot(m.slot.value);
  }
  void operator()(const paxos::Accept& m) {
    auto b = to.initAccept();
    put(b.initBallot(), m.ballot);
    b.setSlot(m.slot.value);
    put(b.initValue(), m.value, body);
  }
  void operator()(const paxos::Accepted& m) {
    auto b = to.initAccepted();
    put(b.initBallot(), m.ballot);
    b.setSlotBegin(m.slot_begin.value);
    b.setSlotEnd(m.slot_end.value);
  }
  void operator()(const paxos::Nack& m) {
    auto b = to.initNack();
    put(b.initBallot(), m.ballot);
    put(b.initPromised(), m.promised);
    b.setNoSpace(m.no_space);
  }
  void operator()(const paxos::ChosenEnd& m) { to.setChosenEnd(m.chosen_end.value); }
  void operator()(const paxos::Chosen& m) {
    auto b = to.initChosen();
    put(b.initBallot(), m.ballot);
    b.setSlotBegin(m.slot_begin.value);
    b.setSlotEnd(m.slot_end.value);
  }
  void operator()(const paxos::Heartbeat& m) {
    auto b = to.initHeartbeat();
    put(b.initBallot(), m.ballot);
    b.setRound(m.round);
    b.setChosenEnd(m.chosen_end.value);
  }
  void operator()(const paxos::HeartbeatAck& m) {
    auto b = to.initHeartbeatAck();
    put(b.initBallot(), m.ballot);
    b.setRound(m.round);
    put(b.initPromised(), m.promised);
    b.setChosenEnd(m.chosen_end.value);
    b.setNoSpace(m.no_space);
  }
  void operator()(const paxos::PreVote& m) {
    auto b = to.initPreVote();
    b.setAttempt(m.attempt);
    b.setChosenEnd(m.chosen_end.value);
  }
  void operator()(const paxos::PreVoteAnswer& m) {
    auto b = to.initPreVoteAnswer();
    b.setAttempt(m.attempt);
    b.setLeaderLost(m.leader_lost);
    b.setRound(m.round);
    b.setChosenEnd(m.chosen_end.value);
  }
  void operator()(const paxos::TakeOver& m) { put(to.initTakeOver(), m.ballot); }
  void operator()(const paxos::Fetch& m) { to.setFetch(m.slot_begin.value); }
  void operator()(const paxos::Fetched& m) {
    auto b = to.initFetched();
    b.setSlotBegin(m.slot_begin.value);
    b.setChosenEnd(m.chosen_end.value);
    put_records([&](unsigned n) { return b.initRecords(n); }, m.records, body);
  }
};

struct Encoder {
  Frame::Builder to;
  Body& body;

  void operator()(const Hello& m) {
    auto b = to.initHello();
    b.setProtocolVersion(m.protocol_version);
    b.setKind(static_cast<std::uint8_t>(m.kind));
    b.setClusterName(m.cluster_name);
    b.setClusterId(m.cluster_id);
    b.setNode(static_cast<std::uint8_t>(m.node.value));
    b.setIncarnation(m.incarnation);
    auto list = b.initMembers(static_cast<unsigned>(m.members.size()));
    for (unsigned i = 0; i < m.members.size(); ++i) {
      list[i].setNode(static_cast<std::uint8_t>(m.members[i].node.value));
      list[i].setIncarnation(m.members[i].incarnation);
    }
    b.setEntryBytesMax(m.entry_bytes_max);
    b.setSoftware(m.software);
  }
  void operator()(const Refused& m) { to.setRefused(m.reason); }
  void operator()(const paxos::Message& m) {
    auto b = to.initPaxos();
    b.setEpoch(m.epoch.value);
    std::visit(PaxosEncoder{b, body}, m.body);
  }
  void operator()(const OpenSession& m) {
    auto b = to.initOpenSession();
    b.setNonce(m.nonce);
    b.setWindow(m.window);
    b.setTtlMs(m.ttl_ms);
  }
  void operator()(const SessionOpened& m) {
    auto b = to.initSessionOpened();
    b.setNonce(m.nonce);
    b.setOutcome(static_cast<std::uint8_t>(m.outcome));
    b.setSession(m.session.value);
    b.setLeader(m.leader);
    b.setRetryMs(m.retry_ms);
  }
  void operator()(const Append& m) {
    to.initAppend().setDigest(value_digest(m.command.bytes));
    body.add({&m.command, 1});
  }
  void operator()(const AppendResults& m) {
    auto b = to.initAppendResults();
    auto list = b.initResults(static_cast<unsigned>(m.results.size()));
    for (unsigned i = 0; i < m.results.size(); ++i) {
      const AppendResult& result = m.results[i];
      list[i].setSession(result.session.value);
      list[i].setSequence(result.sequence.value);
      list[i].setCount(result.count);
      list[i].setOutcome(static_cast<std::uint8_t>(result.outcome));
      list[i].setLsn(result.lsn.value);
      list[i].setResendFrom(result.resend_from.value);
    }
    b.setLeader(m.leader);
    b.setRetryMs(m.retry_ms);
  }
  void operator()(const Read& m) {
    auto b = to.initRead();
    b.setRequest(m.request);
    b.setLsnBegin(m.lsn_begin.value);
    b.setLsnEnd(m.lsn_end.value);
    b.setBytesMax(m.bytes_max);
    b.setLinearizable(m.linearizable);
  }
  void operator()(const ReadResult& m) {
    auto b = to.initReadResult();
    b.setRequest(m.request);
    b.setOutcome(static_cast<std::uint8_t>(m.outcome));
    b.setLsnBegin(m.lsn_begin.value);
    b.setCount(m.count);
    b.setLsnEnd(m.lsn_end.value);
    b.setFirstLsn(m.first_lsn.value);
    b.setDetail(m.detail);
    b.setLeader(m.leader);
    b.setRetryMs(m.retry_ms);
    b.setDigest(value_digest(m.entries));
    body.add(m.entries);
  }
  void operator()(const Tail& m) {
    auto b = to.initTail();
    b.setRequest(m.request);
    b.setLsnBegin(m.lsn_begin.value);
    b.setCreditBytes(m.credit_bytes);
  }
  void operator()(const TailCredit& m) {
    auto b = to.initTailCredit();
    b.setRequest(m.request);
    b.setCreditBytes(m.credit_bytes);
  }
  void operator()(const TailEntries& m) {
    auto b = to.initTailEntries();
    b.setRequest(m.request);
    b.setLsnBegin(m.lsn_begin.value);
    b.setCount(m.count);
    b.setDigest(value_digest(m.entries));
    body.add(m.entries);
  }
  void operator()(const TailEnd& m) {
    auto b = to.initTailEnd();
    b.setRequest(m.request);
    b.setOutcome(static_cast<std::uint8_t>(m.outcome));
    b.setFirstLsn(m.first_lsn.value);
    b.setDetail(m.detail);
    b.setLeader(m.leader);
  }
  void operator()(const StatusAsk& m) { to.setStatusAsk(m.request); }
  void operator()(const StatusAnswer& m) {
    auto b = to.initStatus();
    b.setRequest(m.request);
    b.setClusterId(m.cluster_id);
    b.setClusterName(m.cluster_name);
    b.setNode(static_cast<std::uint8_t>(m.node.value));
    b.setRole(m.role);
    put(b.initBallot(), m.ballot);
    b.setLeader(static_cast<std::uint8_t>(m.leader.value));
    b.setChosenEnd(m.chosen_end.value);
    b.setAppliedLsn(m.applied_lsn.value);
    b.setFirstLsn(m.first_lsn.value);
    b.setDiskBytes(m.disk_bytes);
    b.setUptimeS(m.uptime_s);
    b.setStateHash(m.state_hash);
    b.setVersion(m.version);
    b.setFault(m.fault);
    auto list = b.initMembers(static_cast<unsigned>(m.members.size()));
    for (unsigned i = 0; i < m.members.size(); ++i) {
      list[i].setNode(static_cast<std::uint8_t>(m.members[i].node.value));
      list[i].setAddress(m.members[i].address);
    }
  }
  void operator()(const KeepAlive&) { to.setKeepAlive(); }
};

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

// --- Decoding
// --------------------------------------------------------------------------------------

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
  explicit Decoder(const InFrame& frame) : owner_(frame.owner), body_(frame.body) {}

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
    const std::uint8_t kind = from.getKind();
    require(kind <= static_cast<std::uint8_t>(paxos::ValueKind::stop_sign),
            "an unknown value kind");
    const Slice slice = take(from.getBytes());
    require(value_digest(slice.bytes) == from.getDigest(), "a value does not match its digest");
    if (static_cast<paxos::ValueKind>(kind) == paxos::ValueKind::noop) {
      require(slice.bytes.empty(), "a noop with bytes");
      return {};
    }
    return {static_cast<paxos::ValueKind>(kind), {slice}, from.getDigest()};
  }

  /// Ascending slots within [begin, end).
  std::vector<paxos::Record> records(capnp::List<wire::Record>::Reader list, Slot begin, Slot end) {
    std::vector<paxos::Record> read;
    read.reserve(list.size());
    for (const auto from : list) {
      paxos::Record record;
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
        for (const paxos::Record& record : read.accepted) {
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
        return paxos::Accept{ballot(m.getBallot()), slot(m.getSlot()), value(m.getValue())};
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
        return paxos::Heartbeat{ballot(m.getBallot()), counter(m.getRound()),
                                slot(m.getChosenEnd())};
      }
      case wire::Paxos::HEARTBEAT_ACK: {
        const auto m = from.getHeartbeatAck();
        return paxos::HeartbeatAck{ballot(m.getBallot()), counter(m.getRound()),
                                   any_ballot(m.getPromised()), slot(m.getChosenEnd()),
                                   m.getNoSpace()};
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
    return read;
  }

  StatusAnswer status(wire::Status::Reader from) {
    StatusAnswer read;
    read.request = from.getRequest();
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
    return read;
  }

  AppendResults append_results(Frame::AppendResults::Reader from) {
    AppendResults read;
    for (const auto result : from.getResults()) {
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

  ReadResult read_result(wire::ReadResult::Reader from) {
    ReadResult read;
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
        return paxos::Message{{counter(m.getEpoch())}, paxos_body(m)};
      }
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

OutFrame encode(const Message& message) {
  capnp::word scratch[kScratchWords] = {};
  capnp::MallocMessageBuilder builder(kj::arrayPtr(scratch, kScratchWords));
  Body body;
  std::visit(Encoder{builder.initRoot<Frame>(), body}, message);

  OutFrame frame;
  frame.body = std::move(body.slices);
  frame.body_bytes = body.bytes;
  frame.head = serialize(builder, body.bytes);
  STELE_CHECK(frame.head.size() <= kHeaderBytesMax && frame.bytes() <= kFrameBytesMax);
  return frame;
}

Result<Message> decode(const InFrame& frame) {
  try {
    require(frame.header.size() >= 8, "a header without a segment table");
    check_segments(frame.header);
    capnp::ReaderOptions options;
    options.traversalLimitInWords = 8 * (frame.header.size() / 8) + 1024;
    options.nestingLimit = 8;
    const auto* words = reinterpret_cast<const capnp::word*>(frame.header.data());
    capnp::FlatArrayMessageReader reader(kj::arrayPtr(words, frame.header.size() / 8), options);
    return Decoder(frame).message(reader.getRoot<Frame>());
  } catch (const Malformed& malformed) {
    return fail(Errc::malformed, malformed.what);
  } catch (const kj::Exception& exception) {
    return fail(Errc::malformed, std::string("not a valid Cap'n Proto message: ") +
                                     exception.getDescription().cStr());
  }
}

}  // namespace stele::net
