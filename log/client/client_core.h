// The client without its dress: sessions, retries, finding the leader. <stele/client.h> is its
// public face.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <ranges>
#include <span>
#include <string>
#include <vector>

#include <stele/client_types.h>
#include <stele/completion.h>
#include "log/format/packer.h"
#include "net/link/link.h"
#include "net/loop/loop.h"

namespace stele::log {

/// One session and one sequence for all retries: an append takes effect at most once, in the order
/// of the calls. Loop thread only. Pending operations end with shutting_down when it is destroyed.
class ClientCore {
 public:
  /// Gets called once, on the loop, never from within the call that took it.
  using AppendDone = detail::Completion<AppendResult>;
  using ReadDone = std::function<void(std::optional<Errc>, ReadResult)>;
  using StatusDone = std::function<void(std::vector<NodeStatus>)>;

  ClientCore(net::Loop& loop, net::Dialer& dialer, ClientOptions options);
  ~ClientCore();

  void append(std::span<const std::byte> payload, Lsn condition, Duration timeout,
              std::unique_ptr<AppendDone> done);
  void read(const ReadOptions& options, ReadDone done);
  /// The next entries from `lsn_begin` on ({}: from the present end), once there are some.
  void tail(Lsn lsn_begin, ReadDone done);
  /// Asks every node it knows or hears of.
  void status(Duration timeout, StatusDone done);
  /// Takes appends again after one that failed, once everything given before has been told.
  void go_on();
  /// Closes the session and all connections; what is pending ends with shutting_down. A later
  /// operation opens them again.
  void close();

  static constexpr std::size_t kCommandBytesMax = 64 << 10;
  static constexpr std::uint32_t kTailCreditBytes = 1 << 20;
  static constexpr Duration kBackoffMin = std::chrono::milliseconds(5);

 private:
  class Connection;
  friend class Connection;

  struct Pending {
    Slice payload;
    Lsn condition;
    Time deadline;
    std::unique_ptr<AppendDone> done;  // Null once told: the sequence is still to be consumed.
    std::uint32_t attempts = 0;        // Those that may have been proposed.
    Time resolve_by{};                 // Taken back: told as unknown then.
    bool skip = false;      // Given up: what is sent from now on only consumes the sequence.
    bool consumed = false;  // Its outcome is known.
  };
  /// What is to be told: an append's success, or a call.
  struct Completed {
    std::unique_ptr<AppendDone> append;
    Lsn lsn;
    std::function<void()> call;
  };
  struct PendingRead {
    ReadOptions options;
    ReadDone done;
    Time deadline;
    Connection* asked = nullptr;
    Time asked_at{};
    bool answered = false;  // With something else than what it asks for.
    int unanswered = 0;     // So often within the time-out: the next answer is to be smaller.
    Time again_at{};
  };
  struct PendingStatus {
    StatusDone done;
    Time deadline;
    std::map<std::string, NodeStatus> nodes;  // By address.
    std::map<std::string, bool> answered;
  };
  struct Tail {
    std::uint64_t request = 0;  // Of the subscription under way; 0: none.
    Lsn next;                   // What the subscription delivers next.
    Lsn told;                   // What the user has been given: next minus what is buffered.
    ReadResult buffered;
    std::uint32_t credit_used = 0;
    ReadDone waiting;
  };

  // Connections and the leader.
  Connection* target();
  Connection& connection(const Address& address);
  void learn(const std::string& address);
  void on_ready(Connection& connection);
  void on_lost(Connection& connection, const std::string& reason);
  void on_message(Connection& connection, net::Message& message);
  void on_wrong_cluster(Connection& connection, const std::string& why);
  [[nodiscard]] bool addresses_are_checked();
  void tell_waiting(Time now);
  void leave_target(const std::string& leader, const std::string& reason);
  [[nodiscard]] bool is_silent(const Address& address) const;
  void wake();
  void turn();
  void tick();
  void tick_soon();
  [[nodiscard]] bool idle() const;

  // Appends.
  void open_session(Connection& connection);
  void on_session_opened(Connection& connection, const net::SessionOpened& opened);
  void send_appends(Connection& connection);
  bool send_command(Connection& connection, std::size_t index, std::size_t count);
  void on_results(Connection& connection, const net::AppendResults& results);
  void on_result(Connection& connection, const CommandResult& result,
                 const net::AppendResults& all);
  void on_session_expired(const CommandResult& result);
  void refuse_all(Errc error, const char* why);
  void on_refused(const CommandResult& result, Errc error);
  void finish(Pending& entry, std::optional<Errc> error, AppendResult result);
  [[nodiscard]] bool needs_target() const;
  [[nodiscard]] bool target_owes() const;
  [[nodiscard]] bool appends_owed() const { return opening_nonce_ != 0 || next_send_ > first_; }
  void on_append_progress();
  void look_at_resend(Time now);
  void look_at_upload(Connection* asked, Time now);
  void look_at_download(Connection* asked, Time now);
  [[nodiscard]] bool target_silent(Connection& target, Time now);
  [[nodiscard]] double longest_wait(Time now) const;
  [[nodiscard]] Duration read_patience(const PendingRead& read) const;
  [[nodiscard]] Duration patience(Duration usual) const;
  void drop_consumed();
  void stop_at(std::size_t index, bool late = false);
  void take_back();
  void expire_appends(Time now);
  void resend_from(Sequence sequence);
  using Range = std::ranges::subrange<std::deque<Pending>::iterator>;
  Range range_of(const CommandResult& result);
  void end_statuses();
  void abort_operations(Errc error, const std::string& detail);
  void complete_later(std::unique_ptr<AppendDone> done, std::optional<Errc> error,
                      AppendResult result);
  void send_half();
  void call_later(std::function<void()> call);
  bool call_next();

  // Reads, tails, status.
  void send_reads();
  [[nodiscard]] static std::uint32_t bytes_max_of(const PendingRead& read);
  Connection* connection_for(const PendingRead& read);
  void on_read_result(Connection& connection, const net::ReadAnswer& result);
  void end_read(std::uint64_t request, std::optional<Errc> error, ReadResult result);
  void subscribe(Connection& connection);
  void on_tail_entries(const net::TailEntries& entries);
  void on_tail_end(Connection& connection, const net::TailEnd& end);
  void deliver_tail();
  void send_tail_credit();
  void send_status();
  void on_status(Connection& connection, const net::StatusAnswer& answer);

  // What every append touches comes first: a program may have thousands of clients.
  net::Loop& loop_;
  Connection* target_ = nullptr;
  std::size_t target_index_ = 0;
  std::size_t target_known_ = SIZE_MAX;  // Whose connection `target_` is, among the addresses.
  std::vector<Address> addresses_;       // Known nodes; the user's first.
  Time appends_since_{};    // Since when the target has owed answers to appends and told none,
  Time tail_since_{};       // and nothing of the tail.
  Duration appends_gap_{};  // The longest such time of late after which one came.
  int left_silent_ = 0;     // So many nodes in a row were left because they answered nothing.
  bool woken_ = false;      // A turn is to come, or under way and not yet at what it sends.
  bool stopped_ = false;    // An append has failed, and nothing after it is to be appended.
  Sequence stop_begin_;     // The one that has failed.
  const char* stop_detail_ = "";  // How the others are told of it.
  bool takes_back_ = false;       // What was on its way then, still to be done.
  bool stop_is_known_ = false;    // The caller that tells a failure has seen to that.
  bool closed_ = false;
  bool* destroyed_ = nullptr;  // Set by the destructor, for a turn that calls others.
  std::unique_ptr<net::Timer> timer_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);

  SessionId session_;
  Sequence first_{1};
  Sequence next_send_{1};
  Sequence told_end_;            // One past the highest sequence whose outcome has been told.
  std::deque<Pending> appends_;  // Not consumed, dense from first_ on.
  std::size_t waiting_bytes_ = 0;
  std::size_t fresh_bytes_ = 0;  // Appended since something was sent.
  Time appends_again_at_{};
  Sequence resent_until_;         // Those before it were sent before, and what of them was
  std::uint64_t resent_end_ = 0;  // sent again is there once so much has left.
  Time resend_at_{};
  Sequence resend_last_;                  // Of several that were asked for.
  std::uint64_t resend_left_ = 0;         // What had left at the last look.
  std::optional<Sequence> resend_later_;  // Then it is asked for again.
  Packer payloads_;
  std::vector<Completed> completed_;  // Told in the next turn, in order, but for
  std::size_t told_ = 0;              // these.
  Connection* hint_from_ = nullptr;   // Whose name the hint is, if it led itself.
  Duration backoff_{};

  std::map<std::uint64_t, PendingRead> reads_;
  std::map<std::uint64_t, PendingStatus> statuses_;
  Tail tail_;

  net::Dialer& dialer_;
  ClientOptions options_;
  Time tick_at_{};
  std::map<NodeId, std::string> members_;
  std::map<Address, std::unique_ptr<Connection>> connections_;
  std::uint64_t cluster_id_ = 0;  // Of the first node that told one.
  bool ever_connected_ = false;
  bool addresses_checked_ = false;
  Time checked_since_{};
  Time appends_served_at_{};  // When an append was decided last, or none waited,
  Time served_at_{};          // and the same of reads and the tail.
  Time waiting_told_at_{};
  std::string last_failure_;
  std::string leader_hint_;             // "host:port" of the leader as last heard of.
  std::map<std::string, Time> silent_;  // Who was left because it did not answer, and when.
  Time target_again_at_{};
  /// A node that says that it leads is given so many times what others are at most.
  static constexpr double kAllowanceMax = 8;
  double allowance_ = 1;                // The target is given so many times what it usually is,
  bool target_leads_ = false;           // It has said so, or decided an append.
  bool asks_whether_it_leads_ = false;  // and more if its answer is that.
  std::size_t target_queued_ = 0;       // Bytes, at the last tick,
  std::uint64_t target_left_ = 0;       // and those that had left,
  std::size_t target_receiving_ = 0;    // and had come of a large answer.
  std::uint64_t session_nonce_ = 0;     // The same for all tries to open one session.
  std::uint64_t opening_nonce_ = 0;     // A try is under way.
  std::uint64_t requests_ = 0;
};

}  // namespace stele::log
