// A process' part in a cluster: its connections, and the replicated log that it keeps.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "log/node/group.h"
#include "log/node/links.h"
#include "log/node/surroundings.h"

namespace stele::log {

/// Joins the links with one group. Loop thread only.
class Host {
 public:
  struct Options : Group::Options {
    /// Connections of other nodes, and of those that have not said hello.
    std::size_t inbound_max = Links::Options{}.inbound_max;
  };

  /// Takes an open store. Errors: foreign_directory, corrupt, invalid_argument.
  static Result<std::unique_ptr<Host>> make(const Options& options,
                                            const Surroundings& surroundings,
                                            std::unique_ptr<Store> store);

  /// A connection that somebody has opened to this process.
  void on_link(std::unique_ptr<net::Link> link) { links_.on_link(std::move(link)); }
  /// As of Group.
  void stop(std::function<void()> done) { group_.stop(std::move(done)); }

  [[nodiscard]] NodeReport status() const { return group_.status(); }
  [[nodiscard]] const Replica* replica() const { return group_.replica(); }
  [[nodiscard]] bool connected(NodeId node) const { return links_.peers().connected(node); }
  [[nodiscard]] const std::string& halted() const { return group_.halted(); }

 private:
  Host(const Options& options, const Surroundings& surroundings, std::unique_ptr<Store> store,
       Group::Origin origin);

  Links links_;
  Group group_;
};

}  // namespace stele::log
