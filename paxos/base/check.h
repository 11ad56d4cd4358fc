// Checks that stay on in release builds: a bug or lost durability ends the node.
#pragma once

#include <stdexcept>
#include <string>

namespace stele {

/// A check has failed; what() says which, where and why. Nothing may go on with what was checked.
class CheckFailed final : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

/// As long as one lives, a check that fails on its thread throws CheckFailed, for what has made the
/// scope to end the node alone; or it does not, within a scope that was made for that. Otherwise a
/// failed check ends the process, by std::terminate with the same exception, at the place of the
/// check. So does one in a destructor, which lets no exception out.
class CheckScope {
 public:
  explicit CheckScope(bool throws = true);
  ~CheckScope();
  CheckScope(const CheckScope&) = delete;
  CheckScope& operator=(const CheckScope&) = delete;

 private:
  bool outer_;  // What the scope around it has set.
};

/// Throws, or ends the process. Any thread.
[[noreturn]] void check_failed(const char* file, int line, const char* condition,
                               const std::string& detail = {});

}  // namespace stele

#define STELE_CHECK(condition, ...)                                                     \
  do {                                                                                  \
    if (!(condition)) [[unlikely]]                                                      \
      ::stele::check_failed(__FILE__, __LINE__, #condition __VA_OPT__(, ) __VA_ARGS__); \
  } while (false)
