#include "paxos/base/check.h"

#include <cstdio>
#include <cstdlib>
#include <utility>

namespace stele {
namespace {

CheckHandler& handler() {
  static CheckHandler instance = [](const std::string& line) {
    std::fprintf(stderr, "%s\n", line.c_str());
  };
  return instance;
}

}  // namespace

CheckHandler set_check_handler(CheckHandler next) {
  return std::exchange(handler(), std::move(next));
}

void check_failed(const char* file, int line, const char* condition, const std::string& detail) {
  std::string text =
      "check failed: " + std::string(condition) + " at " + file + ":" + std::to_string(line);
  if (!detail.empty()) text += ": " + detail;
  handler()(text);
  std::abort();
}

}  // namespace stele
