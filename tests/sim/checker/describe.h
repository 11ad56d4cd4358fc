// Messages as people read them, for traces.
#pragma once

#include <string>

#include "net/wire/message.h"

namespace stele::sim {

[[nodiscard]] std::string describe(const net::Message& message);
[[nodiscard]] std::string describe(const paxos::Message& message);
[[nodiscard]] std::string describe(Ballot ballot);
[[nodiscard]] std::string describe(const paxos::Value& value);
[[nodiscard]] std::string_view name_of(Outcome outcome);

}  // namespace stele::sim
