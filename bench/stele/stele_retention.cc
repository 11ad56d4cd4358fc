#include "bench/stele/stele_retention.h"

#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <stdexcept>
#include <thread>

#include "bench/stele/stele_reads.h"

namespace stele::bench {
namespace {

constexpr std::chrono::seconds kTimeout{30};
/// A node that has just started may not listen yet.
constexpr std::chrono::milliseconds kStatusTimeout{50};

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

/// What the files in there take of the disk.
std::uint64_t taken_bytes(const std::string& directory) {
  std::uint64_t bytes = 0;
  std::error_code error;
  for (std::filesystem::recursive_directory_iterator at(directory, error), no_more;
       !error && at != no_more; at.increment(error)) {
    struct stat status {};
    // It may have gone since.
    if (::stat(at->path().c_str(), &status) != 0) continue;
    bytes += static_cast<std::uint64_t>(status.st_blocks) * 512;
  }
  return bytes;
}

/// Looks at the directories of all nodes, again and again, until it is destroyed.
class DiskWatch {
 public:
  DiskWatch(test::Cluster& cluster, Retained& found)
      : cluster_(cluster), found_(found), thread_([this] { run(); }) {}
  ~DiskWatch() {
    ends_ = true;
    thread_.join();
  }
  DiskWatch(const DiskWatch&) = delete;
  DiskWatch& operator=(const DiskWatch&) = delete;
  void begin_second_half() { second_half_ = true; }

 private:
  void run() {
    found_.second_half_low = UINT64_MAX;
    while (!ends_) {
      std::uint64_t most = 0;
      for (std::uint64_t id = 1; id <= cluster_.size(); ++id) {
        most = std::max(most, taken_bytes(cluster_.data(id)));
      }
      std::uint64_t& highest = second_half_ ? found_.second_half_bytes : found_.first_half_bytes;
      highest = std::max(highest, most);
      if (second_half_) found_.second_half_low = std::min(found_.second_half_low, most);
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
  }

  test::Cluster& cluster_;
  Retained& found_;
  std::atomic<bool> second_half_ = false;
  std::atomic<bool> ends_ = false;
  std::thread thread_;
};

void retain(SteleSubject& subject, std::uint64_t bytes) {
  BlockingClient client(subject.options());
  const auto done = client.set_retention({bytes, {}}, kTimeout);
  if (!done) throw std::runtime_error("the retention was not set: " + done.error().detail);
}

/// What a node says of itself; nothing if it does not answer.
std::optional<NodeReport> ask(BlockingClient& client, std::uint64_t id) {
  for (const NodeStatus& node : client.status(kStatusTimeout)) {
    if (node.reachable && node.answer.node.value == id) return node.answer;
  }
  return std::nullopt;
}

/// Watches a node that comes back. Its own thread's alone until it has ended.
struct Return {
  std::uint64_t end = 0;  ///< Of the log when it was started.
  double votes_s = 0;
  double copied_s = 0;
  Lsn voted_at;   ///< What it had applied then.
  Lsn first_lsn;  ///< When it has copied everything.

  void watch(BlockingClient& client, std::uint64_t id, const std::atomic<bool>& stop) {
    const auto begin = Clock::now();
    while (!stop && copied_s == 0) {
      if (const auto said = ask(client, id)) look(*said, seconds_since(begin));
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  }
  void look(const NodeReport& said, double now) {
    if (votes_s == 0 && said.applied_lsn.value + 1 >= end) {
      votes_s = now;
      voted_at = said.applied_lsn;
    }
    if (votes_s == 0 || !said.fault.empty()) return;  // It says that it copies.
    copied_s = now;
    first_lsn = said.first_lsn;
  }
};

}  // namespace

Retained measure_retention(SteleSubject& trimmed, SteleSubject& plain, const LoadOptions& load,
                           std::uint64_t retain_bytes, std::uint64_t bytes, std::size_t pairs) {
  Retained found;
  retain(trimmed, retain_bytes);
  {
    DiskWatch watch(*trimmed.own(), found);
    const auto begin = Clock::now();
    fill(trimmed, load.payload_bytes, bytes / 2);
    watch.begin_second_half();
    fill(trimmed, load.payload_bytes, bytes - bytes / 2);
    found.fill_per_second =
        static_cast<double>(bytes) / static_cast<double>(load.payload_bytes) / seconds_since(begin);
  }
  for (std::size_t i = 0; i < pairs; ++i) {
    Run with = measure(trimmed, load, 1);
    found.pairs.emplace_back(std::move(with), measure(plain, load, 1));
  }
  return found;
}

Absence measure_absence(SteleSubject& subject, const LoadOptions& load, std::uint64_t retain_bytes,
                        std::uint64_t bytes) {
  test::Cluster& cluster = *subject.own();
  if (cluster.size() < 3) throw std::runtime_error("one of three nodes at least can be missing");
  retain(subject, retain_bytes);
  Absence result;
  result.before = measure(subject, load, 1);
  if (!cluster.settle()) throw std::runtime_error("the nodes do not agree");
  const std::uint64_t away = cluster.leader() == 1 ? 2 : 1;
  cluster.kill(away);
  LoadOptions meanwhile = load;
  meanwhile.rate = result.before.load.per_second() / 2;
  meanwhile.in_flight = 1 << 16;
  meanwhile.appends_max = bytes / load.payload_bytes;
  meanwhile.warm_up = {};
  meanwhile.duration = std::chrono::hours(24);
  static_cast<void>(measure(subject, meanwhile, 1));

  Return back;
  back.end = *subject.entries();
  ClientOptions options = subject.options();
  options.addresses = {cluster.address(away)};
  BlockingClient client(options);
  std::atomic<bool> stop = false;
  std::atomic<bool> copied = false;
  LoadOptions during = load;
  during.warm_up = {};
  during.duration = std::chrono::hours(1);
  during.stop = [&] { return copied.load(); };
  cluster.start(away);
  std::thread watcher([&] {
    back.watch(client, away, stop);
    copied = true;
  });
  result.during = measure(subject, during, 1);
  stop = true;
  watcher.join();
  if (back.copied_s == 0) throw std::runtime_error("the node did not come back");
  result.votes_s = back.votes_s;
  result.copied_s = back.copied_s;
  // All of it may have been trimmed meanwhile.
  const std::uint64_t copied_entries =
      back.voted_at > back.first_lsn ? back.voted_at.value - back.first_lsn.value : 0;
  result.copied_bytes = static_cast<double>(copied_entries * load.payload_bytes);
  if (!cluster.settle()) throw std::runtime_error("the nodes do not agree");
  result.after = measure(subject, load, 1);
  return result;
}

}  // namespace stele::bench
