// A client core among links that the test answers.
#pragma once

#include <doctest/doctest.h>

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "log/client/client_core.h"
#include "tests/sim/nodes/sim_loop.h"
#include "tests/support/commands.h"
#include "tests/support/fake_link.h"

namespace stele::log::client_bench {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// What a caller was told.
struct Told {
  std::optional<Errc> error;
  AppendResult result;
};

class Bench {
 public:
  explicit Bench(ClientOptions options = {}) {
    options.addresses = {{"a", 1}, {"b", 1}, {"c", 1}};
    core = std::make_unique<ClientCore>(loop, dialer, options);
  }

  void append(const std::string& text, Duration timeout = seconds(60), Lsn condition = {}) {
    class Done final : public AppendDone {
     public:
      Done(std::map<std::string, Told>& told, std::string t) : told_(told), text_(std::move(t)) {}
      void complete(std::optional<Errc> error, AppendResult result) override {
        CHECK_FALSE(told_.contains(text_));  // Once.
        told_[text_] = {error, std::move(result)};
      }

     private:
      std::map<std::string, Told>& told_;
      std::string text_;
    };
    core->append({std::as_bytes(std::span(text)), condition}, timeout,
                 std::make_unique<Done>(told, text));
    run();
  }
  void run(Duration passed = milliseconds(1)) { loop.advance(passed); }

  /// The connection that the client uses now, its handshake done.
  FakeLink& leader(std::uint64_t cluster_id = 7) {
    for (int i = 0; i < 100 && dialer.links.empty(); ++i) run(milliseconds(20));
    REQUIRE_FALSE(dialer.links.empty());
    FakeLink& link = *dialer.links.back();
    if (!std::exchange(link.shaken, true)) {
      net::Hello hello;
      hello.node = {1};
      hello.cluster_id = cluster_id;
      hello.entry_bytes_max = 1000;
      say(link, hello);
    }
    return link;
  }
  void say(FakeLink& link, net::Message message) {
    if (link.handler != nullptr) link.handler->on_message(std::move(message));
    run();
  }
  void answer(FakeLink& link, CommandResult result, const std::string& hint = {}) {
    say(link, net::AppendResults{{result}, hint, 10});
  }
  /// Grants the session that the client asks for.
  void open(FakeLink& link, std::uint64_t session = 5) {
    for (const net::Message& message : link.sent) {
      if (const auto* open = std::get_if<net::OpenSession>(&message)) nonce_ = open->nonce;
    }
    say(link, net::SessionOpened{nonce_, Outcome::ok, {session}, {}, 0});
  }
  /// Leads, with an open session.
  FakeLink& ready() {
    FakeLink& link = leader();
    open(link);
    return link;
  }
  /// The commands sent since the last call, as "kind sequence payload…".
  std::vector<std::string> commands(FakeLink& link) {
    std::vector<std::string> found;
    for (const net::Message& message : std::exchange(link.sent, {})) {
      const auto* append = std::get_if<net::Append>(&message);
      if (append == nullptr) continue;
      const auto command = parse_command(append->commands.bytes);
      REQUIRE(command);
      std::string text = command->kind == CommandKind::append ? "append" : "skip";
      text += " " + std::to_string(command->sequence.value);
      for (const std::string& payload : payloads(command->body)) text += " " + payload;
      if (command->kind == CommandKind::skip) text += " x" + std::to_string(command->count);
      found.push_back(text);
    }
    return found;
  }

  sim::SimLoop loop{3};
  FakeDialer dialer;
  std::map<std::string, Told> told;  // Outlives the client, which tells to its end.
  std::unique_ptr<ClientCore> core;

 private:
  std::uint64_t nonce_ = 0;
};

}  // namespace stele::log::client_bench
