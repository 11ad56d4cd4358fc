// Names to addresses, without waiting.
#pragma once

#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <stele/address.h>

namespace stele::net {

/// Looks up names with the system's resolver, each in a thread of its own, which nobody waits for:
/// a name server that does not answer holds up neither other names nor the end of the process. Loop
/// thread only.
class Resolver {
 public:
  using Endpoints = std::vector<asio::ip::tcp::endpoint>;
  /// Takes the endpoints, the families in turn (RFC 8305, 4), or nothing and a sentence.
  using Done = std::function<void(Endpoints, const std::string& failure)>;
  /// Looks a name up; getaddrinfo, except in tests. Any thread.
  using LookUp = std::function<Endpoints(const Address&, std::string& failure)>;

  explicit Resolver(asio::io_context& context, LookUp look_up = {});
  ~Resolver();
  /// Nobody is called after it. To be called while the context's services are still there.
  void close();
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  /// Calls back once, from the loop: at once for a number, for a name when it is known; what was
  /// known of it before is taken if there is none now, or none within kPatience. Not after the
  /// resolver is gone. A name that is being looked up is not looked up a second time.
  void resolve(const Address& address, Done done);

  /// Looks a name up with getaddrinfo. Blocks. Any thread.
  [[nodiscard]] static Endpoints look_up(const Address& address, std::string& failure);

  static constexpr std::chrono::milliseconds kPatience{100};
  /// Names that are looked up at the same time; more of them fail.
  static constexpr std::size_t kLookUpsMax = 64;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

/// The families in turn, beginning with that of the first; otherwise in their order.
[[nodiscard]] Resolver::Endpoints interleaved(const Resolver::Endpoints& endpoints);

}  // namespace stele::net
