// stele read, stele tail

#include <algorithm>
#include <asio/io_context.hpp>
#include <asio/signal_set.hpp>
#include <asio/steady_timer.hpp>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <utility>

#include <stele/client.h>
#include "apps/common/exit_codes.h"
#include "apps/stele/cli.h"
#include "apps/stele/output.h"

namespace stele::apps {
namespace {

constexpr std::chrono::milliseconds kFirstAnswerWithin = std::chrono::seconds(3);
constexpr std::chrono::milliseconds kLookForReaderEvery{100};

int cannot_write() {
  std::fprintf(stderr, "stele: io: cannot write the output: %s\n", std::strerror(errno));
  return kFailed;
}

/// Adds so many entries at most; returns how many.
std::uint64_t add_up_to(std::uint64_t most, const ReadResult& result, Output& output) {
  const std::uint64_t count = std::min<std::uint64_t>(most, result.entries.size());
  for (std::size_t i = 0; i < count; ++i) output.add(result.entries[i]);
  return count;
}

bool any_reachable(const std::vector<NodeStatus>& nodes) {
  return std::ranges::any_of(nodes, [](const NodeStatus& node) { return node.reachable; });
}

}  // namespace

void tell_skipped(Lsn from, Lsn first) {
  std::fprintf(stderr, "stele: trimmed: entries %llu to %llu are passed by\n",
               static_cast<unsigned long long>(from.value),
               static_cast<unsigned long long>(first.value - 1));
}

int read(const Common& common, const ReadFlags& flags) {
  BlockingClient client(options_for(common));
  Output output(flags.format, flags.null_separated);
  ReadOptions options;
  options.lsn_begin = {flags.from};
  options.node = {flags.node};
  options.timeout = std::chrono::milliseconds(flags.timeout_ms);
  if (flags.to) options.lsn_end = {*flags.to};
  if (flags.count) options.lsn_end = {flags.from + *flags.count};
  if (options.lsn_end != Lsn{} && options.lsn_end <= options.lsn_begin) return kDone;

  // Without a bound, to the end as it was when the reading began.
  while (options.lsn_end == Lsn{} || options.lsn_begin < options.lsn_end) {
    const auto page = client.read(options);
    if (!page && page.error().code == Errc::trimmed && flags.skip_trimmed) {
      const auto kept = client.retention(options.timeout);
      if (!kept) return complain(kept.error().code, kept.error().detail);
      if (!output.flush()) return cannot_write();
      tell_skipped(options.lsn_begin, kept->first_lsn);
      options.lsn_begin = kept->first_lsn;
      continue;
    }
    if (!page) {
      output.flush();
      return complain(page.error().code, page.error().detail);
    }
    for (const Entry& entry : page->entries) output.add(entry);
    if (!output.flush()) return cannot_write();
    if (options.lsn_end == Lsn{} || page->lsn_end < options.lsn_end) {
      options.lsn_end = std::max(page->lsn_end, Lsn{1});
    }
    if (page->entries.empty()) break;
    options.lsn_begin = page->lsn_next;
  }
  return kDone;
}

int tail(const Common& common, const TailFlags& flags) {
  asio::io_context context(1);
  Client client(context, options_for(common));
  Output output(flags.format, flags.null_separated);
  std::uint64_t left = flags.count.value_or(UINT64_MAX);
  Lsn next = flags.from ? Lsn{*flags.from} : Lsn{};
  int exit_code = kDone;
  asio::signal_set signals(context, SIGINT, SIGTERM);
  asio::steady_timer look(context);
  bool ended = false;
  const auto end = [&] {
    if (std::exchange(ended, true)) return;
    client.close();
    signals.cancel();
    look.cancel();
  };
  signals.async_wait([&](asio::error_code error, int) {
    if (!error) context.stop();  // Ctrl-C is how a tail ends.
  });

  // Without new entries no write would tell that nobody reads the output any more.
  std::function<void()> look_for_reader = [&] {
    if (ended) return;
    if (Output::has_no_reader()) {
      std::raise(SIGPIPE);  // As a write would do.
      errno = EPIPE;
      exit_code = cannot_write();
      return end();
    }
    look.expires_after(kLookForReaderEvery);
    look.async_wait([&](asio::error_code error) {
      if (!error) look_for_reader();
    });
  };

  std::function<void(asio::error_code, ReadResult)> on_entries = [&](asio::error_code error,
                                                                     const ReadResult& result) {
    if (ended) return;
    if (error == Errc::trimmed && flags.skip_trimmed) {
      tell_skipped(next, result.first_lsn);
      next = result.first_lsn;
      return client.async_tail(next, std::ref(on_entries));
    }
    if (error) {
      exit_code = complain(static_cast<Errc>(error.value()), result.detail);
      return end();
    }
    left -= add_up_to(left, result, output);
    if (!output.flush()) {
      exit_code = cannot_write();
      return end();
    }
    if (left == 0) return end();
    next = result.lsn_next;
    client.async_tail(next, std::ref(on_entries));
  };
  if (left == 0) return exit_code;
  look_for_reader();
  if (ended) return exit_code;
  client.async_tail(next, std::ref(on_entries));
  // A tail waits for ever, but a cluster that cannot be reached is reported at once.
  client.async_status(
      kFirstAnswerWithin, [&](asio::error_code, const std::vector<NodeStatus>& nodes) {
        if (any_reachable(nodes) || ended) return;
        exit_code = complain(Errc::unreachable, nodes.empty() ? "" : nodes.front().detail);
        end();
      });
  context.run();
  return exit_code;
}

}  // namespace stele::apps
