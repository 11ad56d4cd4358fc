#include "bench/stele/stele_reads.h"

#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <stdexcept>

namespace stele::bench {
namespace {

constexpr std::chrono::seconds kTimeout{30};

std::uint64_t ns_since(Clock::time_point begin) {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - begin).count());
}

/// What was used between the begin and the end of the measured time, and when that is.
class Measured {
 public:
  Measured(asio::io_context& context, SteleSubject& subject, Run& run)
      : context_(context), subject_(subject), run_(run), timer_(context) {}

  void start(std::chrono::milliseconds warm_up, std::chrono::milliseconds duration) {
    timer_.expires_after(warm_up);
    timer_.async_wait([this, duration](asio::error_code) {
      run_.servers = usage_of(subject_.processes());
      run_.client = usage_of({::getpid()});
      begin_ = last_ = Clock::now();
      on_ = true;
      timer_.expires_after(duration);
      timer_.async_wait([this](asio::error_code) {
        on_ = false;
        run_.load.seconds = static_cast<double>(ns_since(begin_)) / 1e9;
        run_.servers = usage_of(subject_.processes()) - run_.servers;
        run_.client = usage_of({::getpid()}) - run_.client;
        context_.stop();
      });
    });
  }
  void count(std::uint64_t entries, std::uint64_t latency_ns) {
    if (!on_ || entries == 0) return;
    run_.load.acknowledged += entries;
    run_.load.latency.record(latency_ns);
    run_.load.longest_gap_ns = std::max(run_.load.longest_gap_ns, ns_since(last_));
    last_ = Clock::now();
  }

 private:
  asio::io_context& context_;
  SteleSubject& subject_;
  Run& run_;
  asio::steady_timer timer_;
  bool on_ = false;
  Clock::time_point begin_;
  Clock::time_point last_;
};

void check(asio::error_code error, const ReadResult& result) {
  if (error) throw std::runtime_error("a read: " + error.message() + " " + result.detail);
}

/// One client that reads.
class Reader {
 public:
  Reader(asio::io_context& context, const ClientOptions& options, const ReadLoad& load,
         Measured& measured, std::uint64_t seed)
      : client_(context, options), load_(load), measured_(measured), random_(seed) {
    next_ = load.lsn_begin;
    if (load.random) {
      for (std::size_t i = 0; i < load.in_flight; ++i) read_one();
    } else if (load.tail) {
      tail();
    } else {
      read_on();
    }
  }

 private:
  [[nodiscard]] ReadOptions options(Lsn begin, Lsn end) const {
    ReadOptions options;
    options.lsn_begin = begin;
    options.lsn_end = end;
    options.timeout = kTimeout;
    if (!load_.linearizable) options.node = NodeId{1};
    return options;
  }
  void read_one() {
    const std::uint64_t count = load_.lsn_end - load_.lsn_begin;
    const Lsn lsn = load_.lsn_begin + random_() % count;
    client_.async_read(options(lsn, lsn + 1), [this, lsn, begin = Clock::now()](
                                                  asio::error_code error, const ReadResult& found) {
      check(error, found);
      if (found.entries.size() != 1 || found.entries[0].lsn != lsn) {
        throw std::runtime_error("an entry is missing");
      }
      measured_.count(1, ns_since(begin));
      read_one();
    });
  }
  void read_on() {
    client_.async_read(
        options(next_, load_.lsn_end),
        [this, begin = Clock::now()](asio::error_code error, const ReadResult& found) {
          check(error, found);
          take(found, begin);
          read_on();
        });
  }
  void tail() {
    client_.async_tail(
        next_, [this, begin = Clock::now()](asio::error_code error, const ReadResult& found) {
          check(error, found);
          take(found, begin);
          tail();
        });
  }
  void take(const ReadResult& found, Clock::time_point begin) {
    for (const Entry& entry : found.entries) {
      if (entry.lsn != next_) throw std::runtime_error("an entry is missing, or comes twice");
      next_ = next_ + 1;
    }
    if (next_ >= load_.lsn_end) next_ = load_.lsn_begin;
    measured_.count(found.entries.size(), ns_since(begin));
  }

  stele::Client client_;
  const ReadLoad& load_;
  Measured& measured_;
  std::mt19937_64 random_;
  Lsn next_;
};

}  // namespace

Run measure_reads(SteleSubject& subject, const ReadLoad& load) {
  if (load.lsn_end <= load.lsn_begin) throw std::runtime_error("there is nothing in the log");
  Run run;
  run.in_flight = load.random ? load.in_flight : 1;
  run.connections = load.readers;
  asio::io_context context(1);
  Measured measured(context, subject, run);
  measured.start(load.warm_up, load.duration);
  std::vector<std::unique_ptr<Reader>> readers;
  for (std::size_t i = 0; i < load.readers; ++i) {
    readers.push_back(std::make_unique<Reader>(context, subject.options(), load, measured, i + 1));
  }
  context.run();
  return run;
}

Run measure_tails(SteleSubject& subject, const LoadOptions& appends, std::size_t tails) {
  struct Follower {
    std::unique_ptr<stele::Client> client;
    Lsn next;
  };
  if (appends.payload_bytes < sizeof(std::uint64_t)) {
    throw std::runtime_error("payloads of tails hold the time, 8 bytes at least");
  }
  Run run;
  run.payload_bytes = appends.payload_bytes;
  run.in_flight = appends.in_flight;
  run.connections = tails;
  asio::io_context context(1);
  Measured measured(context, subject, run);
  measured.start(appends.warm_up, appends.duration);

  const auto origin = Clock::now();
  const Lsn begin{*subject.entries()};
  std::vector<Follower> followers(tails);
  std::function<void(Follower&)> follow = [&](Follower& follower) {
    follower.client->async_tail(
        follower.next, [&](asio::error_code error, const ReadResult& found) {
          check(error, found);
          for (const Entry& entry : found.entries) {
            if (entry.lsn != follower.next)
              throw std::runtime_error("an entry is missing, or comes twice");
            follower.next = follower.next + 1;
            std::uint64_t appended_ns = 0;
            std::memcpy(&appended_ns, entry.payload.data(), sizeof appended_ns);
            measured.count(1, ns_since(origin) - appended_ns);
          }
          follow(follower);
        });
  };
  for (Follower& follower : followers) {
    follower.client = std::make_unique<stele::Client>(context, subject.options());
    follower.next = begin;
    follow(follower);
  }
  stele::Client writer(context, subject.options());
  std::vector<std::byte> payload(appends.payload_bytes);
  std::function<void()> append = [&] {
    const std::uint64_t now = ns_since(origin);
    std::memcpy(payload.data(), &now, sizeof now);
    writer.async_append(asio::buffer(payload.data(), payload.size()), kTimeout,
                        [&](asio::error_code error, const AppendResult& result) {
                          if (error) throw std::runtime_error("an append: " + result.detail);
                          append();
                        });
  };
  for (std::size_t i = 0; i < appends.in_flight; ++i) append();
  context.run();
  return run;
}

void fill(SteleSubject& subject, std::size_t payload_bytes, std::uint64_t bytes) {
  LoadOptions load;
  load.payload_bytes = payload_bytes;
  load.in_flight = 1024;
  load.appends_max = std::max<std::uint64_t>(bytes / payload_bytes, 1);
  load.warm_up = {};
  load.duration = std::chrono::hours(24);
  const Run run = bench::measure(subject, load, 1);
  if (run.load.failed != 0) throw std::runtime_error("the log could not be filled");
}

}  // namespace stele::bench
