#include "bench/stele/stele_recovery.h"

#include <atomic>
#include <stdexcept>
#include <thread>

#include "bench/stele/stele_reads.h"

namespace stele::bench {
namespace {

/// A node that has just started may not listen yet.
constexpr std::chrono::milliseconds kStatusTimeout{50};

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

/// The last entry that a node has applied; 0 if it does not answer.
std::uint64_t applied(const std::vector<NodeStatus>& nodes, std::uint64_t id) {
  for (const NodeStatus& node : nodes) {
    if (node.reachable && node.answer.node.value == id) return node.answer.applied_lsn.value;
  }
  return 0;
}

}  // namespace

Run measure_starts(SteleSubject& subject, std::size_t payload_bytes, std::size_t times) {
  test::Cluster& cluster = *subject.own();
  Run run;
  run.payload_bytes = payload_bytes;
  run.in_flight = run.connections = 1;
  for (std::size_t i = 0; i < times; ++i) {
    for (std::size_t id = 1; id <= cluster.size(); ++id) cluster.kill(id);
    const auto begin = Clock::now();
    for (std::size_t id = 1; id <= cluster.size(); ++id) cluster.start(id);
    const std::vector<std::byte> payload(payload_bytes);
    const auto appended =
        BlockingClient(subject.options()).append(payload, std::chrono::minutes(5));
    if (!appended) throw std::runtime_error("after the start: " + appended.error().detail);
    const double took = seconds_since(begin);
    run.load.latency.record(static_cast<std::uint64_t>(took * 1e9));
    ++run.load.acknowledged;
    run.load.seconds += took;
  }
  return run;
}

CatchUp measure_catch_up(SteleSubject& subject, const LoadOptions& load, std::uint64_t bytes) {
  test::Cluster& cluster = *subject.own();
  if (cluster.size() < 3) throw std::runtime_error("one of three nodes at least can be missing");
  CatchUp result;
  result.before = measure(subject, load, 1);
  const std::uint64_t lagging = cluster.leader() == 1 ? 2 : 1;
  if (!cluster.settle()) throw std::runtime_error("the nodes do not agree");
  const std::uint64_t had = *subject.entries();
  cluster.kill(lagging);
  fill(subject, load.payload_bytes, bytes);

  const std::uint64_t end = *subject.entries();
  std::atomic<bool> stop = false;
  std::atomic<double> took = 0;
  std::thread watcher;
  LoadOptions during = load;
  during.warm_up = {};
  during.duration = std::chrono::hours(1);
  const auto begin = Clock::now();
  cluster.start(lagging);
  watcher = std::thread([&] {
    ClientOptions options = subject.options();
    options.addresses = {cluster.address(lagging)};
    BlockingClient client(options);
    while (!stop) {
      const std::uint64_t now = applied(client.status(kStatusTimeout), lagging);
      if (now + 1 >= end) {
        took = seconds_since(begin);
        return;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  });
  during.stop = [&] { return took > 0; };
  result.during = measure(subject, during, 1);
  stop = true;
  watcher.join();
  if (took == 0) throw std::runtime_error("the node did not catch up");
  result.seconds = took;
  result.payload_bytes = static_cast<double>((end - had) * load.payload_bytes);
  // The node still takes over what was appended meanwhile. The time after that is measured.
  if (!cluster.settle()) throw std::runtime_error("the nodes do not agree");
  result.after = measure(subject, load, 1);
  return result;
}

}  // namespace stele::bench
