#include "log/client/pending_appends.h"

#include <algorithm>
#include <vector>

#include "log/format/command.h"

namespace stele::log {

std::size_t PendingAppends::index_of(const PendingAppend& append) const {
  const auto found = std::ranges::find_if(
      appends_, [&](const PendingAppend& pending) { return &pending == &append; });
  return static_cast<std::size_t>(found - appends_.begin());
}

PendingAppends::Range PendingAppends::range(Sequence begin, Sequence end) {
  begin = std::max(begin, first_);
  end = std::max(begin, std::min(end, this->end()));
  if (begin - first_ > appends_.size()) return {appends_.end(), appends_.end()};
  const auto at = [&](Sequence sequence) {
    return appends_.begin() + static_cast<std::ptrdiff_t>(sequence - first_);
  };
  return {at(begin), at(end)};
}

std::size_t PendingAppends::neighbours(std::size_t index, const Bounds& bounds) const {
  const PendingAppend& first = at(index);
  std::size_t count = 1;
  std::size_t bytes = first.payload.bytes.size() + kEntryHeaderBytes;
  const std::size_t most = std::min(size(), bounds.window);
  while (index + count < most && first.condition == Lsn{}) {
    const PendingAppend& next = at(index + count);
    const std::size_t size = next.payload.bytes.size();
    // One that is over the limit is told so when its own turn comes, not with its neighbours.
    const bool over = !next.skip && bounds.entry_bytes_max != 0 && size > bounds.entry_bytes_max;
    const std::size_t more = size + kEntryHeaderBytes;
    const bool fits = first.skip || (bytes + more <= bounds.bytes_max && !over);
    if (next.consumed || next.skip != first.skip || next.condition != Lsn{} || !fits) break;
    bytes += more;
    ++count;
  }
  return count;
}

Slice PendingAppends::command(SessionId session, std::size_t index, std::size_t count) const {
  const Command command{.kind = at(index).skip ? CommandKind::skip : CommandKind::append,
                        .session = session,
                        .sequence = first_ + index,
                        .count = static_cast<std::uint32_t>(count),
                        .acked = {first_.value - 1},
                        .condition = at(index).condition,
                        .body = {}};
  const std::size_t entries = command.kind == CommandKind::append ? count : 0;
  std::size_t entries_bytes = 0;
  for (std::size_t i = index; i < index + entries; ++i)
    entries_bytes += kEntryHeaderBytes + at(i).payload.bytes.size();
  auto bytes = std::make_shared<std::vector<std::byte>>();
  bytes->reserve(Command::kHeaderBytes + entries_bytes);
  put_command_header(command, entries_bytes, *bytes);
  for (std::size_t i = index; i < index + entries; ++i) put_entry(at(i).payload.bytes, *bytes);
  const std::span<const std::byte> view(*bytes);
  return {std::move(bytes), view};
}

}  // namespace stele::log
