#include "apps/stele/output.h"

#include <poll.h>
#include <unistd.h>
#include <cerrno>
#include <nlohmann/json.hpp>

namespace stele::apps {
namespace {

constexpr std::size_t kFlushBytes = 256 << 10;

std::string as_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

void add_hex(std::span<const std::byte> bytes, std::string& to) {
  constexpr const char* kDigits = "0123456789abcdef";
  for (const std::byte byte : bytes) {
    const auto value = std::to_integer<unsigned>(byte);
    to += kDigits[value >> 4];
    to += kDigits[value & 15];
  }
}

}  // namespace

void Output::add(const Entry& entry) {
  const std::span<const std::byte> payload(entry.payload);
  switch (format_) {
    case Format::raw: buffer_ += as_text(payload); break;
    case Format::hex:
      buffer_ += std::to_string(entry.lsn.value) + " ";
      add_hex(payload, buffer_);
      break;
    case Format::json: {
      nlohmann::ordered_json line;
      line["lsn"] = entry.lsn.value;
      if (is_utf8(payload)) {
        line["payload"] = as_text(payload);
      } else {
        line["payload_base64"] = base64(payload);
      }
      buffer_ += line.dump();
      break;
    }
  }
  buffer_ += separator_;
  if (buffer_.size() >= kFlushBytes) flush();
}

void Output::add_line(const std::string& line) {
  buffer_ += line;
  buffer_ += '\n';
  if (buffer_.size() >= kFlushBytes) flush();
}

bool Output::has_no_reader() {
  pollfd out{STDOUT_FILENO, 0, 0};
  return ::poll(&out, 1, 0) > 0 && (out.revents & (POLLERR | POLLHUP)) != 0;
}

bool Output::flush() {
  std::size_t written = 0;
  while (written < buffer_.size()) {
    const ssize_t count =
        ::write(STDOUT_FILENO, buffer_.data() + written, buffer_.size() - written);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return false;
    written += static_cast<std::size_t>(count);
  }
  buffer_.clear();
  return true;
}

}  // namespace stele::apps
