// What clients and nodes say to each other.

#include <algorithm>
#include <utility>

#include "net/wire/codec_parts.h"
#include "net/wire/digest.h"

namespace stele::net::codec {
namespace {

using wire::Frame;

/// A thousand years.
constexpr std::uint64_t kMillisecondsMax = 1000ULL * 366 * 24 * 3600 * 1000;

/// Of a result in a list.
constexpr std::size_t kResultBytesMin = 40;
/// Of a hold in a list.
constexpr std::size_t kHoldBytesMin = 24;

std::chrono::milliseconds milliseconds(std::uint64_t raw) {
  require(raw <= kMillisecondsMax, "a time that is out of range");
  return std::chrono::milliseconds(raw);
}

std::uint64_t number(std::chrono::milliseconds time) {
  return static_cast<std::uint64_t>(
      std::clamp<std::int64_t>(time.count(), 0, static_cast<std::int64_t>(kMillisecondsMax)));
}

void put(wire::Retention::Builder to, const RetentionReport& m) {
  to.setBytes(m.retention.bytes);
  to.setAgeMs(number(m.retention.age));
  to.setRetainedBytes(m.retained_bytes);
  auto list = to.initHolds(static_cast<unsigned>(m.holds.size()));
  for (unsigned i = 0; i < m.holds.size(); ++i) {
    list[i].setName(m.holds[i].name);
    list[i].setLsn(m.holds[i].lsn.value);
    list[i].setLeftMs(number(m.holds[i].left));
  }
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
  read.retained_bytes = from.getRetainedBytes();
  read.snapshot_slot = {from.getSnapshotSlot()};
  read.snapshot_digest = from.getSnapshotDigest();
  read.snapshot_bytes = from.getSnapshotBytes();
  read.snapshot_age_s = from.getSnapshotAgeS();
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

AppendResults append_results(wire::Frame::AppendResults::Reader from, const InBody& body) {
  AppendResults read;
  const auto results = from.getResults();
  body.require_came(results.size(), kResultBytesMin);
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

RetentionReport retention(wire::Retention::Reader from, const InBody& body) {
  RetentionReport read;
  read.retention.bytes = counter(from.getBytes());
  read.retention.age = milliseconds(from.getAgeMs());
  read.retained_bytes = counter(from.getRetainedBytes());
  body.require_came(from.getHolds().size(), kHoldBytesMin);
  for (const auto hold : from.getHolds()) {
    read.holds.push_back(
        {text(hold.getName()), {counter(hold.getLsn())}, milliseconds(hold.getLeftMs())});
  }
  return read;
}

ReadAnswer read_result(wire::ReadResult::Reader from, InBody& body) {
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
  read.entries.push_back(body.take_all(from.getDigest()));
  if (from.hasRetention()) read.retention = retention(from.getRetention(), body);
  return read;
}

}  // namespace

// --- Encoding ----------------------------------------------------------------------------

void put(wire::Frame::Builder to, const OpenSession& m, OutBody&) {
  auto b = to.initOpenSession();
  b.setNonce(m.nonce);
  b.setWindow(m.window);
  b.setTtlMs(m.ttl_ms);
}

void put(wire::Frame::Builder to, const SessionOpened& m, OutBody&) {
  auto b = to.initSessionOpened();
  b.setNonce(m.nonce);
  b.setOutcome(static_cast<std::uint8_t>(m.outcome));
  b.setSession(m.session.value);
  b.setLeader(m.leader);
  b.setRetryMs(m.retry_ms);
}

void put(wire::Frame::Builder to, const Append& m, OutBody& body) {
  to.initAppend().setDigest(value_digest(m.commands.bytes));
  body.add({&m.commands, 1});
}

void put(wire::Frame::Builder to, const AppendResults& m, OutBody&) {
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

void put(wire::Frame::Builder to, const Read& m, OutBody&) {
  auto b = to.initRead();
  b.setRequest(m.request);
  b.setLsnBegin(m.lsn_begin.value);
  b.setLsnEnd(m.lsn_end.value);
  b.setBytesMax(m.bytes_max);
  b.setLinearizable(m.linearizable);
  b.setRetention(m.retention);
}

void put(wire::Frame::Builder to, const ReadAnswer& m, OutBody& body) {
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
  if (m.retention) put(b.initRetention(), *m.retention);
}

void put(wire::Frame::Builder to, const Tail& m, OutBody&) {
  auto b = to.initTail();
  b.setRequest(m.request);
  b.setLsnBegin(m.lsn_begin.value);
  b.setCreditBytes(m.credit_bytes);
}

void put(wire::Frame::Builder to, const TailCredit& m, OutBody&) {
  auto b = to.initTailCredit();
  b.setRequest(m.request);
  b.setCreditBytes(m.credit_bytes);
}

void put(wire::Frame::Builder to, const TailEntries& m, OutBody& body) {
  auto b = to.initTailEntries();
  b.setRequest(m.request);
  b.setLsnBegin(m.lsn_begin.value);
  b.setCount(m.count);
  b.setDigest(value_digest(m.entries));
  body.add(m.entries);
}

void put(wire::Frame::Builder to, const TailEnd& m, OutBody&) {
  auto b = to.initTailEnd();
  b.setRequest(m.request);
  b.setOutcome(static_cast<std::uint8_t>(m.outcome));
  b.setFirstLsn(m.first_lsn.value);
  b.setDetail(m.detail);
  b.setLeader(m.leader);
}

void put(wire::Frame::Builder to, const StatusAsk& m, OutBody&) { to.setStatusAsk(m.request); }

void put(wire::Frame::Builder to, const StatusAnswer& answer, OutBody&) {
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
  b.setRetainedBytes(m.retained_bytes);
  b.setSnapshotSlot(m.snapshot_slot.value);
  b.setSnapshotDigest(m.snapshot_digest);
  b.setSnapshotBytes(m.snapshot_bytes);
  b.setSnapshotAgeS(m.snapshot_age_s);
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

// --- Decoding ----------------------------------------------------------------------------

Message get_client(Frame::Reader from, InBody& body) {
  switch (from.which()) {
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
    case Frame::APPEND: return Append{body.take_all(from.getAppend().getDigest())};
    case Frame::APPEND_RESULTS: return append_results(from.getAppendResults(), body);
    case Frame::READ: {
      const auto m = from.getRead();
      return Read{m.getRequest(),  {counter(m.getLsnBegin())}, {counter(m.getLsnEnd())},
                  m.getBytesMax(), m.getLinearizable(),        m.getRetention()};
    }
    case Frame::READ_RESULT: return read_result(from.getReadResult(), body);
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
      read.entries.push_back(body.take_all(m.getDigest()));
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
    default: throw Malformed{"an unknown kind of message"};
  }
}

}  // namespace stele::net::codec
