// A client's reads, until they are answered.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include <stele/client_types.h>
#include "log/client/client_parts.h"
#include "log/client/completions.h"
#include "log/client/link/node_link.h"
#include "net/wire/message.h"

namespace stele::log {

/// A read that is not answered is asked again, of the next target, or of the node that it names.
/// Loop thread only.
class PendingReads {
 public:
  explicit PendingReads(const ClientParts& client) : client_(client) {}

  void read(const ReadOptions& options, ReadDone done);
  /// What is kept, from the leader, linearizable.
  void read_retention(Duration timeout, RetentionDone done);
  /// Asks what is not asked.
  void send();
  void on_answer(NodeLink& from, const net::ReadAnswer& answer);
  void on_lost(const NodeLink& link);
  void on_target_left();
  /// None is asked before that time.
  void wait_until(Time time);
  /// Ends those that were not answered in time, or name a node that does not exist.
  void expire(Time now);
  void end_all(Errc error, const std::string& detail);

  [[nodiscard]] bool empty() const { return reads_.empty(); }
  /// Some are for the target, or have been asked of it.
  [[nodiscard]] bool need_target() const;
  [[nodiscard]] bool target_owes() const;
  /// The longest wait for the target, in what it is given.
  [[nodiscard]] double longest_wait(Time now) const;
  /// A large answer comes from the target: those after it are not late.
  void on_download(Time now);
  /// It has answered nothing: those that were late for it ask for less the next time.
  void on_target_silent(Time now);

 private:
  struct Pending {
    ReadOptions options;
    ReadDone done;
    RetentionDone retention_done;  // Instead of `done`: it is not entries that are asked for.
    Time deadline;
    NodeLink* asked = nullptr;
    Time asked_at{};
    bool answered = false;  // A node has answered, but not with entries.
    int unanswered = 0;     // So often no answer came in time: the next one is to be smaller.
    Time again_at{};

    [[nodiscard]] bool is_for_target() const { return options.node == NodeId{}; }
  };

  NodeLink* link_for(const Pending& read);
  [[nodiscard]] Duration patience(const Pending& read) const;
  void end(std::uint64_t request, std::optional<Errc> error, ReadResult result,
           RetentionReport report = {});
  void tell(Pending& read, std::optional<Errc> error, ReadResult result,
            RetentionReport report = {});
  [[nodiscard]] static std::uint32_t bytes_max_of(const Pending& read);

  const ClientParts& client_;
  std::map<std::uint64_t, Pending> reads_;  // By request.
};

/// Adds the entries of a frame, from `lsn` on; false, and nothing added, if it holds something else
/// than `count` entries.
bool add_entries(const std::vector<Slice>& slices, Lsn lsn, std::uint32_t count, ReadResult& out);

/// Why entries below `first` cannot be read.
[[nodiscard]] std::string trimmed_below(Lsn first);

}  // namespace stele::log
