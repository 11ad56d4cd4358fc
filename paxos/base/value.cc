#include "paxos/base/value.h"

#include <cstring>
#include <utility>

namespace stele::paxos {

Value::Value(ValueKind kind, std::vector<Slice> parts, std::uint64_t digest) {
  std::size_t size = 0;
  for (const Slice& part : parts) size += part.bytes.size();
  body_ = std::make_shared<const Body>(Body{kind, std::move(parts), size, digest});
}

void Value::copy_to(std::byte* target) const {
  for (const Slice& part : parts()) {
    if (part.bytes.empty()) continue;
    std::memcpy(target, part.bytes.data(), part.bytes.size());
    target += part.bytes.size();
  }
}

bool Value::operator==(const Value& other) const {
  if (body_ == other.body_) return true;
  if (kind() != other.kind() || size() != other.size() || digest() != other.digest()) return false;
  std::vector<std::byte> mine(size());
  std::vector<std::byte> theirs(other.size());
  copy_to(mine.data());
  other.copy_to(theirs.data());
  return mine == theirs;
}

}  // namespace stele::paxos
