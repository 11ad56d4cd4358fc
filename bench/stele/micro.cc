// stele-micro: what the parts on an append's way cost, one by one (Google Benchmark).
//   stele-micro [--benchmark_filter=REGEX] …; the store writes to $STELE_BENCH_DATA, or /tmp.

#include <benchmark/benchmark.h>

#include <cstdlib>
#include <stdexcept>
#include <string>

#include "bench/cluster/process.h"
#include "log/state/log_state.h"
#include "log/store/files/store_files.h"
#include "net/link/read_buffer.h"
#include "net/loop/actor.h"
#include "net/wire/codec.h"
#include "net/wire/digest.h"
#include "paxos/acceptor.h"
#include "paxos/leader/proposer.h"
#include "paxos/learner.h"
#include "tests/sim/nodes/sim_loop.h"
#include "tests/support/commands.h"
#include "tests/support/nodes.h"

namespace stele::bench {
namespace {

using paxos::kN1;
using paxos::kN2;
using paxos::kN3;
using std::chrono::milliseconds;

/// A batch of one command with so many entries of 128 bytes.
paxos::Value batch(std::uint64_t sequence, std::size_t entries) {
  log::BatchBuilder builder;
  builder.add(log::CommandKind::append,
              log::append_command({1}, {sequence},
                                  std::vector<std::string>(entries, std::string(128, 'x'))));
  return builder.take({}, SIZE_MAX);
}

void count_entries(benchmark::State& state) {
  state.SetItemsProcessed(state.iterations() * state.range(0));
}

// --- Messages --------------------------------------------------------------------------

net::Message accept_of(std::size_t entries) {
  return paxos::message(paxos::Accept{{1, kN1}, {7}, batch(1, entries)});
}

void encode_accept(benchmark::State& state) {
  const auto message = accept_of(static_cast<std::size_t>(state.range(0)));
  for (auto _ : state) benchmark::DoNotOptimize(net::encode(message));
  count_entries(state);
}
BENCHMARK(encode_accept)->Arg(1)->Arg(64)->Arg(1024);

void decode_accept(benchmark::State& state) {
  const auto frame = net::encode(accept_of(static_cast<std::size_t>(state.range(0))));
  std::vector<std::byte> bytes(frame.head);
  for (const Slice& part : frame.body) {
    bytes.insert(bytes.end(), part.bytes.begin(), part.bytes.end());
  }
  bytes.resize(frame.bytes());
  for (auto _ : state) {
    net::ReadBuffer reader;
    reader.set_frame_bytes_max(net::kFrameBytesMax);
    std::size_t done = 0;
    while (done < bytes.size()) {
      const auto space = reader.space();
      const std::size_t count = std::min(space.size(), bytes.size() - done);
      std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(done), count, space.begin());
      reader.filled(count);
      done += count;
    }
    const auto found = reader.next();
    if (!found || !*found) throw std::runtime_error("no frame");
    benchmark::DoNotOptimize(net::decode(**found, net::Speaker::node));
  }
  count_entries(state);
}
BENCHMARK(decode_accept)->Arg(1)->Arg(64)->Arg(1024);

void digest(benchmark::State& state) {
  const std::vector<std::byte> bytes(static_cast<std::size_t>(state.range(0)));
  for (auto _ : state) benchmark::DoNotOptimize(net::value_digest(bytes));
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(digest)->Arg(128)->Arg(128 << 10);

// --- Roles -----------------------------------------------------------------------------

void acceptor_step(benchmark::State& state) {
  paxos::Acceptor acceptor(paxos::three_nodes(), {});
  const auto value = batch(1, 1);
  std::uint64_t slot = 0;
  for (auto _ : state) {
    paxos::Acceptor::Effects out;
    acceptor.step(kN1, paxos::message(paxos::Accept{{1, kN1}, {++slot}, value}), out);
    acceptor.on_chosen_end({slot});
    benchmark::DoNotOptimize(out);
  }
}
BENCHMARK(acceptor_step);

void learner_step(benchmark::State& state) {
  paxos::Learner learner(kN1, paxos::three_nodes(), {1}, {milliseconds(100)});
  const auto value = batch(1, 1);
  std::uint64_t slot = 0;
  for (auto _ : state) {
    paxos::Learner::Effects out;
    ++slot;
    learner.on_voted(milliseconds(0), {{slot}, {1}, {1, kN1}, value}, out);
    learner.step(milliseconds(0), kN1, paxos::message(paxos::Chosen{{1, kN1}, {slot}, {slot + 1}}),
                 out);
    if (out.applied.size() != 1) throw std::runtime_error("nothing was applied");
  }
}
BENCHMARK(learner_step);

/// A slot from its proposal to its choice.
void proposer_step(benchmark::State& state) {
  paxos::Proposer proposer(kN1, paxos::three_nodes(), {.timing = {}, .seed = 1, .window = 16}, {},
                           {1}, milliseconds(0));
  Time now{};
  while (proposer.standing() == paxos::Proposer::Standing::follower) {
    paxos::Proposer::Effects out;
    proposer.tick(now += milliseconds(10), out);
    for (const auto& ask : paxos::all_of<paxos::PreVote>(out.sends)) {
      proposer.step(now, kN2, paxos::message(paxos::PreVoteAnswer{ask.attempt, true, 0, {1}}), out);
    }
  }
  const paxos::Promise promise{proposer.ballot(), {1}, {1}, true, {1}, {}};
  paxos::Proposer::Effects ignored;
  for (const NodeId node : {kN1, kN2}) {
    proposer.step(now, node, paxos::message(promise), ignored);
  }
  const auto value = batch(1, 1);
  for (auto _ : state) {
    paxos::Proposer::Effects out;
    const Slot slot = proposer.propose(now, value, out);
    const paxos::Accepted accepted{proposer.ballot(), slot, slot + 1};
    proposer.step(now, kN1, paxos::message(accepted), out);
    proposer.step(now, kN2, paxos::message(accepted), out);
    proposer.on_chosen_end(now, slot + 1, out);
    benchmark::DoNotOptimize(out);
  }
}
BENCHMARK(proposer_step);

/// A batch taken from the commands that wait, with its digest.
void build_batch(benchmark::State& state) {
  const auto command = log::append_command(
      {1}, {1},
      std::vector<std::string>(static_cast<std::size_t>(state.range(0)), std::string(128, 'x')));
  for (auto _ : state) {
    log::BatchBuilder builder;
    builder.add(log::CommandKind::append, command);
    benchmark::DoNotOptimize(builder.take({}, SIZE_MAX));
  }
  count_entries(state);
}
BENCHMARK(build_batch)->Arg(1)->Arg(64)->Arg(1024);

void apply(benchmark::State& state) {
  const auto entries = static_cast<std::size_t>(state.range(0));
  log::LogState log;
  log::BatchBuilder open;
  open.add(log::CommandKind::open_session, log::open_command(1, 65536));
  (void)log.apply({1}, open.take({}, SIZE_MAX));
  std::uint64_t slot = 1;
  std::uint64_t sequence = 1;
  for (auto _ : state) {
    state.PauseTiming();
    const auto value = batch(sequence, entries);
    sequence += entries;
    state.ResumeTiming();
    const auto applied = log.apply({++slot}, value);
    if (!applied || applied->row.count != entries) throw std::runtime_error("nothing was applied");
    (void)log.take_changed();
  }
  count_entries(state);
}
BENCHMARK(apply)->Arg(64)->Arg(1024);

// --- The mailbox -----------------------------------------------------------------------

class Sink final : public net::Actor<std::uint64_t> {
 public:
  explicit Sink(net::Loop& loop) : Actor(loop, 1 << 20) {}
  std::uint64_t sum = 0;

 private:
  void handle(std::uint64_t& letter) override { sum += letter; }
  void flush() override {}
};

void mailbox(benchmark::State& state) {
  sim::SimLoop loop(1);
  Sink sink(loop);
  for (auto _ : state) {
    for (std::int64_t i = 0; i < state.range(0); ++i) sink.tell(1);
    loop.run();
  }
  count_entries(state);
}
BENCHMARK(mailbox)->Arg(1)->Arg(64);

// --- The store -------------------------------------------------------------------------

/// One transaction of one vote, synced.
void commit(benchmark::State& state) {
  const char* parent = std::getenv("STELE_BENCH_DATA");
  const test::TempDirectory directory(parent == nullptr ? "/tmp" : parent);
  auto files = log::StoreFiles::open(directory.path(), {});
  if (!files) throw std::runtime_error(files.error().detail);
  const auto value = batch(1, static_cast<std::size_t>(state.range(0)));
  std::uint64_t slot = 0;
  for (auto _ : state) {
    log::Transaction transaction;
    transaction.add({paxos::WriteAccepted{{{++slot}, {1}, {1, kN1}, value}}});
    const auto done = files->commit(transaction, false);
    if (!done) throw std::runtime_error(done.error().detail);
  }
  count_entries(state);
}
BENCHMARK(commit)->Arg(1)->Arg(64)->Arg(1024)->UseRealTime();

}  // namespace
}  // namespace stele::bench

BENCHMARK_MAIN();
