// stele verify

#include <cstdio>

#include "apps/common/disk_fault.h"
#include "apps/common/exit_codes.h"
#include "apps/stele/cli.h"
#include "log/store/offline/verify.h"

namespace stele::apps {

int verify(const std::string& data) {
  end_on_disk_fault();
  const auto report = log::verify_directory(data);
  if (!report) {
    complain(report.error().code, report.error().detail);
    return kDataDirectory;
  }
  const auto number = [](std::uint64_t value) { return static_cast<unsigned long long>(value); };
  std::printf("cluster      %s, id %016llx, %zu members\n", report->identity.cluster_name.c_str(),
              number(report->identity.cluster_id), report->identity.members.size());
  std::printf("node         %llu\n", number(report->identity.node.value));
  std::printf("promised     %llu.%llu in epoch %llu\n", number(report->promised.ballot.round),
              number(report->promised.ballot.node.value), number(report->promised.epoch.value));
  std::printf("slots        %llu records, %llu of them votes; chosen_end %llu\n",
              number(report->records), number(report->votes),
              number(report->numbers.chosen_end.value));
  std::printf("entries      %llu, from LSN %llu to before %llu; %llu bytes in slots\n",
              number(report->entries), number(report->numbers.first_lsn.value),
              number(report->numbers.next_lsn.value), number(report->value_bytes));
  if (report->holding.first_slot > Slot{1}) {
    std::printf("trimmed      slots below %llu are gone\n",
                number(report->holding.first_slot.value));
  }
  if (report->holding.slots_begin > report->holding.first_slot) {
    std::printf("copying      slots below %llu are not all here\n",
                number(report->holding.slots_begin.value));
  }
  for (const log::SnapshotInfo& snapshot : report->snapshots) {
    std::printf("snapshot     at slot %llu, %llu bytes, digest %016llx\n",
                number(snapshot.slot.value), number(snapshot.bytes), number(snapshot.digest));
  }
  for (const auto& [name, rows] : report->rows) {
    std::printf("%-12s %llu\n", name.c_str(), number(rows));
  }
  std::printf("state hash   %016llx\n", number(report->numbers.hash));
  for (const std::string& fault : report->faults) std::printf("FAULT        %s\n", fault.c_str());
  if (report->faults_found > report->faults.size()) {
    std::printf("FAULT        and %llu more\n",
                number(report->faults_found - report->faults.size()));
  }
  std::printf("%s\n", report->faults_found == 0 ? "all checksums match, all parts fit"
                                                : "the directory is at fault");
  return report->faults_found == 0 ? kDone : kDataDirectory;
}

}  // namespace stele::apps
