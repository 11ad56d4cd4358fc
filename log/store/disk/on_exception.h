// For what must not stay as it is when an exception passes.
#pragma once

#include <exception>
#include <utility>

namespace stele::log {

/// Calls `act` when its scope is left by an exception, a failed check say.
template <class Act>
class OnException {
 public:
  explicit OnException(Act act) : act_(std::move(act)) {}
  ~OnException() {
    if (std::uncaught_exceptions() > before_) act_();
  }
  OnException(const OnException&) = delete;
  OnException& operator=(const OnException&) = delete;

 private:
  Act act_;
  int before_ = std::uncaught_exceptions();
};

}  // namespace stele::log
