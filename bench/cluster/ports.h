// Ports for the processes of a test or a measurement.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace stele::test {

/// Ports of the loopback interface that are nobody else's while this object lives: the system
/// hands them out neither to listen at nor to connect from, also while no process listens there.
/// Listeners with SO_REUSEADDR, which steled has, can have them. Throws if there are none left.
class Ports {
 public:
  explicit Ports(std::size_t count);
  /// Ports that follow each other.
  [[nodiscard]] static Ports in_a_row(std::size_t count);

  Ports(const Ports&) = delete;
  Ports& operator=(const Ports&) = delete;
  Ports(Ports&& other) noexcept;
  Ports& operator=(Ports&&) = delete;
  ~Ports();

  [[nodiscard]] std::uint16_t operator[](std::size_t index) const { return ports_.at(index); }
  [[nodiscard]] std::size_t size() const { return ports_.size(); }

 private:
  Ports() = default;
  /// False if it is somebody's; 0: any port.
  [[nodiscard]] bool hold(std::uint16_t port);

  std::vector<int> sockets_;
  std::vector<std::uint16_t> ports_;
};

}  // namespace stele::test
