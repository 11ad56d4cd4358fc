#include "paxos/base/ids.h"

#include <cstdio>

namespace stele {

std::string to_hex(std::uint64_t id) {
  char text[20];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(id));
  return text;
}

}  // namespace stele
