// Messages to frames.

#include <capnp/message.h>

#include <cstring>
#include <utility>

#include "net/wire/codec.h"
#include "net/wire/digest.h"
#include "net/wire/wire.capnp.h"
#include "paxos/base/check.h"

namespace stele::net {
namespace {

using wire::Frame;

constexpr std::size_t kScratchWords = 256;

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
void put_records(Init init, const std::vector<paxos::SlotRecord>& records, Body& body) {
  auto list = init(static_cast<unsigned>(records.size()));
  for (unsigned i = 0; i < records.size(); ++i) {
    list[i].setSlot(records[i].slot.value);
    list[i].setEpoch(records[i].epoch.value);
    put(list[i].initBallot(), records[i].ballot);
    put(list[i].initValue(), records[i].value, body);
  }
}

void put_starts(capnp::List<wire::Start>::Builder list, const std::vector<Start>& starts) {
  for (unsigned i = 0; i < starts.size(); ++i) {
    list[i].setId(starts[i].id);
    list[i].setCommitsFound(starts[i].commits_found);
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
    to.setRecovers(m.recovers);
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
    b.setRound(m.beat);
  }
  void operator()(const paxos::HeartbeatAck& m) {
    auto b = to.initHeartbeatAck();
    put(b.initBallot(), m.ballot);
    b.setRound(m.beat);
    put(b.initPromised(), m.promised);
    b.setChosenEnd(m.chosen_end.value);
    b.setNoSpace(m.no_space);
  }
  void operator()(const paxos::Heard& m) {
    auto b = to.initHeard();
    put(b.initBallot(), m.ballot);
    b.setRound(m.beat);
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
    auto configured = b.initConfigured(static_cast<unsigned>(m.configured.size()));
    for (unsigned i = 0; i < m.configured.size(); ++i) {
      configured.set(i, static_cast<std::uint8_t>(m.configured[i].value));
    }
    b.setQ1(m.q1);
    b.setQ2(m.q2);
    b.setStarts(m.starts);
    put_starts(b.initRecentStarts(static_cast<unsigned>(m.recent_starts.size())), m.recent_starts);
  }
  void operator()(const Refused& m) { to.setRefused(m.reason); }
  void operator()(const paxos::Message& m) {
    auto b = to.initPaxos();
    b.setEpoch(m.epoch.value);
    b.setCommits(m.commits);
    std::visit(PaxosEncoder{b, body}, m.body);
  }
  void operator()(const Report& m) {
    auto b = to.initReport();
    auto sightings = b.initSightings(static_cast<unsigned>(m.sightings.size()));
    for (unsigned i = 0; i < m.sightings.size(); ++i) {
      sightings[i].setNode(static_cast<std::uint8_t>(m.sightings[i].node.value));
      sightings[i].setStarts(m.sightings[i].starts);
      const std::vector<Start>& recent = m.sightings[i].recent;
      put_starts(sightings[i].initRecent(static_cast<unsigned>(recent.size())), recent);
      sightings[i].setCommits(m.sightings[i].commits);
      sightings[i].setForked(m.sightings[i].forked);
    }
    auto points = b.initPoints(static_cast<unsigned>(m.points.size()));
    for (unsigned i = 0; i < m.points.size(); ++i) {
      points[i].setChosenEnd(m.points[i].chosen_end.value);
      points[i].setHash(m.points[i].hash);
    }
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
    to.initAppend().setDigest(value_digest(m.commands.bytes));
    body.add({&m.commands, 1});
  }
  void operator()(const AppendResults& m) {
    auto b = to.initAppendResults();
    auto list = b.initResults(static_cast<unsigned>(m.results.size()));
    for (unsigned i = 0; i < m.results.size(); ++i) {
      const CommandResult& result = m.results[i];
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
  void operator()(const ReadAnswer& m) {
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
  void operator()(const StatusAnswer& answer) {
    auto b = to.initStatus();
    b.setRequest(answer.request);
    const NodeReport& m = answer.report;
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

}  // namespace stele::net
