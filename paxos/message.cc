#include "paxos/message.h"

namespace stele::paxos {
namespace {

struct RoleOf {
  Role operator()(const Prepare&) const { return Role::acceptor; }
  Role operator()(const Promise&) const { return Role::proposer; }
  Role operator()(const Faulty&) const { return Role::proposer; }
  Role operator()(const Accept&) const { return Role::acceptor; }
  Role operator()(const Accepted&) const { return Role::proposer; }
  Role operator()(const Nack&) const { return Role::proposer; }
  Role operator()(const ChosenEnd&) const { return Role::learner; }
  Role operator()(const Chosen&) const { return Role::learner; }
  Role operator()(const Heartbeat&) const { return Role::acceptor; }
  Role operator()(const HeartbeatAck&) const { return Role::proposer; }
  Role operator()(const Heard&) const { return Role::proposer; }
  Role operator()(const PreVote&) const { return Role::proposer; }
  Role operator()(const PreVoteAnswer&) const { return Role::proposer; }
  Role operator()(const TakeOver&) const { return Role::proposer; }
  Role operator()(const Fetch&) const { return Role::learner; }
  Role operator()(const Fetched&) const { return Role::learner; }
  Role operator()(const FetchSnapshot&) const { return Role::learner; }
  Role operator()(const SnapshotPart&) const { return Role::learner; }
  Role operator()(const FetchRun&) const { return Role::learner; }
  Role operator()(const RunSlots&) const { return Role::learner; }
};

struct NameOf {
  std::string_view operator()(const Prepare&) const { return "prepare"; }
  std::string_view operator()(const Promise&) const { return "promise"; }
  std::string_view operator()(const Faulty&) const { return "faulty"; }
  std::string_view operator()(const Accept&) const { return "accept"; }
  std::string_view operator()(const Accepted&) const { return "accepted"; }
  std::string_view operator()(const Nack&) const { return "nack"; }
  std::string_view operator()(const ChosenEnd&) const { return "chosen_end"; }
  std::string_view operator()(const Chosen&) const { return "chosen"; }
  std::string_view operator()(const Heartbeat&) const { return "heartbeat"; }
  std::string_view operator()(const HeartbeatAck&) const { return "heartbeat_ack"; }
  std::string_view operator()(const Heard&) const { return "heard"; }
  std::string_view operator()(const PreVote&) const { return "pre_vote"; }
  std::string_view operator()(const PreVoteAnswer&) const { return "pre_vote_answer"; }
  std::string_view operator()(const TakeOver&) const { return "take_over"; }
  std::string_view operator()(const Fetch&) const { return "fetch"; }
  std::string_view operator()(const Fetched&) const { return "fetched"; }
  std::string_view operator()(const FetchSnapshot&) const { return "fetch_snapshot"; }
  std::string_view operator()(const SnapshotPart&) const { return "snapshot_part"; }
  std::string_view operator()(const FetchRun&) const { return "fetch_run"; }
  std::string_view operator()(const RunSlots&) const { return "run_slots"; }
};

}  // namespace

Role role_of(const Body& body) { return std::visit(RoleOf{}, body); }
bool is_bulk(const Body& body) {
  return std::holds_alternative<Accept>(body) || std::holds_alternative<Chosen>(body) ||
         std::holds_alternative<ChosenEnd>(body) || std::holds_alternative<Promise>(body) ||
         std::holds_alternative<Fetched>(body) || std::holds_alternative<SnapshotPart>(body) ||
         std::holds_alternative<RunSlots>(body);
}
std::string_view name_of(const Body& body) { return std::visit(NameOf{}, body); }

}  // namespace stele::paxos
