#include "apps/common/failed_check.h"

#include <cstdlib>
#include <exception>
#include <string>

namespace stele::apps {
namespace {

EventLog* log_at_end = nullptr;

std::string reason() {
  try {
    if (const auto thrown = std::current_exception()) std::rethrow_exception(thrown);
  } catch (const std::exception& error) {
    return error.what();
  } catch (...) {
  }
  return "std::terminate was called";
}

[[noreturn]] void on_terminate() {
  log_at_end->event(EventLevel::error, "check_failed", {{"reason", reason()}});
  log_at_end->flush();
  std::abort();
}

}  // namespace

void tell_failed_checks(EventLog& log) {
  log_at_end = &log;
  std::set_terminate(on_terminate);
}

}  // namespace stele::apps
