// What nodes say of themselves: the handshake, and reports.

#include <vector>

#include "net/wire/codec_parts.h"

namespace stele::net::codec {
namespace {

void put_starts(capnp::List<wire::Start>::Builder list, const std::vector<Start>& starts) {
  for (unsigned i = 0; i < starts.size(); ++i) {
    list[i].setId(starts[i].id);
    list[i].setCommitsFound(starts[i].commits_found);
  }
}

std::vector<Start> starts(capnp::List<wire::Start>::Reader from) {
  require(from.size() <= kRecentStartsMax, "too many starts");
  std::vector<Start> read;
  for (const auto start : from) {
    read.push_back({start.getId(), counter(start.getCommitsFound())});
  }
  return read;
}

}  // namespace

void put(wire::Frame::Builder to, const Hello& m, OutBody&) {
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

Hello get_hello(wire::Hello::Reader from) {
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

void put(wire::Frame::Builder to, const Refused& m, OutBody&) { to.setRefused(m.reason); }

void put(wire::Frame::Builder to, const Report& m, OutBody&) {
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
  b.setDurableEnd(m.durable_end.value);
}

Report get_report(wire::Report::Reader from) {
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
  read.durable_end = {counter(from.getDurableEnd())};
  return read;
}

void put(wire::Frame::Builder to, const KeepAlive&, OutBody&) { to.setKeepAlive(); }

}  // namespace stele::net::codec
