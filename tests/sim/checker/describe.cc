#include "tests/sim/checker/describe.h"

#include <array>

#include "log/format/batch.h"
#include "tests/sim/checker/trace.h"

namespace stele::sim {
namespace {

std::string range(Slot begin, Slot end) {
  return "[" + std::to_string(begin.value) + ", " + std::to_string(end.value) + ")";
}

std::string text_of(const paxos::Value& value) {
  if (value.kind() == paxos::ValueKind::noop) return "noop";
  return "batch of " + std::to_string(value.size()) + " bytes #" +
         std::to_string(value.digest() % 100000);
}

struct DescribeBody {
  std::string operator()(const paxos::Prepare& m) const {
    return describe(m.ballot) + " from slot " + std::to_string(m.slot_begin.value);
  }
  std::string operator()(const paxos::Promise& m) const {
    std::string text = describe(m.ballot) + " " + range(m.slot_begin, m.slot_end) +
                       (m.last ? " last" : "") + " chosen_end " +
                       std::to_string(m.chosen_end.value);
    for (const paxos::SlotRecord& record : m.accepted) {
      text += ", " + std::to_string(record.slot.value) + ": " + describe(record.ballot) + " " +
              text_of(record.value);
    }
    return text;
  }
  std::string operator()(const paxos::Faulty& m) const {
    return describe(m.ballot) + " slot " + std::to_string(m.slot.value);
  }
  std::string operator()(const paxos::Accept& m) const {
    return describe(m.ballot) + " slot " + std::to_string(m.slot.value) + " " + text_of(m.value);
  }
  std::string operator()(const paxos::Accepted& m) const {
    return describe(m.ballot) + " " + range(m.slot_begin, m.slot_end);
  }
  std::string operator()(const paxos::Nack& m) const {
    return describe(m.ballot) +
           (m.no_space ? " no space" : " has promised " + describe(m.promised));
  }
  std::string operator()(const paxos::ChosenEnd& m) const {
    return std::to_string(m.chosen_end.value);
  }
  std::string operator()(const paxos::Chosen& m) const {
    return describe(m.ballot) + " " + range(m.slot_begin, m.slot_end);
  }
  std::string operator()(const paxos::Heartbeat& m) const {
    return describe(m.ballot) + " round " + std::to_string(m.beat);
  }
  std::string operator()(const paxos::HeartbeatAck& m) const {
    return describe(m.ballot) + " round " + std::to_string(m.beat) + " promised " +
           describe(m.promised) + " chosen_end " + std::to_string(m.chosen_end.value) +
           (m.no_space ? " no space" : "");
  }
  std::string operator()(const paxos::Heard& m) const {
    return describe(m.ballot) + " round " + std::to_string(m.beat);
  }
  std::string operator()(const paxos::PreVote& m) const {
    return "attempt " + std::to_string(m.attempt);
  }
  std::string operator()(const paxos::PreVoteAnswer& m) const {
    return "attempt " + std::to_string(m.attempt) + (m.leader_lost ? " lost" : " not lost");
  }
  std::string operator()(const paxos::TakeOver& m) const { return describe(m.ballot); }
  std::string operator()(const paxos::Fetch& m) const {
    return "from slot " + std::to_string(m.slot_begin.value) + (m.copies ? " copies" : "");
  }
  std::string operator()(const paxos::Fetched& m) const {
    return std::to_string(m.records.size()) + " from slot " + std::to_string(m.slot_begin.value) +
           " chosen_end " + std::to_string(m.chosen_end.value) + (m.copies ? " copies" : "");
  }
  std::string operator()(const paxos::FetchSnapshot& m) const {
    return "part " + std::to_string(m.part) + " at slot " + std::to_string(m.slot.value);
  }
  std::string operator()(const paxos::SnapshotPart& m) const {
    return "part " + std::to_string(m.part) + " at slot " + std::to_string(m.slot.value) + " " +
           std::to_string(m.bytes.size()) + " bytes";
  }
  std::string operator()(const paxos::FetchRun& m) const {
    return "run " + std::to_string(m.run) + " below " + std::to_string(m.slot_end.value);
  }
  std::string operator()(const paxos::RunSlots& m) const {
    return "run " + std::to_string(m.run) + " below " + std::to_string(m.slot_end.value) + " " +
           std::to_string(m.bytes.size()) + " bytes";
  }
};

struct DescribeMessage {
  std::string operator()(const net::Hello& m) const {
    return "hello of node " + std::to_string(m.node.value) + (m.members.empty() ? " unborn" : "");
  }
  std::string operator()(const net::Refused& m) const { return "refused: " + m.reason; }
  std::string operator()(const paxos::Message& m) const { return describe(m); }
  std::string operator()(const net::OpenSession& m) const {
    return "open_session ttl " + std::to_string(m.ttl_ms) + " ms";
  }
  std::string operator()(const net::Report& m) const {
    std::string text = "report";
    for (const Sighting& seen : m.sightings) {
      text += " n" + std::to_string(seen.node.value) + " start " + std::to_string(seen.starts) +
              " commit " + std::to_string(seen.commits) + (seen.forked ? " forked" : "");
    }
    for (const StatePoint& point : m.points) {
      text += " " + std::to_string(point.chosen_end.value) + ":" + std::to_string(point.hash);
    }
    return text;
  }
  std::string operator()(const net::SessionOpened& m) const {
    return "session_opened " + std::to_string(m.session.value) + " " +
           std::string(name_of(m.outcome));
  }
  std::string operator()(const net::Append& m) const {
    std::string text;
    for (std::span<const std::byte> rest = m.commands.bytes; !rest.empty();) {
      const auto command = log::parse_next_command(rest);
      if (!command) return "append, malformed";
      text += text.empty() ? "" : ", ";
      text += std::string(command->kind == log::CommandKind::append ? "append" : "skip or close") +
              " session " + std::to_string(command->session.value) + " sequence " +
              std::to_string(command->sequence.value) + " × " + std::to_string(command->count);
    }
    return text;
  }
  std::string operator()(const net::AppendResults& m) const {
    std::string text = "append_results";
    for (const CommandResult& result : m.results) {
      text += " " + std::to_string(result.session.value) + "/" +
              std::to_string(result.sequence.value) + " × " + std::to_string(result.count) + " " +
              std::string(name_of(result.outcome)) + " " +
              std::to_string(result.outcome == Outcome::resend ? result.resend_from.value
                                                               : result.lsn.value);
    }
    return text;
  }
  std::string operator()(const net::Read& m) const {
    return std::string(m.linearizable ? "read" : "read_local") + " from " +
           std::to_string(m.lsn_begin.value);
  }
  std::string operator()(const net::ReadAnswer& m) const {
    return "read_result " + std::string(name_of(m.outcome)) + " " + std::to_string(m.count) +
           " from " + std::to_string(m.lsn_begin.value) + ", end " +
           std::to_string(m.lsn_end.value);
  }
  std::string operator()(const net::Tail& m) const {
    return "tail from " + std::to_string(m.lsn_begin.value);
  }
  std::string operator()(const net::TailCredit& m) const {
    return "tail_credit " + std::to_string(m.credit_bytes);
  }
  std::string operator()(const net::TailEntries& m) const {
    return "tail_entries " + std::to_string(m.count) + " from " + std::to_string(m.lsn_begin.value);
  }
  std::string operator()(const net::TailEnd& m) const {
    return "tail_end " + std::string(name_of(m.outcome));
  }
  std::string operator()(const net::StatusAsk&) const { return "status_ask"; }
  std::string operator()(const net::StatusAnswer& m) const { return "status " + m.report.role; }
  std::string operator()(const net::KeepAlive&) const { return "keep_alive"; }
};

}  // namespace

std::string describe(Ballot ballot) {
  return std::to_string(ballot.round) + ".n" + std::to_string(ballot.node.value);
}

std::string describe(const paxos::Message& message) {
  return std::string(paxos::name_of(message.body)) + " " + std::visit(DescribeBody{}, message.body);
}

std::string describe(const net::Message& message) { return std::visit(DescribeMessage{}, message); }

std::string_view name_of(Outcome outcome) {
  static constexpr std::array<std::string_view, static_cast<std::size_t>(kOutcomeLast) + 1> kNames =
      {"ok",        "not_leader",      "overloaded",
       "too_large", "no_space",        "condition_failed",
       "trimmed",   "session_expired", "shutting_down",
       "unknown",   "resend",          "skipped",
       "forgotten", "corrupt",         "out_of_range",
       "held",      "not_found",       "too_many",
       "elsewhere"};
  return kNames.at(static_cast<std::size_t>(outcome));
}

void Trace::line(Time now, const std::string& text) {
  const auto us = std::chrono::duration_cast<std::chrono::microseconds>(now).count() - 1'000'000;
  std::string stamp = std::to_string(us / 1000) + ".";
  const std::string fraction = std::to_string(us % 1000);
  stamp += std::string(3 - fraction.size(), '0') + fraction;
  *lines_ << std::string(stamp.size() < 11 ? 11 - stamp.size() : 0, ' ') << stamp << "  " << text
          << '\n';
}

std::string describe(const paxos::Value& value) {
  return value.kind() == paxos::ValueKind::noop
             ? "a noop"
             : "a batch of " + std::to_string(value.size()) + " bytes #" +
                   std::to_string(value.digest() % 100000);
}

}  // namespace stele::sim
