// One message of every kind, with something in every field.
#pragma once

#include <vector>

#include "net/wire/codec.h"
#include "net/wire/digest.h"
#include "net/wire/message.h"
#include "tests/support/nodes.h"

namespace stele::net {

inline Slice slice(std::string_view text) { return paxos::value(text).parts()[0]; }

/// What the roles say.
inline std::vector<Message> paxos_samples() {
  using namespace paxos;
  const Ballot b{7, kN2};
  const std::vector<SlotRecord> records{{{4}, {1}, {6, kN1}, value("four")},
                                        {{5}, {1}, {5, kN3}, Value{}},
                                        {{6}, {1}, {6, kN1}, value("six")}};
  std::vector<Message> all;
  for (const Body& body : std::vector<Body>{
           Prepare{b, {3}},
           Promise{b, {3}, {7}, true, {4}, records},
           Promise{b, {3}, {3}, false, {1}, {}},
           Faulty{b, {9}},
           Accept{b, {4}, value("batch")},
           Accept{b, {4}, value("batch"), true},
           Accept{b, {4}, Value{}},
           Accept{b,
                  {4},
                  Value(ValueKind::stop_sign, {slice("stop")}, value_digest(slice("stop").bytes))},
           Accepted{b, {4}, {9}},
           Nack{b, {8, kN3}, true},
           ChosenEnd{{12}},
           Chosen{b, {4}, {9}},
           Heartbeat{b, 77},
           HeartbeatAck{b, 77, {0, {}}, {8}, true},
           HeartbeatAck{b, 77, {0, {}}, {8}, true, true},
           Heard{b, 77},
           PreVote{3, {9}},
           PreVoteAnswer{3, true, 11, {9}},
           TakeOver{b},
           Fetch{{4}},
           Fetched{{4}, {7}, records},
           Fetched{{4}, {9}, {}},
           Fetch{{4}, true},
           Fetched{{4}, {9}, {}, {7}, true},
           FetchSnapshot{{}, 0, 0},
           FetchSnapshot{{600}, 77, 3},
           SnapshotPart{{600}, 77, 3, value("rows")},
           SnapshotPart{{}, 0, 0, Value{}},
           FetchRun{2, {700}},
           RunSlots{2, {700}, value("summaries")},
           RunSlots{2, {700}, Value{}}}) {
    all.push_back(paxos::Message{{1}, body});
  }
  all.push_back(paxos::Message{{1}, Accepted{b, {4}, {9}}, 31});
  return all;
}

/// What nodes say of themselves.
inline std::vector<Message> node_samples() {
  using paxos::kN1, paxos::kN2, paxos::kN3;
  std::vector<Message> all;
  Hello client;
  client.kind = Hello::Kind::client;
  all.push_back(client);
  Hello peer;
  peer.cluster_name = "stele";
  peer.cluster_id = 99;
  peer.node = kN3;
  peer.incarnation = 1234;
  peer.members = {{kN1, 5}, {kN2, 6}};
  peer.entry_bytes_max = 1 << 20;
  peer.software = "stele 1";
  peer.configured = {kN1, kN2, kN3};
  peer.q1 = peer.q2 = 2;
  peer.starts = 3;
  peer.recent_starts = {{77, 12}, {76, 5}};
  all.push_back(peer);
  all.push_back(Report{{{kN1, 3, {{77, 12}, {76, 5}}, 31, false}, {kN2, 1, {{9, 0}}, 2, true}},
                       {{{10}, 99}, {{8}, 98}},
                       {512}});
  all.push_back(Refused{"because"});
  all.push_back(KeepAlive{});
  return all;
}

/// What clients and nodes say to each other.
inline std::vector<Message> client_samples() {
  std::vector<Message> all;
  all.push_back(OpenSession{42, 4096, 60000});
  all.push_back(SessionOpened{42, Outcome::not_leader, {17}, "host:1", 20});
  all.push_back(Append{slice("a command")});
  all.push_back(AppendResults{
      {{{17}, {3}, 5, Outcome::ok, {100}, {}}, {{17}, {8}, 1, Outcome::resend, {}, {8}}},
      "host:1",
      20});
  all.push_back(Read{5, {1}, {0}, 1000, true});
  all.push_back(Read{5, {}, {}, 0, true, true});
  all.push_back(ReadAnswer{
      5, Outcome::ok, {1}, 2, {9}, {1}, "detail", "host:1", 20, {slice("ab"), slice("c")}, {}});
  const RetentionReport kept{{1000, std::chrono::milliseconds(60000)},
                             {{"backup", {7}, std::chrono::milliseconds(500)}, {"x", {9}, {}}},
                             {},
                             {},
                             4096,
                             {}};
  all.push_back(ReadAnswer{5, Outcome::ok, {}, 0, {9}, {3}, {}, {}, 0, {slice("")}, kept});
  all.push_back(Tail{6, {0}, 1 << 20});
  all.push_back(TailCredit{6, 4096});
  all.push_back(TailEntries{6, {9}, 3, {slice("entries")}});
  all.push_back(TailEnd{6, Outcome::trimmed, {5}, "detail", "host:1"});
  all.push_back(StatusAsk{8});
  NodeReport status;
  status.cluster_id = 99;
  status.cluster_name = "stele";
  status.node = paxos::kN1;
  status.role = "leader";
  status.ballot = {7, paxos::kN2};
  status.leader = paxos::kN1;
  status.chosen_end = {10};
  status.applied_lsn = {20};
  status.first_lsn = {1};
  status.disk_bytes = 4096;
  status.retained_bytes = 2048;
  status.snapshot_slot = {1536};
  status.snapshot_digest = 0x1234567812345678;
  status.snapshot_bytes = 4096;
  status.snapshot_age_s = 77;
  status.uptime_s = 60;
  status.state_hash = 0xabcdef;
  status.version = "0.1.0";
  status.fault = "none";
  status.members = {{paxos::kN1, "host:1"}, {paxos::kN2, "host:2"}};
  all.push_back(StatusAnswer{8, status});
  return all;
}

inline std::vector<Message> samples() {
  std::vector<Message> all = paxos_samples();
  for (const auto& more : {node_samples(), client_samples()})
    all.insert(all.end(), more.begin(), more.end());
  return all;
}

inline constexpr Speaker kSpeakers[] = {Speaker::stranger, Speaker::client, Speaker::server,
                                        Speaker::node, Speaker::listening};

/// As if from a side that may say it.
inline Result<Message> decode_from_anybody(const InFrame& frame) {
  Result<Message> read = fail(Errc::malformed, "");
  for (const Speaker speaker : kSpeakers) {
    read = decode(frame, speaker);
    if (read) break;
  }
  return read;
}

/// The bytes of a frame as they cross the wire, padding included.
inline std::vector<std::byte> wire_bytes(const OutFrame& frame) {
  std::vector<std::byte> bytes = frame.head;
  for (const Slice& part : frame.body)
    bytes.insert(bytes.end(), part.bytes.begin(), part.bytes.end());
  bytes.resize(frame.bytes());
  return bytes;
}

/// Those that this side may send.
inline std::vector<Message> samples_of(Speaker speaker) {
  std::vector<Message> all = samples();
  std::erase_if(all, [&](const Message& message) {
    const OutFrame frame = encode(message);
    auto bytes = std::make_shared<std::vector<std::byte>>(wire_bytes(frame));
    const std::span<const std::byte> view(*bytes);
    const std::size_t header_bytes = frame.head.size() - FramePrefix::kBytes;
    return !decode({bytes, view.subspan(FramePrefix::kBytes, header_bytes),
                    view.subspan(frame.head.size(), frame.body_bytes)},
                   speaker);
  });
  return all;
}

}  // namespace stele::net
