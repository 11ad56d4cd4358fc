// How a user of the cluster trims, and changes what is kept.

#include <algorithm>
#include <string>
#include <utility>

#include "log/format/retention.h"
#include "tests/sim/checker/violation.h"
#include "tests/sim/nodes/sim_client.h"

namespace stele::sim {

class SimClient::Kept final : public log::AppendDone {
 public:
  Kept(SimClient& client, std::uint64_t writer, log::CommandKind kind, Lsn before)
      : client_(client), writer_(writer), kind_(kind), before_(before) {}
  void complete(std::optional<Errc> error, AppendResult result) override {
    client_.on_kept(writer_, error, result, kind_, before_);
  }

 private:
  SimClient& client_;
  std::uint64_t writer_;
  log::CommandKind kind_;
  Lsn before_;
};

/// Trims, or changes what is kept.
void SimClient::keep() {
  using Kind = log::CommandKind;
  const Lsn somewhere{random_.between(first_seen_.value, end_seen_.value + 1)};
  const std::string name = "hold-" + std::to_string(random_.below(3));
  const std::uint64_t dice = random_.below(100);
  Kind kind = Kind::trim;
  std::vector<std::byte> body;
  if (dice < 55) {
    body = log::body_of(log::TrimCommand{somewhere, random_.chance(20)});
  } else if (dice < 70) {
    kind = Kind::set_retention;
    log::RetentionPolicy policy;
    if (random_.chance(60)) policy.bytes = random_.between(1, 100'000);
    if (random_.chance(40)) policy.age_us = random_.between(1000, 3'000'000);
    body = log::body_of(policy);
  } else if (dice < 90) {
    kind = Kind::set_hold;
    const std::uint64_t ttl_us = random_.between(1000, 3'000'000);
    body = log::body_of(log::HoldCommand{name, somewhere, ttl_us});
  } else {
    kind = Kind::release_hold;
    const auto bytes = std::as_bytes(std::span(name));
    body.assign(bytes.begin(), bytes.end());
  }
  User& user = any_user();
  ++pending_appends_;
  ++user.pending;
  user.core->append({body, {}, kind}, ms(random_.between(1, world_.plan.deadline_ms_max)),
                    std::make_unique<Kept>(*this, user.writer, kind, somewhere));
}

/// Invariants 9 and 14: what is told of a trim holds for every reader from there on.
void SimClient::on_kept(std::uint64_t writer, std::optional<Errc> error, const AppendResult& result,
                        log::CommandKind kind, Lsn before) {
  if (gone_) return;
  --pending_appends_;
  note_failure(writer, error.has_value());
  if (!error && kind == log::CommandKind::trim) {
    if (result.lsn < before) throw Violation("14", "a trim is done, and has not come so far");
    first_seen_ = std::max(first_seen_, result.lsn);
    end_seen_ = std::max(end_seen_, result.lsn);
    std::uint64_t& below = world_.history.trimmed_below;
    below = std::max(below, result.lsn.value);
  }
  if (error == Errc::held && kind != log::CommandKind::trim) {
    throw Violation("9", "a hold is the reason of what no hold keeps back");
  }
  if (epilogue_) process_->post([this] { epilogue_step(); });
}

/// Where the log begins, as a node says; it is not further on than the log itself says in the end.
void SimClient::on_trimmed(Lsn from, Lsn first) {
  world_.history.trimmed.push_back({from.value, first.value});
  first_seen_ = std::max(first_seen_, first);
  end_seen_ = std::max(end_seen_, first);
}

}  // namespace stele::sim
