#include "log/state/session.h"

#include <algorithm>

#include "log/format/rows.h"
#include "paxos/base/bytes.h"

namespace stele::log {
namespace {

constexpr std::uint16_t kVersion = 1;
/// Room for so many stays when a burst is over.
constexpr std::size_t kRunsKept = 16;

}  // namespace

void Session::consume(std::uint32_t count, Outcome outcome, Lsn lsn) {
  const Sequence first = last_ + 1;
  last_ = last_ + count;
  if (forgotten_ != runs_.size()) {
    Run& run = runs_.back();
    const bool lsn_follows = outcome != Outcome::ok || run.lsn + run.count == lsn;
    if (run.outcome == outcome && lsn_follows && UINT32_MAX - run.count >= count) {
      run.count += count;
      return;
    }
  }
  runs_.push_back({first, count, outcome, lsn});
}

void Session::forget(Sequence acked) {
  const Sequence before_window{last_ - Sequence{window_}};
  const Sequence keep_from = std::min(std::max(acked, before_window), last_) + 1;
  while (forgotten_ != runs_.size() && runs_[forgotten_].first < keep_from) {
    Run& run = runs_[forgotten_];
    const auto gone =
        static_cast<std::uint32_t>(std::min<std::uint64_t>(keep_from - run.first, run.count));
    if (gone == run.count) {
      ++forgotten_;
      continue;
    }
    run.first = run.first + gone;
    if (run.outcome == Outcome::ok) run.lsn = run.lsn + gone;
    run.count -= gone;
  }
  drop_forgotten();
}

void Session::forget_oldest() {
  ++forgotten_;
  drop_forgotten();
}

void Session::drop_forgotten() {
  if (forgotten_ <= runs_.size() / 2) return;
  runs_.erase(runs_.begin(), runs_.begin() + static_cast<std::ptrdiff_t>(forgotten_));
  forgotten_ = 0;
  if (runs_.capacity() > kRunsKept && runs_.size() < runs_.capacity() / 4) runs_.shrink_to_fit();
}

void Session::recall(SessionId id, Sequence first, std::uint32_t count,
                     std::vector<CommandResult>& out) const {
  const Sequence end = first + count;
  Sequence at = first;
  const Sequence remembered_from = runs().empty() ? last_ + 1 : runs().front().first;
  if (at < remembered_from) {
    const Sequence until = std::min(end, remembered_from);
    out.push_back({id, at, static_cast<std::uint32_t>(until - at), Outcome::forgotten, {}, {}});
    at = until;
  }
  for (const Run& run : runs()) {
    const Sequence run_end = run.first + run.count;
    if (at >= end) return;
    if (run_end <= at) continue;
    const Sequence until = std::min(end, run_end);
    const Lsn lsn = run.outcome == Outcome::ok ? run.lsn + (at - run.first) : Lsn{};
    out.push_back({id, at, static_cast<std::uint32_t>(until - at), run.outcome, lsn, {}});
    at = until;
  }
}

std::vector<std::byte> Session::serialize() const {
  std::vector<std::byte> bytes = begin_record(kVersion);
  bytes.reserve(kVersionBytes + 32 + 24 * runs().size());
  ByteWriter writer(bytes);
  writer.put(window_);
  writer.put(static_cast<std::uint32_t>(runs().size()));
  writer.put(ttl_us_);
  writer.put(active_at_us_);
  writer.put(last_.value);
  for (const Run& run : runs()) {
    writer.put(run.first.value);
    writer.put(run.count);
    writer.put(static_cast<std::uint32_t>(run.outcome));
    writer.put(run.lsn.value);
  }
  return bytes;
}

Result<Session> Session::parse(std::span<const std::byte> bytes) {
  ByteReader reader(bytes);
  if (const auto version = take_version(reader, kVersion, "a session"); !version) {
    return forward(version);
  }
  Session session;
  session.window_ = reader.get<std::uint32_t>();
  const auto runs = reader.get<std::uint32_t>();
  session.ttl_us_ = reader.get<std::uint64_t>();
  session.active_at_us_ = reader.get<std::uint64_t>();
  session.last_ = {reader.get<std::uint64_t>()};
  for (std::uint32_t i = 0; i < runs && reader.ok(); ++i) {
    Run run{};
    run.first = {reader.get<std::uint64_t>()};
    run.count = reader.get<std::uint32_t>();
    const auto outcome = reader.get<std::uint32_t>();
    if (outcome > static_cast<std::uint32_t>(kOutcomeLast)) {
      return fail(Errc::corrupt, "a session remembers an unknown outcome");
    }
    run.outcome = static_cast<Outcome>(outcome);
    run.lsn = {reader.get<std::uint64_t>()};
    session.runs_.push_back(run);
  }
  if (!reader.ok() || reader.left() != 0) return fail(Errc::corrupt, "a session record is cut off");
  return session;
}

std::string Session::check() const {
  if (forgotten_ > runs_.size()) return "more is forgotten than was remembered";
  Sequence next{};
  for (const Run& run : runs()) {
    if (run.count == 0) return "a run is empty";
    if (next != Sequence{} && run.first != next) return "its runs are not dense";
    if (run.outcome != Outcome::ok && run.lsn != Lsn{}) return "a refusal has an LSN";
    next = run.first + run.count;
  }
  if (next != Sequence{} && next != last_ + 1) return "its runs do not end at its last sequence";
  return {};
}

}  // namespace stele::log
