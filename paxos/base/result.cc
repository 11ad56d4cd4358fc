#include "paxos/base/result.h"

namespace stele {
namespace {

class Category final : public std::error_category {
 public:
  [[nodiscard]] const char* name() const noexcept override { return "stele"; }
  [[nodiscard]] std::string message(int value) const override {
    return std::string(to_string(static_cast<Errc>(value)));
  }
};

}  // namespace

std::string_view to_string(Errc code) {
  switch (code) {
    case Errc::not_leader: return "not_leader";
    case Errc::overloaded: return "overloaded";
    case Errc::too_large: return "too_large";
    case Errc::no_space: return "no_space";
    case Errc::condition_failed: return "condition_failed";
    case Errc::trimmed: return "trimmed";
    case Errc::session_expired: return "session_expired";
    case Errc::shutting_down: return "shutting_down";
    case Errc::timed_out: return "timed_out";
    case Errc::invalid_argument: return "invalid_argument";
    case Errc::unreachable: return "unreachable";
    case Errc::malformed: return "malformed";
    case Errc::refused: return "refused";
    case Errc::corrupt: return "corrupt";
    case Errc::foreign_directory: return "foreign_directory";
    case Errc::newer_format: return "newer_format";
    case Errc::in_use: return "in_use";
    case Errc::io: return "io";
    case Errc::stopped: return "stopped";
    case Errc::out_of_range: return "out_of_range";
    case Errc::held: return "held";
    case Errc::not_found: return "not_found";
    case Errc::too_many: return "too_many";
    case Errc::elsewhere: return "elsewhere";
  }
  return "unknown";
}

const std::error_category& error_category() {
  static const Category category;
  return category;
}

std::error_code make_error_code(Errc code) { return {static_cast<int>(code), error_category()}; }

std::optional<Errc> error_of(Outcome outcome) {
  switch (outcome) {
    case Outcome::not_leader:
    case Outcome::overloaded:
    case Outcome::too_large:
    case Outcome::no_space:
    case Outcome::condition_failed:
    case Outcome::trimmed:
    case Outcome::session_expired:
    case Outcome::shutting_down:
    case Outcome::corrupt:
    case Outcome::out_of_range:
    case Outcome::held:
    case Outcome::not_found:
    case Outcome::too_many:
    case Outcome::elsewhere: return static_cast<Errc>(outcome);
    case Outcome::ok:
    case Outcome::unknown:
    case Outcome::resend:
    case Outcome::skipped:
    case Outcome::forgotten: break;
  }
  return std::nullopt;
}

}  // namespace stele
