#include "tests/sim/nodes/sim_client.h"

#include <algorithm>
#include <utility>

#include "tests/sim/checker/violation.h"

namespace stele::sim {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::uint64_t kEpilogueAppends = 4;
constexpr Duration kLong = std::chrono::hours(1);

}  // namespace

class SimClient::Done final : public log::AppendDone {
 public:
  Done(SimClient& client, std::size_t index, Lsn condition, Duration timeout)
      : client_(client), index_(index), condition_(condition), timeout_(timeout) {}
  void complete(std::optional<Errc> error, AppendResult result) override {
    if (error && !result.may_be_appended) client_.require_cause(*error, index_, timeout_);
    client_.on_append(index_, condition_, error, result);
  }

 private:
  SimClient& client_;
  std::size_t index_;
  Lsn condition_;
  Duration timeout_;
};

SimClient::SimClient(Surroundings world, Host host, std::uint64_t seed,
                     const std::vector<Address>& addresses)
    : world_(world), host_(host), random_(seed) {
  process_ = std::make_shared<Process>(world_.scheduler, random_.fork(1), Process::Clock{},
                                       us(world_.plan.turn_us_max));
  world_.network.up(host_, process_, {"client", static_cast<std::uint16_t>(host_)}, nullptr);
  dialer_ = world_.network.dialer(host_);
  ClientOptions options;
  options.addresses = addresses;
  // One address is enough: the others are found through it. But that node may be dead for good.
  options.window = static_cast<std::uint32_t>(world_.plan.client_window);
  options.session_ttl = ms(world_.plan.session_ttl_ms);
  options.attempt_timeout = ms(world_.plan.attempt_timeout_ms);
  options.stop_at_failure = world_.plan.stops != 0;
  shared_ = std::make_unique<log::SharedConnections>(*process_, *dialer_);
  for (std::uint64_t i = 0; i <= world_.plan.sharers; ++i) {
    User& user = users_.emplace_back();
    if (world_.plan.sharers != 0) user.dialer = shared_->dialer(0);
    net::Dialer& dialer = user.dialer ? *user.dialer : *dialer_;
    user.core = std::make_unique<log::ClientCore>(*process_, dialer, options);
    user.writer = ++world_.writers;
  }
  // Some only read: they stay with a leader that answers reads, and nothing else.
  const bool only_reads = host - kFirstClient < world_.plan.readers;
  read_percent_ = only_reads ? 100 : world_.plan.read_percent;
}

SimClient::~SimClient() {
  gone_ = true;
  process_->halt();
  world_.network.down(host_, false);
  users_.clear();
  shared_.reset();
  process_->clear();
}

void SimClient::start() {
  process_->post([this] { pump(); });
}

// --- The workload ----------------------------------------------------------------------

void SimClient::pump() {
  if (epilogue_) return;
  const Plan& plan = world_.plan;
  if (left_in_burst_ == 0) {
    burst_ = left_in_burst_ = random_.between(1, 2 * plan.in_flight);
  }
  --left_in_burst_;
  if (pending_appends_ + pending_reads_ < plan.in_flight) next_operation();
  // A burst: together, or one after the other, so that each becomes a command of its own.
  const Duration pause = left_in_burst_ == 0  ? pause_after(burst_)
                         : random_.chance(30) ? Duration(0)
                                              : us(random_.below(600));
  timer_ = process_->after(pause, [this] { pump(); });
}

/// A pause with which the operations are spread over the whole phase.
Duration SimClient::pause_after(std::uint64_t operations) {
  const std::uint64_t each_us = world_.plan.horizon_ms * 1000 / world_.plan.operations;
  return us(random_.between(1, 2 * each_us * operations));
}

void SimClient::next_operation() {
  const Plan& plan = world_.plan;
  const std::uint64_t dice = random_.below(100);
  std::uint64_t limit = read_percent_;
  if (dice < limit) {
    return read(random_.chance(70) ? NodeId{} : NodeId{random_.between(1, plan.nodes)});
  }
  limit += plan.tail_percent;
  if (dice < limit) return tail();
  limit += plan.close_percent;
  if (dice < limit) return close();
  limit += plan.keep_percent;
  if (dice < limit) return keep();
  limit += plan.condition_percent;
  append(dice < limit, ms(random_.between(1, plan.deadline_ms_max)));
}

SimClient::User& SimClient::any_user() {
  return users_.size() == 1 ? users_.front() : users_[random_.below(users_.size())];
}

void SimClient::append(bool conditional, Duration timeout) {
  User& user = any_user();
  const std::size_t index = world_.history.appends.size();
  test::Append append;
  append.writer = user.writer;
  append.payload = name_of(host_) + "-" + std::to_string(index) + "-";
  append.payload.resize(append.payload.size() + random_.below(world_.plan.payload_bytes_max), '.');
  append.began = time();
  append.stops_at_failure = world_.plan.stops != 0;
  world_.history.appends.push_back(append);
  ++pending_appends_;
  ++user.pending;
  const Lsn condition = conditional ? end_seen_ + random_.below(3) : Lsn{};
  user.core->append({std::as_bytes(std::span(append.payload)), condition}, timeout,
                    std::make_unique<Done>(*this, index, condition, timeout));
}

/// Invariant 9: a definite refusal is true, and so is its reason: something in this run has caused
/// it.
void SimClient::require_cause(Errc error, std::size_t index, Duration timeout) const {
  if (gone_) return;
  const Plan& plan = world_.plan;
  const Duration waited(time() - world_.history.appends[index].began);
  bool caused = false;
  switch (error) {
    case Errc::timed_out:
    case Errc::unreachable: caused = waited >= timeout; break;
    case Errc::no_space:
      caused = std::ranges::any_of(
          plan.faults, [](const Fault& fault) { return fault.kind == Fault::Kind::space; });
      break;
    case Errc::condition_failed: caused = plan.condition_percent != 0; break;
    case Errc::overloaded: caused = plan.sessions_max != 0; break;
    case Errc::shutting_down: caused = plan.close_percent != 0; break;
    case Errc::stopped: caused = plan.stops != 0; break;
    default: break;
  }
  if (caused) return;
  throw Violation("9", "an append was refused for " + std::string(to_string(error)) +
                           ", and nothing has caused that");
}

void SimClient::on_append(std::size_t index, Lsn condition, std::optional<Errc> error,
                          const AppendResult& result) {
  if (gone_) return;
  --pending_appends_;
  if (!error && condition != Lsn{} && result.lsn != condition) {
    throw Violation("9", "an append that asked for LSN " + std::to_string(condition.value) +
                             " got " + std::to_string(result.lsn.value));
  }
  if (error == Errc::condition_failed && condition == Lsn{}) {
    throw Violation("9", "an append without a condition failed by one");
  }
  test::Append& append = world_.history.appends[index];
  append.ended = time();
  note_failure(append.writer, error.has_value());
  world_.trace.event(world_.scheduler.now(), 2, index, result.lsn.value, [&] {
    return name_of(host_) + ": append '" + append.payload.substr(0, 12) + "' " +
           (error ? std::string(to_string(*error)) + (result.may_be_appended ? ", unknown" : "")
                  : "is LSN " + std::to_string(result.lsn.value));
  });
  if (!error) {
    append.fate = test::Append::Fate::acknowledged;
    append.lsn = result.lsn.value;
    end_seen_ = std::max(end_seen_, result.lsn + 1);
    acknowledged_end_ = std::max(acknowledged_end_, result.lsn + 1);
    if (result.lsn == Lsn{}) throw Violation("9", "an append has succeeded without an LSN");
    world_.coverage.count(Path::appends_acknowledged);
    if (condition != Lsn{}) world_.coverage.count(Path::conditions_met);
    if (epilogue_ && owed_ != 0) {
      --owed_;
      tail_owed_ = tail_next_ < acknowledged_end_;  // Also of this append.
    }
  } else {
    if (!result.may_be_appended) append.fate = test::Append::Fate::refused;
    const bool forgotten = result.detail.find("what became of this append") != std::string::npos;
    if (forgotten) {
      world_.coverage.count(Path::outcomes_forgotten);
      if (world_.plan.sessions_max == 0) {
        throw Violation("9", "an append within the window is forgotten");
      }
    }
    if (*error == Errc::timed_out) world_.coverage.count(Path::appends_timed_out);
    if (*error == Errc::condition_failed) world_.coverage.count(Path::conditions_failed);
  }
  if (epilogue_) process_->post([this] { epilogue_step(); });
}

/// After a failure it begins anew once everything that it had asked for has been told.
void SimClient::note_failure(std::uint64_t writer, bool failed) {
  for (User& user : users_) {
    if (user.writer != writer) continue;
    --user.pending;
    user.failed = user.failed || (failed && world_.plan.stops != 0);
    if (!user.failed || user.pending != 0) return;
    world_.coverage.count(Path::stops_at_failures);
    user.failed = false;
    user.writer = ++world_.writers;
    user.core->go_on();
    return;
  }
}

void SimClient::read(NodeId node) {
  ++pending_reads_;
  ReadOptions options;
  options.node = node;
  options.lsn_begin = Lsn{random_.between(1, end_seen_.value)};
  if (random_.chance(30)) options.lsn_end = options.lsn_begin + random_.below(5);
  options.bytes_max = random_.chance(50) ? 1 << 20 : random_.between(1, 300);
  // A node that is asked by name may be gone for good.
  const std::uint64_t longest = std::min<std::uint64_t>(world_.plan.deadline_ms_max, 20000);
  options.timeout = epilogue_ ? ms(3600000) : ms(random_.between(1, longest));
  test::Read read;
  read.linearizable = node == NodeId{};
  read.from = options.lsn_begin.value;
  read.began = time();
  core().read(
      options, [this, read, end = options.lsn_end, trimmed_below = world_.history.trimmed_below](
                   std::optional<Errc> error, const ReadResult& result) mutable {
        if (gone_) return;
        --pending_reads_;
        if (error == Errc::trimmed) {
          on_trimmed(Lsn{read.from}, result.first_lsn);
          world_.coverage.count(Path::reads_trimmed);
          read_owed_ = false;
        }
        if (!error && read.linearizable && read.from < trimmed_below) {
          throw Violation("14", "entries were read that had been trimmed before");
        }
        if (!error) {
          read.ended = time();
          read.end = result.lsn_end.value;
          for (const Entry& entry : result.entries) read.entries.push_back(text_of(entry));
          // As many as fit, but one at least if there is one; and it goes on after them.
          const Lsn until = end == Lsn{} ? result.lsn_end : std::min(end, result.lsn_end);
          const Lsn begin{read.from};
          const std::uint64_t most = until - begin;
          const bool right = read.entries.size() <= most && (most == 0 || !read.entries.empty()) &&
                             result.lsn_next == begin + read.entries.size();
          if (!right) throw Violation("users", "a read of a range has another number of entries");
          world_.history.reads.push_back(read);
          world_.coverage.count(read.linearizable ? Path::linearizable_reads : Path::local_reads);
          end_seen_ = std::max(end_seen_, result.lsn_end);
          read_owed_ = false;
        }
        if (epilogue_) process_->post([this] { epilogue_step(); });
      });
}

void SimClient::close() {
  // What is pending ends; the next session's appends may pass it.
  User& user = any_user();
  user.writer = ++world_.writers;
  user.pending = 0;
  user.failed = false;
  user.core->go_on();
  user.core->close();
  if (&user != &users_.front()) return;
  tail_.reset();
  ++tails_;
}

// --- The epilogue ----------------------------------------------------------------------

void SimClient::begin_epilogue() {
  epilogue_ = true;
  // Some do one thing only: what else a client does must not help it to find the leader.
  const std::uint64_t dice = host_ == kFirstClient ? 0 : random_.below(4);
  const bool only_reads = dice == 1 && !tail_ && tails_ == 0;
  const bool only_tails = dice == 2;
  owed_ = only_reads || only_tails ? 0 : kEpilogueAppends;
  read_owed_ = !only_tails;
  tail_owed_ = owed_ != 0;
  process_->post([this, only_reads] {
    timer_.reset();
    if (!tail_ && !only_reads) tail();
    epilogue_step();
  });
}

void SimClient::epilogue_step() {
  if (pending_appends_ + pending_reads_ != 0) return;
  if (owed_ != 0) {
    // A refusal is answered a little later.
    timer_ = process_->after(milliseconds(5), [this] {
      if (pending_appends_ == 0 && owed_ != 0) append(false, kLong);
    });
  } else if (read_owed_) {
    read(NodeId{});
  }
}

bool SimClient::content() const {
  return epilogue_ && owed_ == 0 && !read_owed_ && !tail_owed_ && pending_appends_ == 0 &&
         pending_reads_ == 0;
}

void SimClient::scan(NodeId node, Lsn from, Lsn end) {
  scanning_ = from < end;
  if (!scanning_) return;
  process_->post([this, node, from, end] {
    ReadOptions options;
    options.node = node;
    options.lsn_begin = from;
    options.timeout = seconds(5);
    core().read(
        options, [this, node, from, end](std::optional<Errc> error, const ReadResult& result) {
          if (gone_) return;
          const bool trimmed = error == Errc::trimmed;
          const Lsn next = trimmed ? result.first_lsn : error ? from : result.lsn_next;
          timer_ =
              process_->after(milliseconds(20), [this, node, next, end] { scan(node, next, end); });
        });
  });
}

bool SimClient::tail_reached(Lsn end) const {
  return tails_ == 0 || tail_next_ == Lsn{} || tail_next_ >= end;
}

std::string SimClient::waits_for() const {
  return name_of(host_) + " waits for " + std::to_string(pending_appends_) + " appends and " +
         std::to_string(pending_reads_) + " reads, and wants " + std::to_string(owed_) + " more" +
         (tail_owed_ ? " and what its tail lacks" : "");
}

}  // namespace stele::sim
