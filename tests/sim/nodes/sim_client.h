// A user of the cluster: the real client library under a random workload, and what it saw.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "log/client/client_core.h"
#include "log/client/link/shared_link.h"
#include "tests/history/history.h"
#include "tests/sim/checker/coverage.h"
#include "tests/sim/network/network.h"
#include "tests/sim/nodes/process.h"
#include "tests/sim/world/plan.h"

namespace stele::sim {

[[nodiscard]] inline std::string text_of(const Entry& entry) {
  return {reinterpret_cast<const char*>(entry.payload.data()), entry.payload.size()};
}

/// One client process, from its start to its end.
class SimClient {
 public:
  struct Surroundings {
    const Plan& plan;
    Scheduler& scheduler;
    Network& network;
    test::History& history;
    Coverage& coverage;
    Trace& trace;
    std::uint64_t& writers;  ///< Drawn from for every new order of appends.
  };

  SimClient(Surroundings world, Host host, std::uint64_t seed,
            const std::vector<Address>& addresses);
  /// As by SIGKILL: what is pending stays unknown.
  ~SimClient();
  SimClient(const SimClient&) = delete;
  SimClient& operator=(const SimClient&) = delete;

  void start();
  /// The workload ends; a few appends and a read must still go well.
  void begin_epilogue();
  /// Everything asked for is done.
  [[nodiscard]] bool content() const;
  /// Reads the whole log of one node, until that has succeeded.
  void scan(NodeId node, Lsn from, Lsn end);
  [[nodiscard]] bool scanning() const { return scanning_; }
  /// Its tail, if it has one, has delivered everything below `end`.
  [[nodiscard]] bool tail_reached(Lsn end) const;
  /// What it still waits for, for people.
  [[nodiscard]] std::string waits_for() const;

 private:
  class Done;
  class Kept;

  void pump();
  [[nodiscard]] Duration pause_after(std::uint64_t operations);
  void next_operation();
  void append(bool conditional, Duration timeout);
  void require_cause(Errc error, std::size_t index, Duration timeout) const;
  void on_append(std::size_t index, Lsn condition, std::optional<Errc> error,
                 const AppendResult& result);
  void note_failure(std::uint64_t writer, bool failed);
  void keep();
  void on_kept(std::uint64_t writer, std::optional<Errc> error, const AppendResult& result,
               log::CommandKind kind, Lsn before);
  void read(NodeId node);
  void on_trimmed(Lsn from, Lsn first);
  void tail();
  void on_tail(std::uint64_t generation, std::optional<Errc> error, const ReadResult& result);
  void go_on_tailing(std::uint64_t generation);
  void close();
  void epilogue_step();
  [[nodiscard]] std::int64_t time() const { return world_.scheduler.now().count(); }

  Surroundings world_;
  Host host_;
  Random random_;
  std::shared_ptr<Process> process_;
  std::unique_ptr<net::Dialer> dialer_;
  /// The first one does everything, the others append over the same connections.
  struct User {
    std::unique_ptr<net::Dialer> dialer;  // Of the shared connections, if there are others.
    std::unique_ptr<log::ClientCore> core;
    std::uint64_t writer = 0;
    std::uint64_t pending = 0;  // Appends of this writer.
    bool failed = false;        // An append of this writer has failed.
  };
  [[nodiscard]] log::ClientCore& core() { return *users_.front().core; }
  [[nodiscard]] User& any_user();

  std::unique_ptr<log::SharedConnections> shared_;
  std::vector<User> users_;
  std::unique_ptr<net::Timer> timer_;
  std::unique_ptr<net::Timer> tail_timer_;
  std::uint64_t read_percent_ = 0;
  std::uint64_t burst_ = 0;
  std::uint64_t left_in_burst_ = 0;
  std::uint64_t pending_appends_ = 0;
  std::uint64_t pending_reads_ = 0;
  Lsn end_seen_{1};
  Lsn first_seen_{1};
  Lsn acknowledged_end_{1};
  std::optional<std::size_t> tail_;  // In the history.
  Lsn tail_next_;
  std::uint64_t tails_ = 0;
  bool gone_ = false;
  bool epilogue_ = false;
  bool scanning_ = false;
  std::uint64_t owed_ = 0;  // Appends, and then a read, that the epilogue still wants.
  bool read_owed_ = false;
  bool tail_owed_ = false;  // A tail must deliver what was acknowledged.
};

}  // namespace stele::sim
