// A node of a cluster in a program of one's own: what `steled` runs.
//
//   asio::io_context context;
//   stele::Node node(context, options, events, [](const stele::Error& error) { … });
//   node.async_start([](asio::error_code error, std::string why) { … });
//   context.run();
#pragma once

#include <stele/address.h>
#include <stele/completion.h>
#include <stele/error.h>
#include <stele/events.h>
#include <stele/status.h>
#include <stele/types.h>

#include <asio/async_result.hpp>
#include <asio/io_context.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

namespace stele {

/// How a node is to run. The members must be the same on all nodes of a cluster. A value.
struct NodeOptions {
  NodeId id = {};                          ///< Of this node, in `cluster`.
  std::map<NodeId, Address> cluster = {};  ///< All members, this one too: 1 to 7.
  std::string data = {};                   ///< The directory; made if there is none.
  std::optional<Address> listen = {};  ///< Where it listens; nothing: at its address in `cluster`.
  /// 1 to 200 bytes. Nodes of another cluster are refused, and clients that ask for another.
  std::string cluster_name = "stele";
  std::uint64_t entry_bytes_max = 1 << 20;  ///< Of one entry, 1 byte to 64 MiB.
  /// What the store may take, 16 MiB to 64 TiB, in whole pages of 4096 bytes; nothing: 1 TiB.
  std::optional<std::uint64_t> disk_bytes_max = {};
  /// With less than that left appends are refused. At least 4 MiB and 4 entries, and less than
  /// disk_bytes_max. Nothing: an eighth of disk_bytes_max, up to 256 MiB, or the least that is
  /// allowed.
  std::optional<std::uint64_t> disk_reserve_bytes = {};
  /// Trimmed slots stay, up to so many bytes of them, as long as another member lacks them; one
  /// that lacks more gets a snapshot. None stay once free space is below the reserve.
  std::uint64_t keep_for_members_bytes = 1 << 30;
  /// How fast it fetches what it has missed, on average; at least 1 MB.
  std::uint64_t fetch_bytes_per_second = 220'000'000;
  /// What buffers and queues keep to: at least 32 MiB and 8 entries, up to 1 TiB. Nothing: 64 MiB,
  /// or what large entries need.
  std::optional<std::uint64_t> memory_bytes_max = {};
  /// Silence of the leader before an election; at least twice the heartbeat, up to 10 minutes.
  std::chrono::milliseconds election_timeout{400};
  std::chrono::milliseconds heartbeat{50};  ///< How often a leader is heard; at least 1 ms.
  std::uint64_t clients_max = 4096;         ///< Connections of clients, up to 1,000,000.
  /// Connections of other nodes, and of those that have not said hello, up to 1,000,000.
  std::uint64_t inbound_max = 1024;
  /// Called once, on the node's thread, with a sentence, if a check of its own has failed: a bug,
  /// or lost durability. The node does nothing any more, and says nothing to anybody; it should be
  /// destroyed then, from outside of the call. Handlers of async_start and async_stop that were not
  /// called before may not be called any more. Without a function the process ends, by
  /// std::terminate, at the place of the check.
  std::function<void(const std::string&)> on_failed_check = {};
};

/// One member of a cluster, on a context that one thread runs. Not thread-safe: use it on that
/// thread. Blocks it while the store is opened. Completion handlers run through their associated
/// executor, never from within the call that took them.
class Node {
 public:
  /// The executor of handlers that have none of their own.
  using Executor = asio::io_context::executor_type;

  /// Opens nothing yet. `context` and `events` outlive it. `on_failure` is called, once, if a
  /// running node must end: its disk has failed (io; also if it is full), holds what cannot be
  /// (corrupt), or the cluster has chosen what this program does not know (newer_format). The node
  /// should be destroyed then, from outside of the call. Without a function that is a
  /// failed check of the node's (NodeOptions::on_failed_check).
  Node(asio::io_context& context, NodeOptions options, Events& events,
       std::function<void(const Error&)> on_failure);
  /// Ends the node, as a crash would if it was not stopped: nothing that was acknowledged is lost.
  /// Handlers of what has not completed are dropped.
  ~Node();
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  /// Listens, opens the directory and takes part. Once. Errors, with a sentence: invalid_argument
  /// (the options, or the address cannot be listened on), in_use (the directory),
  /// foreign_directory, corrupt, newer_format, io; shutting_down (it was stopped meanwhile, or
  /// before).
  template <asio::completion_token_for<void(asio::error_code, std::string)> Token>
  auto async_start(Token&& token) {
    return asio::async_initiate<Token, void(asio::error_code, std::string)>(
        [this](auto handler) { start(detail::wrap<std::string>(std::move(handler), executor_)); },
        token);
  }

  /// Hands over leadership if it leads, and answers what is in flight; within three seconds. Then
  /// it can be destroyed. Once. No errors; the text is empty.
  template <asio::completion_token_for<void(asio::error_code, std::string)> Token>
  auto async_stop(Token&& token) {
    return asio::async_initiate<Token, void(asio::error_code, std::string)>(
        [this](auto handler) { stop(detail::wrap<std::string>(std::move(handler), executor_)); },
        token);
  }

  /// What the node says of itself; before async_start has completed, that it has not started.
  [[nodiscard]] NodeReport report() const;

  /// The context's. Any thread.
  [[nodiscard]] Executor get_executor() const { return executor_; }

 private:
  void start(std::unique_ptr<detail::Completion<std::string>> done);
  void stop(std::unique_ptr<detail::Completion<std::string>> done);

  struct Impl;
  Executor executor_;
  std::unique_ptr<Impl> impl_;
};

}  // namespace stele
