#include "paxos/leader/hand_over.h"

#include <algorithm>
#include <vector>

#include "paxos/base/check.h"

namespace stele::paxos {

void HandOver::begin(Time now) {
  since_ = now;
  slow_disk_.reset();
}

void HandOver::watch(Time now, const Acceptors& acceptors, std::size_t q2, bool may) {
  const Duration own = acceptors.own_delay();
  std::vector<Duration> others = acceptors.other_delays(now);
  disks_.look(now, own, others, q2);
  if (!may || under_way() || !disks_.slow(now)) return;
  std::ranges::sort(others);
  begin(now);
  slow_disk_ = SlowDisk{own, others.at(q2 - 1)};
}

void HandOver::give_up(Time now) {
  STELE_CHECK(under_way());
  cancel();
  if (slow_disk_) disks_.put_off(now);
}

}  // namespace stele::paxos
