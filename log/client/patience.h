// How long a client has waited for what, and how long the target may take.
#pragma once

#include <cstddef>
#include <cstdint>

#include "log/client/link/node_link.h"
#include "paxos/base/ids.h"

namespace stele::log {

/// Each operation has a wait of its own: what else the node says does not answer it. But a node
/// that says in the midst of it that it leads may only have much to write: it is given longer. Loop
/// thread only.
class Patience {
 public:
  /// `attempt_timeout`: what a node is given at first.
  explicit Patience(Duration attempt_timeout) : timeout_(attempt_timeout) {}

  // --- What comes ----------------------------------------------------------------------

  /// Something is awaited from now on, after nothing was.
  void begin(Time now) { appends_since_ = tail_since_ = appends_served_at_ = served_at_ = now; }
  /// The target is another one, or connected anew.
  void restart(Time now) { appends_since_ = tail_since_ = now; }
  void on_target_left(Time now);
  /// The target has answered some of what it owes to appends.
  void on_append_progress(Time now);
  /// An append was decided; a read was answered; the tail, or nothing but that it lives, has come.
  void on_append_served(Time now) { appends_served_at_ = now; }
  void on_read_served(Time now) { served_at_ = now; }
  void on_tail(Time now) { tail_since_ = served_at_ = now; }

  // --- Whether the target is silent ----------------------------------------------------

  struct Owed {
    bool appends = false;  ///< Or a session.
    bool tail = false;
    double reads = 0;  ///< The longest wait of a read, in what it is given.
  };
  /// Once a tick: a large upload over a slow line is progress, though nothing is answered. `asked`
  /// may be null.
  void look_at_upload(const NodeLink* asked, const Owed& owed, Time now);
  /// Once a tick: so is a large answer that comes over a slow line, for reads and the tail. True if
  /// one comes.
  [[nodiscard]] bool look_at_download(const NodeLink* asked, Time now);
  /// It has been waited for for too long. May ask the target whether it leads.
  [[nodiscard]] bool is_silent(NodeLink& target, const Owed& owed, Time now);
  /// It was left for that.
  void on_silent(const Owed& owed);
  /// The target's answer to a question of is_silent(); false if there was none.
  [[nodiscard]] bool take_question();
  void on_says_that_it_leads();

  // --- Whether to tell the user --------------------------------------------------------

  /// True once in a while when something has waited for long. Appends are one thing, reads and
  /// tails another: what comes for these does not serve those.
  [[nodiscard]] bool is_to_be_told(bool appends_wait, bool others_wait, Time now);

  /// Each node before that did not answer doubles it, up to so many.
  static constexpr int kLeftSilentMax = 4;

 private:
  [[nodiscard]] Duration for_appends() const;

  Duration timeout_;
  Time appends_since_{};    // Since when the target has owed answers to appends and told none.
  Time tail_since_{};       // Since when nothing of the tail has come.
  Duration appends_gap_{};  // The longest wait of late after which an answer came.
  int left_silent_ = 0;     // So many nodes in a row were left because they answered nothing.
  double allowance_ = 1;    // The target is given so many times what it usually is.
  bool asks_whether_it_leads_ = false;
  std::size_t target_queued_ = 0;     // Bytes, at the last tick.
  std::uint64_t target_left_ = 0;     // Those that had left then.
  std::size_t target_receiving_ = 0;  // Those that had come of a large answer then.
  Time appends_served_at_{};          // When an append was decided last, or none waited.
  Time served_at_{};                  // The same of reads and the tail.
  Time told_at_{};
};

}  // namespace stele::log
