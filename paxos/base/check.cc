#include "paxos/base/check.h"

#include <utility>

namespace stele {
namespace {

thread_local bool scope_throws = false;

[[noreturn]] void throw_failed(const std::string& text) { throw CheckFailed(text); }

/// The exception cannot leave: std::terminate finds the stack as it is.
[[noreturn]] void end_process(const std::string& text) noexcept { throw_failed(text); }

}  // namespace

CheckScope::CheckScope(bool throws) : outer_(std::exchange(scope_throws, throws)) {}

CheckScope::~CheckScope() { scope_throws = outer_; }

void check_failed(const char* file, int line, const char* condition, const std::string& detail) {
  std::string text =
      "check failed: " + std::string(condition) + " at " + file + ":" + std::to_string(line);
  if (!detail.empty()) text += ": " + detail;
  if (scope_throws) throw_failed(text);
  end_process(text);
}

}  // namespace stele
