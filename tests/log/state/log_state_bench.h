// A log's state, and slots that the test lets it apply.
#pragma once

#include "log/state/log_state.h"

#include <doctest/doctest.h>

#include <map>
#include <random>

#include "log/format/entries.h"
#include "tests/support/commands.h"

namespace stele::log::log_state_bench {

/// A state with what was applied to it, and its index.
struct Bench {
  LogState::Applied apply(const std::vector<Slice>& commands, std::uint64_t elapsed_us = 0) {
    const paxos::Value value = batch_of(commands, elapsed_us);
    const auto applied = state.apply(state.numbers().chosen_end, value).value();
    if (applied.row.count != 0) {
      EntriesRead read;
      read.lsn_begin = applied.row.first_lsn;
      add_entries(value, applied.row, read.lsn_begin + applied.row.count, SIZE_MAX, read);
      CHECK(read.count == applied.row.count);
      for (std::string& text : payloads(read.entries)) log.push_back(std::move(text));
    }
    return applied;
  }
  SessionId open(std::uint64_t nonce = 1, std::uint32_t window = 100,
                 std::uint64_t ttl_us = 60'000'000) {
    const auto applied = apply({open_command(nonce, window, ttl_us)});
    REQUIRE(applied.opened.size() == 1);
    REQUIRE(applied.opened[0].outcome == Outcome::ok);
    return applied.opened[0].session;
  }

  LogState state;
  std::vector<std::string> log;
};

using Log = std::vector<std::string>;

}  // namespace stele::log::log_state_bench
