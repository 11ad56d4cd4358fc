#include "net/link/resolver.h"

#include <netdb.h>

#include <algorithm>
#include <asio/post.hpp>
#include <asio/steady_timer.hpp>
#include <cstring>
#include <map>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

namespace stele::net {

using asio::ip::tcp;

/// Threads that look something up have it, too, and find it closed once the resolver is gone.
struct Resolver::State : std::enable_shared_from_this<State> {
  struct Waiting {
    Done done;
    std::unique_ptr<asio::steady_timer> patience;
  };
  struct Name {
    std::vector<std::shared_ptr<Waiting>> waiting;
    bool under_way = false;
    Endpoints known;  // The last answer.
  };

  State(asio::io_context& c, LookUp l) : context(&c), look_up(std::move(l)) {}

  void resolve(const Address& address, Done done) {
    Name& name = names[address];
    if (!name.under_way && !begin(address, name)) {
      return asio::post(*context, [self = shared_from_this(), known = name.known, done] {
        if (self->context == nullptr) return;
        done(known, known.empty() ? "too many host names are being looked up" : "");
      });
    }
    auto waiting = std::make_shared<Waiting>(Waiting{std::move(done), nullptr});
    if (!name.known.empty()) {
      waiting->patience = std::make_unique<asio::steady_timer>(*context, kPatience);
      waiting->patience->async_wait([weak = std::weak_ptr(waiting), weak_self = weak_from_this(),
                                     known = name.known](asio::error_code error) {
        const auto late = weak.lock();
        const auto self = weak_self.lock();
        if (error || !late || !self || self->context == nullptr || !late->done) return;
        late->patience.reset();
        std::exchange(late->done, nullptr)(known, "");
      });
    }
    name.waiting.push_back(std::move(waiting));
  }

  bool begin(const Address& address, Name& name) {
    if (under_way == kLookUpsMax) return false;
    try {
      std::thread([self = shared_from_this(), address, look = look_up] {
        std::string failure;
        Endpoints found = look(address, failure);
        const std::lock_guard lock(self->mutex);
        if (self->context == nullptr) return;
        asio::post(*self->context, [self, address, found = std::move(found), failure] {
          self->on_found(address, found, failure);
        });
      }).detach();
    } catch (const std::system_error&) {
      return false;  // No more threads.
    }
    ++under_way;
    name.under_way = true;
    return true;
  }

  void on_found(const Address& address, const Endpoints& found, const std::string& failure) {
    if (context == nullptr) return;
    --under_way;
    Name& name = names[address];
    name.under_way = false;
    if (!found.empty()) name.known = interleaved(found);
    const Endpoints answer = name.known;  // Also an older one: better than none.
    for (const auto& waiting : std::exchange(name.waiting, {})) {
      waiting->patience.reset();
      if (waiting->done) std::exchange(waiting->done, nullptr)(answer, failure);
      if (context == nullptr) return;
    }
  }

  void close() {
    const std::lock_guard lock(mutex);
    context = nullptr;
    names.clear();
  }

  std::mutex mutex;           // Guards `context` against the threads.
  asio::io_context* context;  // Null: closed.
  LookUp look_up;
  std::map<Address, Name> names;  // Those of the configuration.
  std::size_t under_way = 0;
};

Resolver::Resolver(asio::io_context& context, LookUp look_up)
    : state_(std::make_shared<State>(context, look_up ? std::move(look_up) : Resolver::look_up)) {}

Resolver::~Resolver() { close(); }

void Resolver::close() { state_->close(); }

void Resolver::resolve(const Address& address, Done done) {
  if (state_->context == nullptr) return;
  asio::error_code error;
  const auto number = asio::ip::make_address(address.host, error);
  if (error) return state_->resolve(address, std::move(done));
  asio::post(*state_->context,
             [state = state_, endpoint = tcp::endpoint(number, address.port), done] {
               if (state->context != nullptr) done({endpoint}, "");
             });
}

Resolver::Endpoints Resolver::look_up(const Address& address, std::string& failure) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV;
  addrinfo* list = nullptr;
  const int error =
      ::getaddrinfo(address.host.c_str(), std::to_string(address.port).c_str(), &hints, &list);
  Endpoints found;
  if (error != 0) {
    failure = error == EAI_SYSTEM ? std::strerror(errno) : ::gai_strerror(error);
    return found;
  }
  for (const addrinfo* each = list; each != nullptr; each = each->ai_next) {
    if (each->ai_family != AF_INET && each->ai_family != AF_INET6) continue;
    tcp::endpoint endpoint;
    if (each->ai_addrlen > endpoint.capacity()) continue;
    std::memcpy(endpoint.data(), each->ai_addr, each->ai_addrlen);
    endpoint.resize(each->ai_addrlen);
    if (std::ranges::find(found, endpoint) == found.end()) found.push_back(endpoint);
  }
  ::freeaddrinfo(list);
  if (found.empty()) failure = "it has no address";
  return found;
}

Resolver::Endpoints interleaved(const Resolver::Endpoints& endpoints) {
  Resolver::Endpoints first;
  Resolver::Endpoints second;
  for (const tcp::endpoint& endpoint : endpoints) {
    (endpoint.protocol() == endpoints.front().protocol() ? first : second).push_back(endpoint);
  }
  Resolver::Endpoints all;
  for (std::size_t i = 0; i < std::max(first.size(), second.size()); ++i) {
    if (i < first.size()) all.push_back(first[i]);
    if (i < second.size()) all.push_back(second[i]);
  }
  return all;
}

}  // namespace stele::net
