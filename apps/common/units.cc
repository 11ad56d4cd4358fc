#include "apps/common/units.h"

#include <array>
#include <charconv>
#include <string_view>

namespace stele::apps {
namespace {

struct Unit {
  std::string_view name;
  std::uint64_t factor;
};

constexpr std::array kSizes = {
    Unit{"", 1},
    Unit{"B", 1},
    Unit{"KB", 1000},
    Unit{"MB", 1000'000},
    Unit{"GB", 1000'000'000},
    Unit{"TB", 1000'000'000'000},
    Unit{"KiB", std::uint64_t{1} << 10},
    Unit{"MiB", std::uint64_t{1} << 20},
    Unit{"GiB", std::uint64_t{1} << 30},
    Unit{"TiB", std::uint64_t{1} << 40},
};

constexpr std::array kTimes = {
    Unit{"ms", 1}, Unit{"s", 1000}, Unit{"m", 60'000}, Unit{"h", 3'600'000}, Unit{"d", 86'400'000},
};

/// Numbers are below 2^62.
constexpr std::uint64_t kEnd = std::uint64_t{1} << 62;

template <class Units>
Result<std::uint64_t> parse(const std::string& text, const Units& units, const char* example) {
  const auto wrong = [&](const std::string& why) {
    return fail(Errc::invalid_argument, "'" + text + "' " + why);
  };
  std::uint64_t number = 0;
  const auto [rest, fault] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (fault == std::errc::result_out_of_range) return wrong("is too large");
  const std::string_view name(rest, text.data() + text.size());
  for (const Unit& unit : units) {
    if (fault != std::errc() || unit.name != name) continue;
    if (number >= kEnd / unit.factor) return wrong("is too large");
    return number * unit.factor;
  }
  return wrong(std::string("is none of ") + example);
}

template <class Units>
std::string text_of(std::uint64_t number, const Units& units, std::uint64_t base) {
  const Unit* best = &units.front();
  for (const Unit& unit : units) {
    const bool fits = number != 0 && number % unit.factor == 0;
    if (fits && unit.factor % base == 0 && unit.factor >= best->factor) best = &unit;
  }
  return std::to_string(number / best->factor) + std::string(best->name);
}

}  // namespace

Result<std::uint64_t> parse_bytes(const std::string& text) {
  return parse(text, kSizes, "a whole number of B, KB, MB, GB, TB, KiB, MiB, GiB or TiB");
}

Result<std::chrono::milliseconds> parse_duration(const std::string& text) {
  const auto ms = parse(text, kTimes, "a whole number of ms, s, m, h or d");
  if (!ms) return forward(ms);
  return std::chrono::milliseconds(static_cast<std::int64_t>(*ms));
}

std::string bytes_text(std::uint64_t bytes) {
  if (bytes % 1024 != 0 || bytes == 0) return std::to_string(bytes) + "B";
  return text_of(bytes, kSizes, 1024);
}

std::string duration_text(std::chrono::milliseconds duration) {
  return text_of(static_cast<std::uint64_t>(duration.count()), kTimes, 1);
}

}  // namespace stele::apps
