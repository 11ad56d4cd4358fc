// Checks that stay on in release builds: a bug or lost durability ends the node.
#pragma once

#include <functional>
#include <string>

namespace stele {

/// Called with one line that says where and why. It must not return to the failed check: it ends
/// the process (the default) or throws, so that a simulator can end one node alone.
using CheckHandler = std::function<void(const std::string&)>;

/// Replaces the handler; returns the former one. Not thread-safe: set it before threads start.
CheckHandler set_check_handler(CheckHandler handler);

/// Ends the node through the handler; aborts if the handler returns.
[[noreturn]] void check_failed(const char* file, int line, const char* condition,
                               const std::string& detail = {});

}  // namespace stele

#define STELE_CHECK(condition, ...)                                                     \
  do {                                                                                  \
    if (!(condition)) [[unlikely]]                                                      \
      ::stele::check_failed(__FILE__, __LINE__, #condition __VA_OPT__(, ) __VA_ARGS__); \
  } while (false)
