// What an operator should see, one line per event; the program decides how it looks.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

namespace stele::net {

enum class Level : std::uint8_t { debug, info, warning, error };

struct Field {
  std::string_view key;
  std::string value;

  Field(std::string_view k, std::string v) : key(k), value(std::move(v)) {}
  Field(std::string_view k, std::uint64_t v) : key(k), value(std::to_string(v)) {}
};

/// Loop thread only; must not block.
class Events {
 public:
  virtual ~Events() = default;
  /// `name` is a stable word such as `leader_elected`.
  virtual void event(Level level, std::string_view name, std::initializer_list<Field> fields) = 0;
};

}  // namespace stele::net
