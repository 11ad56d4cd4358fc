// What an operator should see of a node; the program decides how it looks.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace stele {

/// How much an event matters.
enum class EventLevel : std::uint8_t {
  debug,    ///< For who looks for a mistake.
  info,     ///< Something has changed, as it should.
  warning,  ///< Something is wrong that the cluster lives with.
  error,    ///< Somebody has to do something.
};

/// A part of an event: `key` is a stable word. A view; valid during the call that is given it.
struct EventField {
  std::string_view key;  ///< A word that stays.
  std::string value;     ///< Of any bytes.

  /// With a text.
  EventField(std::string_view k, std::string v) : key(k), value(std::move(v)) {}
  /// With a number.
  EventField(std::string_view k, std::uint64_t v) : key(k), value(std::to_string(v)) {}
};

/// Takes events, one after the other. Called on the node's thread; must not block, nor call the
/// node, nor throw.
class Events {
 public:
  virtual ~Events() = default;
  /// `name` is a stable word such as `leader_began`.
  virtual void event(EventLevel level, std::string_view name,
                     std::initializer_list<EventField> fields) = 0;
};

}  // namespace stele
