#include "log/node/tcp_host.h"

#include <algorithm>
#include <utility>

#include <stele/version.h>
#include "log/store/disk/data_directory.h"
#include "log/store/disk/disk_store.h"
#include "paxos/base/check.h"
#include "paxos/base/result.h"

namespace stele::log {
namespace {

/// Kept on the disk, within disk_reserve_bytes: more than what is in flight, for when others fill
/// it.
constexpr std::uint64_t kReserveBytes = 24 << 20;

/// What buffers may take of a node's memory. About a third is left for the program, and for what
/// the store holds.
struct Shares {
  explicit Shares(const NodeOptions& options)
      : received(std::max<std::size_t>(*options.memory_bytes_max / 8,
                                       2 * (options.entry_bytes_max + (2 << 20)))),
        waiting(*options.memory_bytes_max / 16 * 3),
        in_flight(std::min<std::size_t>(*options.memory_bytes_max / 16 * 3, 12 << 20)),
        answers(*options.memory_bytes_max / 8) {}

  std::size_t received;   ///< Of frames that clients have begun to send; at least two large ones.
  std::size_t waiting;    ///< Commands that are in no batch yet.
  std::size_t in_flight;  ///< Batches that are proposed and not chosen yet.
  std::size_t answers;    ///< What clients have not read yet.
};

/// Several of the largest frames must fit into a queue.
net::TcpOptions tcp_options(const NodeOptions& node) {
  net::TcpOptions options;
  options.queue_bytes_max =
      std::max<std::size_t>(options.queue_bytes_max, 4 * (node.entry_bytes_max + (1 << 20)));
  options.queue_bytes_max = std::max(options.queue_bytes_max, Shares(node).in_flight + (4 << 20));
  return options;
}

net::TcpOptions listener_options(const NodeOptions& node) {
  net::TcpOptions options = tcp_options(node);
  // Connections that end, and a few that are told that there are too many.
  constexpr std::size_t kEnding = 64;
  options.accepted_max = node.clients_max + node.inbound_max + kEnding;
  options.receive_memory =
      std::make_shared<net::ReceiveMemory>(Shares(node).received, *node.memory_bytes_max / 2);
  return options;
}

}  // namespace

TcpHost::TcpHost(asio::io_context& context, NodeOptions options, Events& events,
                 std::function<void(const Error&)> on_failure)
    : options_(std::move(options)),
      events_(events),
      on_failure_([this, told = std::move(on_failure)](const Error& error) {
        if (std::exchange(failed_, true)) return;
        STELE_CHECK(told != nullptr, error.detail);
        told(error);
      }),
      loop_(context, options_.on_failed_check),
      dialer_(loop_, tcp_options(options_)),
      resolver_(context),
      starting_(asio::make_work_guard(context)) {}

void TcpHost::start(std::function<void(Result<void>)> done) {
  const Address& listen = *options_.listen;
  // Not waited for: a name server that does not answer must not hold up the end.
  resolver_.resolve(listen, [this, done = std::move(done)](const net::Resolver::Endpoints& found,
                                                           const std::string& failure) {
    loop_.guard([&] { on_resolved(found, failure, done); });
  });
}

void TcpHost::on_resolved(const net::Resolver::Endpoints& found, const std::string& failure,
                          const std::function<void(Result<void>)>& done) {
  starting_.reset();
  if (stopping_) return done(fail(Errc::shutting_down, "the node was stopped before it started"));
  if (!found.empty()) return done(begin(found));
  done(fail(Errc::invalid_argument, "cannot listen on " + to_string(*options_.listen) +
                                        ": the host name cannot be resolved: " + failure));
}

Result<void> TcpHost::begin(const net::Resolver::Endpoints& listen) {
  // The port first: a second node with the same flags should say so before it touches the
  // directory.
  auto listener =
      net::TcpListener::listen(loop_, *options_.listen, listen, listener_options(options_),
                               [this](std::unique_ptr<net::Link> link) {
                                 if (host_) host_->on_link(std::move(link));
                               });
  if (!listener) return fail(Errc::invalid_argument, listener.error().detail);

  auto directory = DataDirectory::open(options_.data);
  if (!directory) return forward(directory);
  Host::Options options = host_options();
  auto store = LmdbStore::open(
      *std::move(directory),
      {.files = {.map_bytes = *options_.disk_bytes_max,
                 .sections = tables_of(options.sections),
                 .reserve_bytes = std::min(kReserveBytes, *options_.disk_reserve_bytes / 2),
                 .node = options_.id},
       .snapshot_free_bytes_min = *options_.disk_reserve_bytes / 4},
      loop_, on_failure_);
  if (!store) return forward(store);
  auto host = Host::make(options, {loop_, dialer_, events_, on_failure_}, *std::move(store));
  if (!host) return forward(host);
  host_ = *std::move(host);
  listener_ = *std::move(listener);
  return {};
}

Host::Options TcpHost::host_options() const {
  const Shares shares(options_);
  Host::Options options;
  options.self = options_.id;
  options.cluster = options_.cluster;
  options.cluster_name = options_.cluster_name;
  options.entry_bytes_max = options_.entry_bytes_max;
  options.clients_max = options_.clients_max;
  options.inbound_max = options_.inbound_max;
  options.disk_reserve_bytes = *options_.disk_reserve_bytes;
  options.keep_for_members_bytes = options_.keep_for_members_bytes;
  options.fetch_bytes_per_second = options_.fetch_bytes_per_second;
  options.limits.waiting_bytes_max = shares.waiting;
  options.in_flight_bytes_max = shares.in_flight;
  options.answer_bytes_max = shares.answers;
  options.timing.heartbeat = options_.heartbeat;
  options.timing.election_timeout = options_.election_timeout;
  return options;
}

NodeReport report_without(NodeId node) {
  NodeReport report;
  report.node = node;
  report.role = "stopped";
  report.version = kVersion;
  report.fault = "it has not started";
  return report;
}

NodeReport TcpHost::report() {
  NodeReport report = report_without(options_.id);
  if (!host_ && !loop_.ended()) return report;
  report.role = "failed";
  report.fault = "a check of its own has failed: it does nothing any more";
  loop_.guard([&] { report = host_->status(); });
  return report;
}

void TcpHost::stop(std::function<void()> done) {
  stopping_ = true;
  listener_.reset();
  if (!host_ || loop_.ended()) return done();
  loop_.guard([&] { host_->stop(std::move(done)); });
}

}  // namespace stele::log
