// The last line of a process that ends for a bug of its own.
#pragma once

#include "apps/common/logging.h"

namespace stele::apps {

/// From now on std::terminate, which is what a failed check calls, writes the event check_failed to
/// `log` before the process aborts. Once in a process; the log lives as long as that.
void tell_failed_checks(EventLog& log);

}  // namespace stele::apps
