// A toy section whose rows stay in the store's tables: counters by their numbers, two in memory.
#pragma once

#include <memory>
#include <vector>

#include "log/state/log_state.h"
#include "log/state/row_cache.h"
#include "paxos/base/bytes.h"

namespace stele::log {

inline constexpr Table kTabledCounters{6};
inline constexpr CommandKind kCount{201};

/// Each command adds one to the counter that its body names.
class TabledCounters final : public Section {
 public:
  [[nodiscard]] Result<void> check_command(const Command& command) const override {
    if (command.body.size() != 8) return fail(Errc::malformed, "not a counter");
    return {};
  }
  void add_missing(const Command& command, std::vector<RowKey>& keys) const override {
    const RowCache<std::uint64_t>::Key key(command.body.begin(), command.body.end());
    if (!cache_.holds(key)) keys.push_back({kTabledCounters, key});
  }
  Effect apply(const Command& command, const Applying& at) override {
    const RowCache<std::uint64_t>::Key key(command.body.begin(), command.body.end());
    const std::uint64_t* value = cache_.find(key);
    cache_.change(key, value == nullptr ? 1 : *value + 1, at.slot);
    changed_.push_back(key);
    return Outcome::ok;
  }
  void take_changed(std::vector<Row>& rows) override {
    std::ranges::sort(changed_);
    changed_.erase(std::ranges::unique(changed_).begin(), changed_.end());
    for (const auto& key : changed_) {
      rows.push_back({kTabledCounters, key, key_of(*cache_.find(key))});
    }
    changed_.clear();
  }
  Result<void> load(const Row& row) override {
    if (row.bytes.empty()) {
      cache_.take(row.key, std::nullopt);
    } else {
      cache_.take(row.key, number_of(row.bytes));
    }
    return {};
  }
  void on_readable(Slot readable_end) override { cache_.on_readable(readable_end); }
  [[nodiscard]] std::uint64_t fingerprint() const override { return 0; }
  [[nodiscard]] std::string check() const override { return {}; }

  [[nodiscard]] std::size_t rows_in_memory() const { return cache_.size(); }

 private:
  RowCache<std::uint64_t> cache_{2};
  std::vector<RowCache<std::uint64_t>::Key> changed_;
};

inline Sections with_tabled_counters() {
  Sections sections = known_sections();
  sections.push_back({{kTabledCounters, "tabled_counters", /*in_memory=*/false}, {kCount}, [] {
                        return std::make_unique<TabledCounters>();
                      }});
  return sections;
}

inline Slice count_command(SessionId session, Sequence sequence, std::uint64_t counter) {
  Command command;
  command.kind = kCount;
  command.session = session;
  command.sequence = sequence;
  command.count = 1;
  const auto bytes = std::make_shared<std::vector<std::byte>>();
  put_command_header(command, 8, *bytes);
  ByteWriter(*bytes).put_bytes(key_of(counter));
  return {bytes, *bytes};
}

}  // namespace stele::log
