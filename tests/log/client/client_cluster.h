// Clients of a cluster of real nodes in this process.
#pragma once

#include <stele/client.h>

#include <doctest/doctest.h>

#include <asio/awaitable.hpp>
#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/use_awaitable.hpp>
#include <asio/use_future.hpp>
#include <thread>

#include "tests/support/nodes_in_process.h"

namespace stele::client_cluster {

using log::NodesInProcess;
using std::chrono::milliseconds;
using std::chrono::seconds;

inline std::string text_of(const Entry& entry) {
  return {reinterpret_cast<const char*>(entry.payload.data()), entry.payload.size()};
}

/// A cluster with a leader, and a client.
struct Bench {
  explicit Bench(std::uint64_t count = 3) : nodes(count) { REQUIRE(nodes.has_leader()); }

  /// One page.
  ReadResult read_page(const ReadOptions& options) {
    std::optional<ReadResult> result;
    client.async_read(options, [&](asio::error_code error, ReadResult read) {
      CHECK_MESSAGE(!error, read.detail);
      result = std::move(read);
    });
    REQUIRE(nodes.run([&] { return result.has_value(); }));
    return *result;
  }
  /// To the end: a page may be short where the disk ends and memory begins.
  std::vector<std::string> read(ReadOptions options = {}) {
    std::vector<std::string> texts;
    while (true) {
      const ReadResult page = read_page(options);
      for (const Entry& entry : page.entries) texts.push_back(text_of(entry));
      if (page.entries.empty()) return texts;
      options.lsn_begin = page.lsn_next;
    }
  }

  NodesInProcess nodes;
  Client client{nodes.context, nodes.client_options()};
};

using Texts = std::vector<std::string>;

inline asio::awaitable<Texts> append_and_read(Client& client) {
  const std::string first = "from a";
  const std::string second = "coroutine";
  const AppendResult one =
      co_await client.async_append(asio::buffer(first), seconds(20), asio::use_awaitable);
  co_await client.async_append(asio::buffer(second), seconds(20), asio::use_awaitable);
  ReadOptions options;
  options.lsn_begin = one.lsn;
  const ReadResult read = co_await client.async_read(options, asio::use_awaitable);
  Texts texts;
  for (const Entry& entry : read.entries) texts.push_back(text_of(entry));
  co_return texts;
}

}  // namespace stele::client_cluster
