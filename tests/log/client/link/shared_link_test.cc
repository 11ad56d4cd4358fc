#include "log/client/link/shared_link.h"

#include <doctest/doctest.h>

#include <optional>

#include "tests/sim/nodes/sim_loop.h"
#include "tests/support/commands.h"
#include "tests/support/fake_link.h"

namespace stele::log {
namespace {

/// A client as the connection sees it.
struct User final : net::LinkHandler {
  void on_message(net::Message message) override {
    if (std::holds_alternative<net::Hello>(message)) ++hellos;
    told.push_back(std::move(message));
    if (on_each) on_each();
  }
  void on_closed(const std::string& reason) override {
    closed = reason;
    link.reset();
  }
  void on_writable() override {
    ++writable;
    if (on_room) on_room();
  }

  std::unique_ptr<net::Dialer> dialer;
  std::unique_ptr<net::Link> link;
  std::vector<net::Message> told;
  std::optional<std::string> closed;
  std::function<void()> on_each;
  std::function<void()> on_room;
  int hellos = 0;
  int writable = 0;
};

struct Bench {
  /// A client that has dialled and said hello.
  std::unique_ptr<User> user(std::uint32_t group = 0, const std::string& cluster = {}) {
    auto made = std::make_unique<User>();
    made->dialer = shared.dialer(group);
    made->link = made->dialer->dial({"a", 1}, *made);
    net::Hello hello;
    hello.kind = net::Hello::Kind::client;
    hello.cluster_name = cluster;
    CHECK(made->link->send(hello));
    return made;
  }
  void say(net::Message message, std::size_t link = 0) {
    dialer.links.at(link)->handler->on_message(std::move(message));
    loop.run();
  }
  void append(User& user, std::uint64_t session, std::uint64_t sequence,
              const std::string& payload = "x") {
    CHECK(user.link->send(net::Append{append_command({session}, {sequence}, {payload})}));
  }
  /// The sessions of the commands of each message that was sent, in order.
  std::vector<std::vector<std::uint64_t>> appends() {
    std::vector<std::vector<std::uint64_t>> found;
    for (const net::Message& message : std::exchange(dialer.links.at(0)->sent, {})) {
      const auto* append = std::get_if<net::Append>(&message);
      if (append == nullptr) continue;
      found.emplace_back();
      for (std::span<const std::byte> rest = append->commands.bytes; !rest.empty();) {
        const auto command = parse_next_command(rest);
        REQUIRE(command);
        found.back().push_back(command->session.value);
      }
    }
    return found;
  }
  static CommandResult ok(std::uint64_t session, std::uint64_t sequence, std::uint64_t lsn) {
    return {{session}, {sequence}, 1, Outcome::ok, {lsn}, {}};
  }

  sim::SimLoop loop{1};
  FakeDialer dialer;
  SharedConnections shared{loop, dialer};
};

using Sessions = std::vector<std::vector<std::uint64_t>>;

}  // namespace

TEST_SUITE("log.shared_connections") {
  TEST_CASE("clients share one connection; each is told hello, whenever it comes") {
    Bench bench;
    const auto first = bench.user();
    const auto second = bench.user();
    CHECK(bench.dialer.dials == 1);
    bench.say(net::Hello{});
    CHECK(first->hellos == 1);
    CHECK(second->hellos == 1);
    const auto late = bench.user();
    CHECK(late->hellos == 0);  // Not from within the call.
    bench.loop.run();
    CHECK(late->hellos == 1);
    CHECK(bench.dialer.dials == 1);
  }

  TEST_CASE("another group, or another cluster, is another connection") {
    Bench bench;
    const auto first = bench.user();
    const auto second = bench.user(1);
    const auto third = bench.user(0, "other");
    CHECK(bench.dialer.dials == 3);
  }

  TEST_CASE("what all append in one turn is one message; results go to their sessions") {
    Bench bench;
    const auto first = bench.user();
    const auto second = bench.user();
    bench.say(net::Hello{});
    bench.append(*first, 5, 1);
    bench.append(*second, 6, 1);
    bench.append(*first, 5, 2);
    bench.loop.run();
    CHECK(bench.appends() == Sessions{{5, 6, 5}});
    first->told.clear();
    second->told.clear();
    bench.say(net::AppendResults{
        {Bench::ok(6, 1, 1), Bench::ok(5, 1, 2), Bench::ok(5, 2, 3), Bench::ok(99, 1, 4)},
        "leader:1",
        7});
    REQUIRE(first->told.size() == 1);
    const auto& told = std::get<net::AppendResults>(first->told[0]);
    REQUIRE(told.results.size() == 2);
    CHECK(told.results[1].lsn == Lsn{3});
    CHECK(told.leader == "leader:1");
    CHECK(told.retry_ms == 7);
    REQUIRE(second->told.size() == 1);
    CHECK(std::get<net::AppendResults>(second->told[0]).results[0].lsn == Lsn{1});
  }

  TEST_CASE("a message's buffer is used again, but not before it has left") {
    Bench bench;
    const auto user = bench.user();
    bench.say(net::Hello{});
    bench.append(*user, 5, 1);
    bench.loop.run();
    bench.append(*user, 6, 1);
    bench.loop.run();
    const auto& sent = bench.dialer.links.at(0)->sent;
    const auto buffer_of = [](const net::Message& message) {
      return std::get<net::Append>(message).commands.bytes.data();
    };
    const std::byte* const first = buffer_of(sent.at(1));
    CHECK(buffer_of(sent.at(2)) != first);
    CHECK(bench.appends() == Sessions{{5}, {6}});  // Which drops them.
    bench.append(*user, 7, 1);
    bench.loop.run();
    CHECK(buffer_of(sent.at(0)) == first);
    CHECK(bench.appends() == Sessions{{7}});
  }

  TEST_CASE("many or large commands do not wait for the end of the turn, and keep their order") {
    Bench bench;
    const auto user = bench.user();
    const std::string large(70'000, 'x');
    bench.append(*user, 5, 1);
    bench.append(*user, 5, 2, large);
    CHECK(bench.appends() == Sessions{{5}, {5}});
    for (std::uint64_t i = 3; i < 300; ++i) bench.append(*user, 5, i, std::string(1000, 'y'));
    CHECK(bench.appends().size() >= 3);
  }

  TEST_CASE("sessions and status: answers find who asked") {
    Bench bench;
    const auto first = bench.user();
    const auto second = bench.user();
    bench.say(net::Hello{});
    CHECK(first->link->send(net::OpenSession{71, 10, 1000}));
    CHECK(second->link->send(net::OpenSession{72, 10, 1000}));
    CHECK(first->link->send(net::StatusAsk{0}));
    CHECK(second->link->send(net::StatusAsk{0}));
    first->told.clear();
    second->told.clear();
    bench.say(net::SessionOpened{72, Outcome::ok, {9}, {}, 0});
    CHECK(first->told.empty());
    CHECK(std::get<net::SessionOpened>(second->told.at(0)).session == SessionId{9});
    std::vector<std::uint64_t> requests;
    for (const net::Message& message : bench.dialer.links[0]->sent) {
      if (const auto* ask = std::get_if<net::StatusAsk>(&message)) requests.push_back(ask->request);
    }
    REQUIRE(requests.size() == 2);
    CHECK(requests[0] != requests[1]);
    net::StatusAnswer answer;
    answer.request = requests[1];
    bench.say(answer);
    CHECK(first->told.empty());
    CHECK(std::get<net::StatusAnswer>(second->told.at(1)).request == 0);
  }

  TEST_CASE("reads and tails go over a connection of the client's own") {
    Bench bench;
    const auto first = bench.user();
    const auto second = bench.user();
    bench.say(net::Hello{});
    CHECK(first->link->send(net::Tail{1, {1}, 100}));
    CHECK(first->link->send(net::Read{2, {1}, {}, 100, true}));
    REQUIRE(bench.dialer.dials == 2);
    FakeLink& own = *bench.dialer.links[1];
    REQUIRE(own.sent.size() == 3);
    CHECK(std::holds_alternative<net::Hello>(own.sent[0]));
    bench.say(net::Hello{}, 1);
    CHECK(first->hellos == 1);
    first->told.clear();
    bench.say(net::TailEntries{1, {1}, 0, {}}, 1);
    CHECK(first->told.size() == 1);
    // One is lost, both are: the client begins anew.
    own.handler->on_closed("gone");
    CHECK(first->closed == "gone");
    CHECK_FALSE(second->closed);
    CHECK(bench.dialer.links.size() == 1);
  }

  TEST_CASE("the connection is lost for all; a client that is told may take others along") {
    Bench bench;
    const auto first = bench.user();
    auto second = bench.user();
    const auto third = bench.user();
    bench.say(net::Hello{});
    struct Killer final : net::LinkHandler {
      void on_message(net::Message) override {}
      void on_closed(const std::string&) override { victim->reset(); }
      std::unique_ptr<User>* victim = nullptr;
    } killer;
    killer.victim = &second;
    first->link->start(killer);
    bench.dialer.links[0]->handler->on_closed("gone");
    CHECK(second == nullptr);
    CHECK(third->closed == "gone");
    CHECK(bench.dialer.links.empty());
    const auto again = bench.user();
    CHECK(bench.dialer.dials == 2);
  }

  // A node that does not answer one client will hardly answer the next.
  TEST_CASE("who leaves without being answered leaves a connection that others do not join") {
    Bench bench;
    auto first = bench.user();
    const auto second = bench.user();
    bench.say(net::Hello{});
    first->link.reset();
    const auto third = bench.user();
    CHECK(bench.dialer.dials == 2);
    CHECK_FALSE(second->closed);
  }

  TEST_CASE("who closes leaves it to the others; the last one closes it") {
    Bench bench;
    auto first = bench.user();
    auto second = bench.user();
    bench.say(net::Hello{});
    first->link->close_gently();
    first.reset();
    const auto third = bench.user();
    CHECK(bench.dialer.dials == 1);
    third->link->close_gently();
    CHECK(bench.dialer.links.size() == 1);
    second->link->close_gently();
    CHECK(bench.dialer.links.empty());
  }

  TEST_CASE("a full queue: refused, nothing lost of what was taken, and told when there is room") {
    Bench bench;
    const auto first = bench.user();
    const auto second = bench.user();
    bench.say(net::Hello{});
    bench.append(*first, 5, 1);
    bench.dialer.links[0]->full = true;
    bench.loop.run();
    CHECK(bench.appends().empty());
    CHECK_FALSE(second->link->send(net::OpenSession{1, 1, 1}));
    bench.dialer.links[0]->full = false;
    bench.dialer.links[0]->handler->on_writable();
    CHECK(bench.appends() == Sessions{{5}});
    CHECK(second->writable == 1);
    CHECK(first->writable == 0);
  }

  TEST_CASE("queued_bytes: until the own last message has left, whatever others send after it") {
    Bench bench;
    const auto first = bench.user();
    const auto second = bench.user();
    bench.say(net::Hello{});
    FakeLink& link = *bench.dialer.links[0];
    link.queued_each = 100'000;
    const std::string large(100'000, 'x');
    bench.append(*first, 5, 1, large);
    bench.append(*second, 6, 1, large);
    bench.append(*second, 6, 2, large);
    CHECK(first->link->queued_bytes() == 100'000);
    CHECK(second->link->queued_bytes() == 300'000);
    link.queued -= 150'000;
    link.left += 150'000;
    CHECK(first->link->left_bytes() == 150'000);
    CHECK(first->link->queued_bytes() == 0);
    CHECK(second->link->queued_bytes() == 150'000);
  }

  TEST_CASE("a full queue: one that has much to send takes turns with others") {
    Bench bench;
    const auto first = bench.user();
    const auto second = bench.user();
    bench.say(net::Hello{});
    FakeLink& link = *bench.dialer.links[0];
    link.sent.clear();
    link.sent_max = 3;
    const auto send_all = [&](User& user, std::uint64_t session, int& left) {
      while (left != 0 && user.link->send(net::Append{
                              append_command({session}, {1}, {std::string(100'000, 'x')})})) {
        --left;
      }
    };
    int firsts = 9;
    int seconds = 4;
    // As a client does it: in a turn of its own.
    first->on_room = [&] { bench.loop.post([&] { send_all(*first, 5, firsts); }); };
    second->on_room = [&] { bench.loop.post([&] { send_all(*second, 6, seconds); }); };
    first->on_room();
    second->on_room();
    bench.loop.run();
    Sessions sent;
    for (int i = 0; i < 5; ++i) {
      for (const auto& sessions : bench.appends()) sent.push_back(sessions);
      first->on_room();  // Told something, it tries again; but it is not its turn.
      bench.loop.run();
      if (i != 2) CHECK(link.sent.empty());
      link.handler->on_writable();
      bench.loop.run();
    }
    CHECK(sent == Sessions{{5}, {5}, {5}, {5}, {5}, {5}, {6}, {6}, {6}, {5}, {5}, {5}, {6}});
  }
}

}  // namespace stele::log
