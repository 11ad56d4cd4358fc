#include "apps/common/logging.h"

#include <poll.h>
#include <spdlog/async.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <climits>
#include <cstdio>
#include <ctime>
#include <mutex>
#include <nlohmann/json.hpp>
#include <span>
#include <utility>

#include "apps/common/text.h"

namespace stele::apps {
namespace {

std::string_view word(EventLevel level) {
  switch (level) {
    case EventLevel::debug: return "debug";
    case EventLevel::info: return "info";
    case EventLevel::warning: return "warning";
    case EventLevel::error: return "error";
  }
  return "?";
}

std::string timestamp() {
  const auto now = std::chrono::system_clock::now();
  // Also before 1970.
  const auto whole = std::chrono::floor<std::chrono::seconds>(now);
  const std::time_t seconds = std::chrono::system_clock::to_time_t(whole);
  const auto ms = std::chrono::floor<std::chrono::milliseconds>(now - whole).count();
  std::tm utc{};
  ::gmtime_r(&seconds, &utc);
  char text[40];
  const std::size_t length = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc);
  std::snprintf(text + length, sizeof text - length, ".%03dZ", static_cast<int>(ms));
  return text;
}

/// A string as JSON. Bytes that are not UTF-8 are replaced: nobody could read the line otherwise.
void append_json(std::string& line, std::string_view text) {
  line += nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

/// A string as text where it has anything but plain characters.
void append_quoted(std::string& line, std::string_view text) {
  const bool readable = is_utf8(std::as_bytes(std::span(text)));
  line += '"';
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      line += '\\';
      line += c;
    } else if (byte < 0x20 || byte == 0x7f || (byte >= 0x80 && !readable)) {
      char escaped[8];
      std::snprintf(escaped, sizeof escaped, byte < 0x80 ? "\\u%04x" : "\\x%02x", byte);
      line += escaped;
    } else {
      line += c;
    }
  }
  line += '"';
}

bool plain(std::string_view text) {
  if (text.empty()) return false;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte <= 0x20 || byte >= 0x7f || c == '"' || c == '\\' || c == '=') return false;
  }
  return true;
}

/// How long the end of the program waits for somebody to read its last lines.
constexpr std::chrono::milliseconds kEndWithin{500};

/// Standard error, written to only when it takes a line: a slow reader holds up the lines, and not
/// the end of the program.
class StandardError final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  /// From here on lines that cannot be written are lost.
  void end() { ends_at_ = std::chrono::steady_clock::now() + kEndWithin; }

 private:
  void sink_it_(const spdlog::details::log_msg& message) override {
    std::string line(message.payload.data(), message.payload.size());
    line += '\n';
    // A pipe that has room takes PIPE_BUF bytes at once.
    for (std::size_t at = 0; at < line.size() && !gone_; at += PIPE_BUF) {
      while (!takes_a_line()) {
        gone_ = gone_ || late();  // Those after it are lost, too.
        if (gone_) return;
      }
      const std::size_t count = std::min<std::size_t>(line.size() - at, PIPE_BUF);
      gone_ = ::write(STDERR_FILENO, line.data() + at, count) < 0 && errno == EPIPE;
    }
  }
  void flush_() override {}

  [[nodiscard]] bool takes_a_line() const {
    constexpr int kLookAgainMs = 50;
    pollfd wanted{STDERR_FILENO, POLLOUT, 0};
    return !gone_ && ::poll(&wanted, 1, late() ? 0 : kLookAgainMs) > 0;
  }
  [[nodiscard]] bool late() const { return std::chrono::steady_clock::now() >= ends_at_.load(); }

  std::atomic<std::chrono::steady_clock::time_point> ends_at_{
      std::chrono::steady_clock::time_point::max()};
  bool gone_ = false;  // The reader is gone, or the time of the end has passed.
};

}  // namespace

struct EventLog::Impl {
  std::mutex mutex;  // One thread may flush while another one has something to say.
  std::shared_ptr<spdlog::details::thread_pool> pool;
  std::shared_ptr<StandardError> sink = std::make_shared<StandardError>();
  std::shared_ptr<spdlog::async_logger> logger;
  EventLevel least = EventLevel::info;
  bool json = false;
};

EventLog::EventLog(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

EventLog::~EventLog() { flush(); }

Result<std::unique_ptr<EventLog>> EventLog::make(const std::string& level,
                                                 const std::string& format) {
  auto impl = std::make_unique<Impl>();
  bool known = false;
  for (const EventLevel each :
       {EventLevel::debug, EventLevel::info, EventLevel::warning, EventLevel::error}) {
    if (word(each) != level) continue;
    impl->least = each;
    known = true;
  }
  if (!known) {
    return fail(Errc::invalid_argument,
                "the log level is debug, info, warning or error, not '" + level + "'");
  }
  if (format != "text" && format != "json") {
    return fail(Errc::invalid_argument, "the log format is text or json, not '" + format + "'");
  }
  impl->json = format == "json";
  impl->pool = std::make_shared<spdlog::details::thread_pool>(8192, 1);
  impl->logger = std::make_shared<spdlog::async_logger>(
      "stele", impl->sink, impl->pool, spdlog::async_overflow_policy::overrun_oldest);
  impl->logger->set_pattern("%v");
  impl->logger->set_level(spdlog::level::trace);
  impl->logger->flush_on(spdlog::level::trace);
  return std::unique_ptr<EventLog>(new EventLog(std::move(impl)));
}

void EventLog::event(EventLevel level, std::string_view name,
                     std::initializer_list<EventField> fields) {
  if (level < impl_->least) return;
  std::string line;
  if (impl_->json) {
    line = "{\"time\":\"" + timestamp() + "\",\"level\":\"" + std::string(word(level)) +
           "\",\"event\":";
    append_json(line, name);
    for (const EventField& field : fields) {
      line += ',';
      append_json(line, field.key);
      line += ':';
      append_json(line, field.value);
    }
    line += '}';
  } else {
    line = timestamp() + ' ' + std::string(word(level)) + ' ' + std::string(name);
    for (const EventField& field : fields) {
      line += ' ';
      line += field.key;
      line += '=';
      if (plain(field.value)) {
        line += field.value;
      } else {
        append_quoted(line, field.value);
      }
    }
  }
  const std::lock_guard lock(impl_->mutex);
  if (!impl_->logger) return;
  impl_->logger->log(spdlog::level::info, spdlog::string_view_t(line.data(), line.size()));
}

void EventLog::flush() {
  const std::lock_guard lock(impl_->mutex);
  if (!impl_->logger) return;
  impl_->sink->end();
  impl_->pool.reset();  // Joins its thread, which writes what is queued.
  impl_->logger.reset();
}

}  // namespace stele::apps
