// Events to standard error: one line each, as text or JSON.
#pragma once

#include <memory>
#include <string>

#include <stele/events.h>
#include "paxos/base/result.h"

namespace stele::apps {

/// Writes events through spdlog, from a thread of its own: a slow terminal never holds up the loop;
/// if it does not keep up, the oldest lines are dropped.
class EventLog final : public Events {
 public:
  /// `level`: debug, info, warning, error. `format`: text, json. Errors: invalid_argument.
  static Result<std::unique_ptr<EventLog>> make(const std::string& level,
                                                const std::string& format);
  ~EventLog() override;

  void event(EventLevel level, std::string_view name,
             std::initializer_list<EventField> fields) override;
  /// Waits until everything is written, half a second at most if nobody reads it; what comes
  /// afterwards is dropped.
  void flush();

 private:
  struct Impl;
  explicit EventLog(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace stele::apps
