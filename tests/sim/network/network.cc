#include "tests/sim/network/network.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "net/wire/codec.h"
#include "net/wire/digest.h"
#include "net/wire/frame.h"
#include "tests/sim/checker/describe.h"
#include "tests/sim/network/connection.h"

namespace stele::sim {

std::string name_of(Host host) {
  return host < kFirstClient ? "n" + std::to_string(host)
                             : "c" + std::to_string(host - kFirstClient + 1);
}

Network::Network(Scheduler& scheduler, Random random, Options options, Coverage& coverage,
                 Trace& trace, Witness witness)
    : scheduler_(scheduler),
      random_(random),
      options_(options),
      coverage_(coverage),
      trace_(trace),
      witness_(std::move(witness)) {}

Network::~Network() = default;

std::unique_ptr<net::Dialer> Network::dialer(Host host) {
  return std::make_unique<SimDialer>(*this, host);
}

// --- Hosts -----------------------------------------------------------------------------

void Network::up(Host host, std::shared_ptr<Process> process, const Address& address,
                 OnLink on_link) {
  Machine& machine = machines_[host];
  machine.process = std::move(process);
  machine.no_power = false;
  machine.on_link = std::move(on_link);
  ++machine.boots;
  hosts_[to_string(address)] = host;
  for (const auto& [other, any] : machines_) release(other, host);
}

void Network::down(Host host, bool power) {
  Machine& machine = machines_[host];
  machine.process = nullptr;
  machine.no_power = power;
  machine.on_link = nullptr;
  for (const auto& [id, connection] : std::map(connections_)) {
    for (int side : {0, 1}) {
      End& end = connection->ends[side];
      if (end.host != host || !end.open) continue;
      end.handler = nullptr;
      if (power) {
        end.open = false;
        end.held.clear();
        // What the dead process had not taken yet is never acknowledged.
        scheduler_.after(kUnacknowledged, [this, connection, other = 1 - side] {
          if (connection->ends[other].queued != 0) {
            fail(connection, other, "nothing is acknowledged");
          }
        });
      } else {
        // The system sends what it has taken over, or resets.
        if (random_.chance(50)) fail(connection, 1 - side, "connection reset by peer");
        close(connection, side);
      }
    }
  }
  forget_closed();
}

void Network::forget_closed() {
  std::erase_if(connections_, [](const auto& item) {
    const Connection& connection = *item.second;
    return !connection.ends[0].open && !connection.ends[1].open;
  });
}

// --- Connecting ------------------------------------------------------------------------

std::unique_ptr<net::Link> Network::dial(Host from, const Address& address,
                                         net::LinkHandler& handler) {
  auto connection = std::make_shared<Connection>();
  connection->id = ++made_;
  End& end = connection->ends[0];
  end.host = from;
  end.boot = machines_.at(from).boots;
  end.open = true;
  end.handler = &handler;
  const auto found = hosts_.find(to_string(address));
  connection->ends[1].host = found == hosts_.end() ? 0 : found->second;
  connections_[connection->id] = connection;
  auto link = std::make_unique<SimLink>(*this, connection, 0);
  scheduler_.after(latency(from, connection->ends[1].host),
                   [this, connection, until = scheduler_.now() + kConnectTimeout] {
                     try_connect(connection, until);
                   });
  return link;
}

void Network::try_connect(const Shared& connection, Time until) {
  End& from = connection->ends[0];
  if (!from.open) return;
  const Host to = connection->ends[1].host;
  const auto machine = machines_.find(to);
  const bool silent = machine == machines_.end() || machine->second.no_power ||
                      !reaches(from.host, to) || !reaches(to, from.host);
  if (silent) {
    if (scheduler_.now() >= until) {
      coverage_.count(Path::connect_timeouts);
      return fail(connection, 0, "no connection within the time-out");
    }
    scheduler_.after(std::chrono::seconds(1),
                     [this, connection, until] { try_connect(connection, until); });
    return;
  }
  if (machine->second.process == nullptr || !machine->second.on_link) {
    coverage_.count(Path::connections_refused);
    return fail(connection, 0, "connection refused");
  }
  establish(connection);
}

void Network::establish(const Shared& connection) {
  Machine& machine = machines_.at(connection->ends[1].host);
  End& end = connection->ends[1];
  end.open = true;
  end.boot = machine.boots;
  connection->established = true;
  // The link is made when the process turns to it; what comes before waits.
  machine.process->post([this, connection, on_link = machine.on_link] {
    if (!connection->ends[1].open) return;
    on_link(std::make_unique<SimLink>(*this, connection, 1));
  });
  for (auto& frame : std::exchange(connection->early, {})) launch(connection, 0, std::move(frame));
}

// --- Sending ---------------------------------------------------------------------------

bool Network::send(const Shared& connection, int side, const net::Message& message) {
  End& end = connection->ends[side];
  if (!end.open) return false;
  const net::OutFrame out = net::encode(message);
  const std::size_t size = out.bytes();
  // A node's queues for its clients hold several of the largest answers.
  const bool to_client = connection->ends[1 - side].host >= kFirstClient;
  const std::size_t bound = to_client ? kClientQueueBytes : options_.queue_bytes_max;
  if (end.queued != 0 && end.queued + size > bound) {
    coverage_.count(Path::link_queue_full);
    end.refused = true;
    return false;
  }
  auto frame = std::make_shared<Frame>();
  frame->bytes = std::make_shared<std::vector<std::byte>>();
  frame->bytes->reserve(size);
  *frame->bytes = out.head;
  for (const Slice& part : out.body) {
    frame->bytes->insert(frame->bytes->end(), part.bytes.begin(), part.bytes.end());
  }
  frame->bytes->resize(size);
  frame->between_nodes = std::holds_alternative<paxos::Message>(message);
  if (trace_.wanted()) frame->text = describe(message);
  end.queued += size;
  if (connection->established) {
    launch(connection, side, std::move(frame));
  } else {
    connection->early.push_back(std::move(frame));
  }
  return true;
}

Duration Network::latency(Host from, Host to) {
  const auto clogged = clogged_.find({from, to});
  const Duration extra = clogged == clogged_.end() ? Duration(0) : clogged->second;
  return random_.between(options_.latency_min, options_.latency_max) + extra;
}

void Network::launch(const Shared& connection, int side, std::shared_ptr<Frame> frame) {
  if (options_.line_bytes_per_s == 0) return depart(connection, side, std::move(frame));
  End& end = connection->ends[side];
  end.line.push_back(std::move(frame));
  if (end.line.size() == 1) machines_.at(end.host).sending.emplace_back(connection, side);
  send_next(end.host);
}

/// A line sends a little for each connection in turn, as the system has it: none waits until
/// another one has sent everything.
void Network::send_next(Host host) {
  constexpr std::size_t kTurnBytes = 1500;
  Machine& machine = machines_.at(host);
  if (machine.busy || machine.sending.empty()) return;
  const auto [connection, side] = machine.sending.front();
  machine.sending.pop_front();
  End& end = connection->ends[side];
  const auto& bytes = end.line.front()->bytes;
  const std::size_t size = bytes == nullptr ? 0 : bytes->size();
  const std::size_t now = std::min(kTurnBytes, size - end.line_sent);
  machine.busy = true;
  const std::chrono::duration<double> takes(static_cast<double>(now) /
                                            static_cast<double>(options_.line_bytes_per_s));
  coverage_.count(Path::waits_for_a_line);
  scheduler_.after(std::chrono::duration_cast<Duration>(takes),
                   [this, host, connection = connection, side = side, now, size] {
                     End& from = connection->ends[side];
                     machines_.at(host).busy = false;
                     from.line_sent += now;
                     if (from.line_sent == size) {
                       from.line_sent = 0;
                       auto frame = std::move(from.line.front());
                       from.line.pop_front();
                       depart(connection, side, std::move(frame));
                     }
                     if (!from.line.empty()) {
                       machines_.at(host).sending.emplace_back(connection, side);
                     }
                     send_next(host);
                   });
}

void Network::depart(const Shared& connection, int side, std::shared_ptr<Frame> frame) {
  End& end = connection->ends[side];
  const Host to = connection->ends[1 - side].host;
  Time at = scheduler_.now() + latency(end.host, to);
  if (frame->between_nodes) {
    if (random_.chance_ppm(options_.drop_ppm)) {
      coverage_.count(Path::messages_lost);
      end.queued -= frame->bytes->size();
      end.left += frame->bytes->size();
      return;
    }
    if (random_.chance_ppm(options_.duplicate_ppm)) {
      coverage_.count(Path::messages_doubled);
      end.queued += frame->bytes->size();
      scheduler_.at(at + latency(end.host, to),
                    [this, connection, side, frame] { arrive(connection, side, frame); });
    }
    if (random_.chance_ppm(options_.reorder_ppm)) {
      coverage_.count(Path::messages_reordered);
      at += latency(end.host, to) * 4;
      scheduler_.at(at, [this, connection, side, frame = std::move(frame)] {
        arrive(connection, side, frame);
      });
      return;
    }
  }
  end.last_arrival = at = std::max(at, end.last_arrival);
  scheduler_.at(
      at, [this, connection, side, frame = std::move(frame)] { arrive(connection, side, frame); });
}

void Network::arrive(const Shared& connection, int side, const std::shared_ptr<Frame>& frame) {
  End& from = connection->ends[side];
  End& to = connection->ends[1 - side];
  const Machine& machine = machines_.at(to.host);
  if (!reaches(from.host, to.host) || machine.no_power || !from.held.empty()) {
    return hold(connection, side, frame);
  }
  if (!to.open || to.boot != machine.boots || machine.process == nullptr) {
    // Nobody there knows this connection: reset.
    if (from.open) fail(connection, side, "connection reset by peer");
    return;
  }
  machine.process->post([this, connection, side, frame] { take(connection, side, frame); });
}

void Network::hold(const Shared& connection, int side, const std::shared_ptr<Frame>& frame) {
  End& from = connection->ends[side];
  from.held.push_back(frame);
  if (from.held.size() != 1) return;
  scheduler_.after(kUnacknowledged, [this, connection, side, holds = ++from.holds] {
    End& end = connection->ends[side];
    if (end.holds != holds || end.held.empty() || !end.open) return;
    coverage_.count(Path::connections_timed_out);
    fail(connection, side, "nothing is acknowledged");
  });
}

void Network::release(Host from, Host to) {
  for (const auto& [id, connection] : std::map(connections_)) {
    for (int side : {0, 1}) {
      End& end = connection->ends[side];
      if (end.host != from || connection->ends[1 - side].host != to) continue;
      ++end.holds;
      for (auto& frame : std::exchange(end.held, {})) {
        end.last_arrival = std::max(scheduler_.now() + latency(from, to), end.last_arrival);
        scheduler_.at(end.last_arrival, [this, connection, side, frame = std::move(frame)] {
          arrive(connection, side, frame);
        });
      }
    }
  }
}

/// The receiver's process has turned to the frame.
void Network::take(const Shared& connection, int side, const std::shared_ptr<Frame>& frame) {
  End& from = connection->ends[side];
  End& to = connection->ends[1 - side];
  if (!to.open) return;
  if (frame->bytes == nullptr) {
    to.open = false;
    net::LinkHandler* handler = std::exchange(to.handler, nullptr);
    forget_closed();
    if (handler != nullptr) handler->on_closed(net::kClosedByPeer);
    return;
  }
  if (to.handler == nullptr) return;
  const std::size_t size = frame->bytes->size();
  from.queued -= std::min(from.queued, size);
  from.left += size;
  if (from.open && from.refused && from.queued < options_.queue_bytes_max / 2) {
    from.refused = false;
    const Machine& sender = machines_.at(from.host);
    if (sender.process != nullptr && sender.boots == from.boot) {
      sender.process->post([connection, side] {
        net::LinkHandler* handler = connection->ends[side].handler;
        if (handler != nullptr) handler->on_writable();
      });
    }
  }
  trace_.event(scheduler_.now(), 1, (from.host << 32) | to.host, (connection->id << 20) ^ size,
               [&] { return name_of(from.host) + " → " + name_of(to.host) + "  " + frame->text; });
  std::array<std::byte, net::FramePrefix::kBytes> prefix_bytes;
  std::memcpy(prefix_bytes.data(), frame->bytes->data(), prefix_bytes.size());
  const auto prefix = net::parse_prefix(prefix_bytes, to.frame_bytes_max);
  if (!prefix) return fail(connection, 1 - side, prefix.error().detail);
  const std::span<const std::byte> all(*frame->bytes);
  const auto header = all.subspan(net::FramePrefix::kBytes, prefix->header_bytes);
  auto message = net::decode(
      {frame->bytes, header,
       all.subspan(net::FramePrefix::kBytes + prefix->header_bytes, prefix->body_bytes)},
      to.speaker);
  if (!message) return fail(connection, 1 - side, message.error().detail);
  witness_(from.host, to.host, *message);
  to.handler->on_message(*std::move(message));
}

// --- Ending ----------------------------------------------------------------------------

/// This end goes; the other one hears of it after what was sent before.
void Network::close(const Shared& connection, int side) {
  End& end = connection->ends[side];
  if (!end.open) return;
  end.open = false;
  if (!connection->established) {
    forget_closed();
    return;
  }
  launch(connection, side, std::make_shared<Frame>());
  forget_closed();
}

/// The connection ends at this side, with a reason; what was on its way is lost.
void Network::fail(const Shared& connection, int side, const std::string& reason) {
  End& end = connection->ends[side];
  if (!end.open) return;
  const Machine& machine = machines_.at(end.host);
  if (machine.process == nullptr || machine.boots != end.boot) return;
  machine.process->post([this, connection, side, reason] {
    End& here = connection->ends[side];
    if (!here.open) return;
    net::LinkHandler* handler = std::exchange(here.handler, nullptr);
    here.held.clear();
    // What its line has not begun to send stays unsent.
    while (here.line.size() > 1) here.line.pop_back();
    close(connection, side);
    if (handler != nullptr) handler->on_closed(reason);
  });
}

// --- Faults ----------------------------------------------------------------------------

void Network::heal_all() {
  for (const auto& [from, to] : std::set(cut_)) heal(from, to);
  clogged_.clear();
}

void Network::reset(Host a, Host b) {
  for (const auto& [id, connection] : std::map(connections_)) {
    const Host x = connection->ends[0].host;
    const Host y = connection->ends[1].host;
    if (!(x == a && y == b) && !(x == b && y == a)) continue;
    coverage_.count(Path::connections_reset);
    fail(connection, 0, "connection reset by peer");
    fail(connection, 1, "connection reset by peer");
  }
}

void Network::be_kind(Duration latency_max) {
  options_.drop_ppm = options_.duplicate_ppm = options_.reorder_ppm = 0;
  options_.latency_max = std::min(options_.latency_max, latency_max);
  options_.latency_min = std::min(options_.latency_min, latency_max);
}

}  // namespace stele::sim
