#include "tests/sim/disk/slow_syncs.h"

#include <atomic>
#include <cstdint>
#include <mutex>
#include <thread>

namespace stele::sim {
namespace {

std::atomic<std::int64_t> sync_longer_us{0};
std::atomic<int> syncs_now{0};
std::atomic<int> syncs_most{0};
std::atomic<bool> syncs_one_by_one{false};
std::mutex one_sync;

}  // namespace

void take_longer() {
  const auto longer = sync_longer_us.load();
  if (longer == 0) return;
  const int now = ++syncs_now;
  for (int most = syncs_most; most < now && !syncs_most.compare_exchange_weak(most, now);) {
  }
  {
    std::unique_lock lock(one_sync, std::defer_lock);
    if (syncs_one_by_one) lock.lock();
    std::this_thread::sleep_for(std::chrono::microseconds(longer));
  }
  --syncs_now;
}

SlowSyncs::SlowSyncs(std::chrono::microseconds longer, bool one_by_one) {
  syncs_most = 0;
  syncs_one_by_one = one_by_one;
  sync_longer_us = longer.count();
}
SlowSyncs::~SlowSyncs() { sync_longer_us = 0; }
int SlowSyncs::most() const { return syncs_most.exchange(0); }

}  // namespace stele::sim
