// What the roles of nodes say to each other (paxos/message.h).

#include <utility>

#include "net/wire/codec_parts.h"
#include "net/wire/digest.h"

namespace stele::net::codec {
namespace {

/// Of a record in a list, with its value's header.
constexpr std::size_t kRecordBytesMin = 32;

// --- Encoding ----------------------------------------------------------------------------

void put_value(wire::Value::Builder to, const paxos::Value& value, OutBody& body) {
  to.setKind(static_cast<std::uint8_t>(value.kind()));
  to.setBytes(static_cast<std::uint32_t>(value.size()));
  to.setDigest(value.digest());
  body.add(value.parts());
}

template <class Init>
void put_records(Init init, const std::vector<paxos::SlotRecord>& records, OutBody& body) {
  auto list = init(static_cast<unsigned>(records.size()));
  for (unsigned i = 0; i < records.size(); ++i) {
    list[i].setSlot(records[i].slot.value);
    list[i].setEpoch(records[i].epoch.value);
    put(list[i].initBallot(), records[i].ballot);
    put_value(list[i].initValue(), records[i].value, body);
  }
}

struct PaxosEncoder {
  wire::Paxos::Builder to;
  OutBody& body;

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
    put_value(b.initValue(), m.value, body);
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
    b.setNoUpkeep(m.no_upkeep);
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
  void operator()(const paxos::Fetch& m) {
    to.setFetch(m.slot_begin.value);
    to.setCopies(m.copies);
  }
  void operator()(const paxos::Fetched& m) {
    auto b = to.initFetched();
    b.setSlotBegin(m.slot_begin.value);
    b.setChosenEnd(m.chosen_end.value);
    put_records([&](unsigned n) { return b.initRecords(n); }, m.records, body);
    to.setFirstSlot(m.first_slot.value);
    to.setCopies(m.copies);
  }
  void operator()(const paxos::FetchSnapshot& m) {
    auto b = to.initFetchSnapshot();
    b.setSlot(m.slot.value);
    b.setDigest(m.digest);
    b.setPart(m.part);
  }
  void operator()(const paxos::SnapshotPart& m) {
    auto b = to.initSnapshotPart();
    b.setSlot(m.slot.value);
    b.setDigest(m.digest);
    b.setPart(m.part);
    put_value(b.initBytes(), m.bytes, body);
  }
  void operator()(const paxos::FetchRun& m) {
    auto b = to.initFetchRun();
    b.setRun(m.run);
    b.setSlotEnd(m.slot_end.value);
  }
  void operator()(const paxos::RunSlots& m) {
    auto b = to.initRunSlots();
    b.setRun(m.run);
    b.setSlotEnd(m.slot_end.value);
    put_value(b.initBytes(), m.bytes, body);
  }
};

// --- Decoding ----------------------------------------------------------------------------

paxos::Value value(wire::Value::Reader from, InBody& body) {
  const std::uint8_t kind = from.getKind();  // One of a newer version is voted for all the same.
  const Slice slice = body.take(from.getBytes());
  require(value_digest(slice.bytes) == from.getDigest(), "a value does not match its digest");
  if (static_cast<paxos::ValueKind>(kind) == paxos::ValueKind::noop) {
    require(slice.bytes.empty(), "a noop with bytes");
    return {};
  }
  return {static_cast<paxos::ValueKind>(kind), {slice}, from.getDigest()};
}

/// Ascending slots within [begin, end).
std::vector<paxos::SlotRecord> records(capnp::List<wire::Record>::Reader list, Slot begin, Slot end,
                                       InBody& body) {
  body.require_came(list.size(), kRecordBytesMin);
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
    record.value = value(from.getValue(), body);
    read.push_back(std::move(record));
  }
  return read;
}

paxos::Promise promise(wire::Paxos::Promise::Reader m, InBody& body) {
  paxos::Promise read;
  read.ballot = ballot(m.getBallot());
  read.slot_begin = slot(m.getSlotBegin());
  read.slot_end = slot(m.getSlotEnd());
  require(read.slot_begin <= read.slot_end, "a promise with an inverted range");
  read.last = m.getLast();
  read.chosen_end = slot(m.getChosenEnd());
  read.accepted = records(m.getAccepted(), read.slot_begin, read.slot_end, body);
  for (const paxos::SlotRecord& record : read.accepted) {
    require(record.ballot <= read.ballot, "a promise that tells a vote above its ballot");
  }
  return read;
}

paxos::Fetched fetched(wire::Paxos::Reader from, InBody& body) {
  const auto m = from.getFetched();
  paxos::Fetched read;
  read.first_slot = {counter(from.getFirstSlot())};
  read.copies = from.getCopies();
  read.slot_begin = slot(m.getSlotBegin());
  read.chosen_end = slot(m.getChosenEnd());
  read.records = records(m.getRecords(), read.slot_begin, read.chosen_end, body);
  for (std::size_t i = 0; i < read.records.size(); ++i) {
    require(read.records[i].slot == read.slot_begin + i, "fetched records with a hole");
  }
  return read;
}

paxos::Body what_is_fetched(wire::Paxos::Reader from, InBody& body) {
  switch (from.which()) {
    case wire::Paxos::FETCH: return paxos::Fetch{slot(from.getFetch()), from.getCopies()};
    case wire::Paxos::FETCHED: return fetched(from, body);
    case wire::Paxos::FETCH_SNAPSHOT: {
      const auto m = from.getFetchSnapshot();
      return paxos::FetchSnapshot{{counter(m.getSlot())}, m.getDigest(), counter(m.getPart())};
    }
    case wire::Paxos::SNAPSHOT_PART: {
      const auto m = from.getSnapshotPart();
      return paxos::SnapshotPart{
          {counter(m.getSlot())}, m.getDigest(), counter(m.getPart()), value(m.getBytes(), body)};
    }
    case wire::Paxos::FETCH_RUN: {
      const auto m = from.getFetchRun();
      return paxos::FetchRun{counter(m.getRun()), slot(m.getSlotEnd())};
    }
    case wire::Paxos::RUN_SLOTS: {
      const auto m = from.getRunSlots();
      return paxos::RunSlots{counter(m.getRun()), slot(m.getSlotEnd()), value(m.getBytes(), body)};
    }
    default: throw Malformed{"an unknown kind of message between nodes"};
  }
}

paxos::Body body_of(wire::Paxos::Reader from, InBody& body) {
  switch (from.which()) {
    case wire::Paxos::PREPARE: {
      const auto m = from.getPrepare();
      return paxos::Prepare{ballot(m.getBallot()), slot(m.getSlotBegin())};
    }
    case wire::Paxos::PROMISE: return promise(from.getPromise(), body);
    case wire::Paxos::FAULTY: {
      const auto m = from.getFaulty();
      return paxos::Faulty{ballot(m.getBallot()), slot(m.getSlot())};
    }
    case wire::Paxos::ACCEPT: {
      const auto m = from.getAccept();
      return paxos::Accept{ballot(m.getBallot()), slot(m.getSlot()), value(m.getValue(), body),
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
      const paxos::Chosen read{ballot(m.getBallot()), slot(m.getSlotBegin()), slot(m.getSlotEnd())};
      require(read.slot_begin < read.slot_end, "an empty range of slots");
      return read;
    }
    case wire::Paxos::HEARTBEAT: {
      const auto m = from.getHeartbeat();
      return paxos::Heartbeat{ballot(m.getBallot()), counter(m.getRound())};
    }
    case wire::Paxos::HEARTBEAT_ACK: {
      const auto m = from.getHeartbeatAck();
      return paxos::HeartbeatAck{
          ballot(m.getBallot()),  counter(m.getRound()), any_ballot(m.getPromised()),
          slot(m.getChosenEnd()), m.getNoSpace(),        m.getNoUpkeep()};
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
    default: return what_is_fetched(from, body);
  }
}

}  // namespace

void put(wire::Frame::Builder to, const paxos::Message& message, OutBody& body) {
  auto b = to.initPaxos();
  b.setEpoch(message.epoch.value);
  b.setCommits(message.commits);
  std::visit(PaxosEncoder{b, body}, message.body);
}

paxos::Message get_paxos(wire::Paxos::Reader from, InBody& body) {
  require(from.getEpoch() != 0, "epoch 0");
  return {{counter(from.getEpoch())}, body_of(from, body), counter(from.getCommits())};
}

}  // namespace stele::net::codec
