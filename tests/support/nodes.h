// Names for the nodes of small clusters, and values to agree on.
#pragma once

#include <cstring>
#include <memory>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "net/wire/digest.h"
#include "paxos/configuration.h"
#include "paxos/message.h"

namespace stele::paxos {

inline constexpr NodeId kN1{1};
inline constexpr NodeId kN2{2};
inline constexpr NodeId kN3{3};

inline Configuration three_nodes() { return *Configuration::make({kN1, kN2, kN3}); }

/// A batch whose bytes are `text`.
inline Value value(std::string_view text) {
  auto bytes = std::make_shared<std::vector<std::byte>>(text.size());
  if (!text.empty()) std::memcpy(bytes->data(), text.data(), text.size());
  const std::span<const std::byte> view(*bytes);
  return {ValueKind::batch, {{std::move(bytes), view}}, net::value_digest(view)};
}

inline std::string text_of(const Value& value) {
  std::vector<std::byte> bytes(value.size());
  value.copy_to(bytes.data());
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

inline SlotRecord record(std::uint64_t slot, Ballot ballot, std::string_view text) {
  return {{slot}, {1}, ballot, value(text)};
}

inline Message message(Body body) { return {{1}, std::move(body)}; }

/// The bodies of one kind among messages that were sent.
template <class T>
std::vector<T> all_of(const std::vector<Send>& sends) {
  std::vector<T> found;
  for (const Send& send : sends) {
    if (const T* body = std::get_if<T>(&send.message.body)) found.push_back(*body);
  }
  return found;
}

/// To whom messages of one kind were sent.
template <class T>
NodeSet receivers_of(const std::vector<Send>& sends) {
  NodeSet found;
  for (const Send& send : sends) {
    if (std::holds_alternative<T>(send.message.body)) found.insert(send.to);
  }
  return found;
}

inline NodeSet set_of(std::initializer_list<NodeId> nodes) {
  NodeSet set;
  for (NodeId node : nodes) set.insert(node);
  return set;
}

}  // namespace stele::paxos
