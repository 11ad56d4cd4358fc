#include "paxos/base/check.h"

#include <utility>

namespace stele {
namespace {

thread_local bool in_scope = false;

[[noreturn]] void throw_failed(const std::string& text) { throw CheckFailed(text); }

/// The exception cannot leave: std::terminate finds the stack as it is.
[[noreturn]] void end_process(const std::string& text) noexcept { throw_failed(text); }

}  // namespace

CheckScope::CheckScope() : outer_(std::exchange(in_scope, true)) {}

CheckScope::~CheckScope() { in_scope = outer_; }

void check_failed(const char* file, int line, const char* condition, const std::string& detail) {
  std::string text =
      "check failed: " + std::string(condition) + " at " + file + ":" + std::to_string(line);
  if (!detail.empty()) text += ": " + detail;
  if (in_scope) throw_failed(text);
  end_process(text);
}

}  // namespace stele
