// A program that embeds a node: one that is a cluster by itself, and a client beside it.
#include <stele/client.h>
#include <stele/node.h>

#include <cstdio>
#include <string>

namespace {

class Quiet final : public stele::Events {
 public:
  void event(stele::EventLevel, std::string_view,
             std::initializer_list<stele::EventField>) override {}
};

}  // namespace

// Runs a node at the address of the first argument in the directory of the second one; appends,
// says what the node reports, and stops.
int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const auto address = stele::parse_address(argv[1]);
  if (!address) return 2;
  asio::io_context context(1);
  Quiet events;
  stele::NodeOptions options;
  options.id = {1};
  options.cluster = {{{1}, *address}};
  options.data = argv[2];
  options.disk_bytes_max = 1ULL << 30;
  stele::Node node(context, options, events, [](const stele::Error&) {});
  stele::Client client(context, {.addresses = {*address}});
  int result = 1;
  const std::string text = "embedded";
  node.async_start([&](asio::error_code error, const std::string& why) {
    if (error) {
      std::fprintf(stderr, "%s: %s\n", error.message().c_str(), why.c_str());
      return client.close();
    }
    client.async_append(
        asio::buffer(text), std::chrono::seconds(60),
        [&](asio::error_code failed, const stele::AppendResult& appended) {
          if (!failed) {
            std::printf("%llu %s\n", static_cast<unsigned long long>(appended.lsn.value),
                        node.report().role.c_str());
            result = 0;
          }
          client.close();
          node.async_stop([&](asio::error_code, const std::string&) { context.stop(); });
        });
  });
  context.run();
  return result;
}
