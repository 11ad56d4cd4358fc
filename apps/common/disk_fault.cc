#include "apps/common/disk_fault.h"

#include <unistd.h>
#include <csignal>

#include "apps/common/exit_codes.h"

namespace stele::apps {
namespace {

// Only what a signal handler may do.
void on_bus_error(int) {
  static constexpr char kLine[] =
      "error store_failed reason=\"a page of the data file cannot be read: the file was cut off, "
      "or the "
      "disk has failed\"\n";
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, kLine, sizeof kLine - 1);
  ::_exit(kDataDirectory);
}

}  // namespace

void end_on_disk_fault() { std::signal(SIGBUS, on_bus_error); }

}  // namespace stele::apps
