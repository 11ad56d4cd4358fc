#include "net/link/connector.h"

#include <doctest/doctest.h>

#include <deque>
#include <optional>

#include "tests/support/nodes_in_process.h"

namespace stele::net {
namespace {

using asio::ip::tcp;
using std::chrono::seconds;

const asio::ip::address kHere = asio::ip::make_address("127.0.0.1");

/// An address that answers nothing: its queue of connections is full.
struct BlackHole {
  explicit BlackHole(asio::io_context& context) : acceptor(context, tcp::endpoint(kHere, 0)) {
    acceptor.listen(0);
    for (int i = 0; i < 4; ++i) {
      fill.emplace_back(context).async_connect(acceptor.local_endpoint(), [](asio::error_code) {});
    }
  }
  tcp::acceptor acceptor;
  std::deque<tcp::socket> fill;
};

struct Bench {
  std::shared_ptr<Connector> connect(std::vector<tcp::endpoint> endpoints,
                                     std::chrono::microseconds within = seconds(60)) {
    return Connector::start(context, std::move(endpoints), within,
                            [this](asio::error_code error, tcp::socket made) {
                              failed = error;
                              socket.emplace(std::move(made));
                            });
  }
  bool run() {
    return log::run_until(context, [this] { return socket.has_value(); });
  }
  /// An address that refuses.
  tcp::endpoint closed() {
    tcp::acceptor gone(context, tcp::endpoint(kHere, 0));
    return gone.local_endpoint();
  }

  asio::io_context context{1};
  tcp::acceptor good{context, tcp::endpoint(kHere, 0)};
  std::optional<tcp::socket> socket;
  asio::error_code failed;
};

}  // namespace

TEST_SUITE("net.connector") {
  TEST_CASE("an address that swallows everything does not keep the others from their turn") {
    Bench bench;
    BlackHole hole(bench.context);
    bench.connect({hole.acceptor.local_endpoint(), hole.acceptor.local_endpoint(),
                   bench.good.local_endpoint()});
    REQUIRE(bench.run());
    CHECK_FALSE(bench.failed);
    CHECK(bench.socket->remote_endpoint() == bench.good.local_endpoint());
    CHECK(bench.socket->is_open());
  }

  TEST_CASE("one that refuses makes room for the next at once") {
    Bench bench;
    std::vector<tcp::endpoint> endpoints(50, bench.closed());
    endpoints.push_back(bench.good.local_endpoint());
    bench.connect(endpoints, std::chrono::hours(1000));
    REQUIRE(bench.run());
    CHECK_FALSE(bench.failed);
    CHECK(bench.socket->remote_endpoint() == bench.good.local_endpoint());
  }

  TEST_CASE("all of many have begun within half of the time") {
    Bench bench;
    BlackHole hole(bench.context);
    std::vector<tcp::endpoint> endpoints(20, hole.acceptor.local_endpoint());
    endpoints.push_back(bench.good.local_endpoint());
    bench.connect(endpoints, std::chrono::milliseconds(400));
    REQUIRE(bench.run());
    CHECK(bench.socket->remote_endpoint() == bench.good.local_endpoint());
  }

  TEST_CASE("the last error is told, once") {
    Bench bench;
    bench.connect({bench.closed(), bench.closed()});
    REQUIRE(bench.run());
    CHECK(bench.failed == asio::error::connection_refused);
  }

  TEST_CASE("cancelled, it tells nothing and leaves nothing") {
    Bench bench;
    BlackHole hole(bench.context);
    const auto connector =
        bench.connect({hole.acceptor.local_endpoint(), bench.good.local_endpoint()});
    connector->cancel();
    hole.fill.clear();
    bench.context.run();
    CHECK_FALSE(bench.socket.has_value());
    CHECK(connector.use_count() == 1);
  }
}

}  // namespace stele::net
