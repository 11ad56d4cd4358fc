#include "tests/sim/sim_client.h"

#include <utility>

#include "tests/sim/violation.h"

namespace stele::sim {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::uint64_t kEpilogueAppends = 4;
constexpr Duration kLong = std::chrono::hours(1);

std::string text_of(const Entry& entry) {
  return {reinterpret_cast<const char*>(entry.payload.data()), entry.payload.size()};
}

milliseconds ms(std::uint64_t count) { return milliseconds(static_cast<std::int64_t>(count)); }
microseconds us(std::uint64_t count) { return microseconds(static_cast<std::int64_t>(count)); }

}  // namespace

class SimClient::Done final : public log::ClientCore::AppendDone {
 public:
  Done(SimClient& client, std::size_t index, bool conditional)
      : client_(client), index_(index), conditional_(conditional) {}
  void done(std::optional<Errc> error, AppendResult result) override {
    client_.on_append(index_, conditional_, error, result);
  }

 private:
  SimClient& client_;
  std::size_t index_;
  bool conditional_;
};

SimClient::SimClient(Surroundings world, Host host, std::uint64_t seed,
                     const std::vector<net::Address>& addresses)
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
  core_ = std::make_unique<log::ClientCore>(*process_, *dialer_, options);
  writer_ = ++world_.writers;
}

SimClient::~SimClient() {
  gone_ = true;
  process_->halt();
  world_.network.down(host_, false);
  core_.reset();
  process_->clear();
}

void SimClient::start() {
  process_->post([this] { pump(); });
}

// --- The workload ----------------------------------------------------------------------

void SimClient::pump() {
  if (epilogue_) return;
  const Plan& plan = world_.plan;
  while (started_ < plan.operations && pending_appends_ + pending_reads_ < plan.in_flight) {
    next_operation();
    if (plan.think_us_max != 0 && random_.chance(30)) break;
  }
  timer_ = process_->after(us(random_.between(1, plan.think_us_max + 1000)), [this] { pump(); });
}

void SimClient::next_operation() {
  ++started_;
  const Plan& plan = world_.plan;
  const std::uint64_t dice = random_.below(100);
  std::uint64_t limit = plan.read_percent;
  if (dice < limit) {
    return read(random_.chance(70) ? NodeId{} : NodeId{random_.between(1, plan.nodes)});
  }
  limit += plan.tail_percent;
  if (dice < limit) return tail();
  limit += plan.close_percent;
  if (dice < limit) return close();
  limit += plan.condition_percent;
  append(dice < limit, ms(random_.between(1, plan.deadline_ms_max)));
}

void SimClient::append(bool conditional, Duration timeout) {
  const std::size_t index = world_.history.appends.size();
  test::Append append;
  append.writer = writer_;
  append.payload = name_of(host_) + "-" + std::to_string(index) + "-";
  append.payload.resize(append.payload.size() + random_.below(world_.plan.payload_bytes_max), '.');
  append.began = time();
  world_.history.appends.push_back(append);
  ++pending_appends_;
  const Lsn condition = conditional ? end_seen_ + random_.below(3) : Lsn{};
  core_->append(std::as_bytes(std::span(append.payload)), condition, timeout,
                std::make_unique<Done>(*this, index, conditional));
}

void SimClient::on_append(std::size_t index, bool conditional, std::optional<Errc> error,
                          const AppendResult& result) {
  if (gone_) return;
  --pending_appends_;
  test::Append& append = world_.history.appends[index];
  append.ended = time();
  world_.trace.event(world_.scheduler.now(), 2, index, result.lsn.value, [&] {
    return name_of(host_) + ": append '" + append.payload.substr(0, 12) + "' " +
           (error ? std::string(to_string(*error)) + (result.may_be_appended ? ", unknown" : "")
                  : "is LSN " + std::to_string(result.lsn.value));
  });
  if (!error) {
    append.fate = test::Append::Fate::acknowledged;
    append.lsn = result.lsn.value;
    end_seen_ = std::max(end_seen_, result.lsn + 1);
    world_.coverage.count(Path::appends_acknowledged);
    if (conditional) world_.coverage.count(Path::conditions_met);
    if (epilogue_ && owed_ != 0) --owed_;
  } else {
    if (!result.may_be_appended) append.fate = test::Append::Fate::refused;
    if (*error == Errc::timed_out) world_.coverage.count(Path::appends_timed_out);
    if (*error == Errc::condition_failed) world_.coverage.count(Path::conditions_failed);
  }
  if (epilogue_) process_->post([this] { epilogue_step(); });
}

void SimClient::read(NodeId node) {
  ++pending_reads_;
  ReadOptions options;
  options.node = node;
  options.lsn_begin = Lsn{random_.between(1, end_seen_.value)};
  options.bytes_max = random_.chance(50) ? 1 << 20 : random_.between(1, 300);
  options.timeout = epilogue_ ? ms(3600000) : ms(random_.between(1, world_.plan.deadline_ms_max));
  test::Read read;
  read.linearizable = node == NodeId{};
  read.from = options.lsn_begin.value;
  read.began = time();
  core_->read(options, [this, read](std::optional<Errc> error, const ReadResult& result) mutable {
    if (gone_) return;
    --pending_reads_;
    if (!error) {
      read.ended = time();
      read.end = result.lsn_end.value;
      for (const Entry& entry : result.entries) read.entries.push_back(text_of(entry));
      world_.history.reads.push_back(read);
      world_.coverage.count(read.linearizable ? Path::linearizable_reads : Path::local_reads);
      end_seen_ = std::max(end_seen_, result.lsn_end);
      read_owed_ = false;
    }
    if (epilogue_) process_->post([this] { epilogue_step(); });
  });
}

// --- Tails -----------------------------------------------------------------------------

/// A tail anew: from the beginning, from somewhere, or from now on.
void SimClient::tail() {
  tail_next_ = random_.chance(30) ? Lsn{} : Lsn{random_.between(1, end_seen_.value)};
  tail_.reset();
  const std::uint64_t generation = ++tails_;
  core_->tail(tail_next_, [this, generation](std::optional<Errc> error, const ReadResult& result) {
    on_tail(generation, error, result);
  });
}

void SimClient::on_tail(std::uint64_t generation, std::optional<Errc> error,
                        const ReadResult& result) {
  if (gone_ || generation != tails_ || error) return;
  if (!tail_) {
    tail_ = world_.history.tails.size();
    const std::uint64_t from =
        tail_next_ == Lsn{}
            ? (result.entries.empty() ? result.lsn_next.value : result.entries.front().lsn.value)
            : tail_next_.value;
    world_.history.tails.push_back({from, {}, false});
  }
  test::Tail& seen = world_.history.tails[*tail_];
  for (const Entry& entry : result.entries) {
    if (entry.lsn.value != seen.from + seen.entries.size()) {
      throw Violation("11", "a tail delivered LSN " + std::to_string(entry.lsn.value) + " after " +
                                std::to_string(seen.from + seen.entries.size() - 1));
    }
    seen.entries.push_back(text_of(entry));
  }
  world_.coverage.count(Path::tail_entries, result.entries.size());
  tail_next_ = result.lsn_next;
  core_->tail(tail_next_, [this, generation](std::optional<Errc> failed, const ReadResult& more) {
    on_tail(generation, failed, more);
  });
}

void SimClient::close() {
  // What is pending ends; the next session's appends may pass it.
  writer_ = ++world_.writers;
  core_->close();
  tail_.reset();
  ++tails_;
}

// --- The epilogue ----------------------------------------------------------------------

void SimClient::begin_epilogue() {
  epilogue_ = true;
  owed_ = kEpilogueAppends;
  read_owed_ = true;
  process_->post([this] {
    timer_.reset();
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
  return epilogue_ && owed_ == 0 && !read_owed_ && pending_appends_ == 0 && pending_reads_ == 0;
}

std::string SimClient::waits_for() const {
  return name_of(host_) + " waits for " + std::to_string(pending_appends_) + " appends and " +
         std::to_string(pending_reads_) + " reads, and wants " + std::to_string(owed_) + " more";
}

}  // namespace stele::sim
