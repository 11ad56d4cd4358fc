#include "log/replica/acceptor_actor.h"

#include <algorithm>
#include <memory>
#include <utility>

namespace stele::log {
namespace {

constexpr Slot kSlotEnd{UINT64_MAX};

}  // namespace

AcceptorActor::AcceptorActor(NodeId self, net::Loop& loop, Store& store, paxos::Acceptor acceptor,
                             Epoch epoch, std::size_t piece_bytes_max,
                             std::uint64_t unapplied_bytes_max, AcceptorListener& listener)
    : Actor(loop, kLettersMax),
      self_(self),
      store_(store),
      acceptor_(std::move(acceptor)),
      epoch_(epoch),
      piece_bytes_max_(piece_bytes_max),
      unapplied_bytes_max_(unapplied_bytes_max),
      listener_(listener),
      unapplied_(unapplied_bytes_max / kStretches) {}

/// Proposers send again: a disk that does not keep up must not make memory grow, and a node that
/// does not come to apply what it votes for must not fill its disk with it.
bool AcceptorActor::has_room_for(NodeId from, const paxos::Accept& accept) {
  const Space space = store_.space();
  // What waits must have room in what is kept for a full disk, which may be full before it is
  // measured the next time.
  const std::size_t most = std::min<std::size_t>(
      kBacklogBytesMax, space.kept_bytes_max == 0 ? SIZE_MAX : space.kept_bytes_max);
  if (store_.backlog_bytes() + turn_bytes_ > most) return false;
  // Those that it applies next are always voted for, so that it gets on; what makes room; and what
  // this node itself proposes, which it could get from nobody if only others had voted for it. Once
  // it has dropped some, it waits a little, so that what it has are long stretches.
  const bool must = accept.value.kind() != paxos::ValueKind::batch || from == self_;
  const std::uint64_t ahead =
      far_ahead_ ? unapplied_bytes_max_ - unapplied_bytes_max_ / 16 : unapplied_bytes_max_;
  const bool much = unapplied_.bytes() > ahead;
  if (!must && much && unapplied_.bytes_before(accept.slot) > ahead) {
    if (!std::exchange(far_ahead_, true)) listener_.on_far_ahead(true);
    return false;
  }
  if (space.free_bytes == 0) {
    const std::uint64_t half = space.kept_bytes_max / 2;
    acceptor_.found_full({half, half + half / 2});
  }
  return true;
}

void AcceptorActor::on_chosen_end(Slot chosen_end) {
  acceptor_.on_chosen_end(chosen_end);
  unapplied_.applied(chosen_end);
  if (far_ahead_ && unapplied_.bytes() <= unapplied_bytes_max_ / 2) {
    far_ahead_ = false;
    listener_.on_far_ahead(false);
  }
}

void AcceptorActor::handle(Letter& letter) {
  const auto* accept = std::get_if<paxos::Accept>(&letter.message.body);
  if (accept != nullptr && !has_room_for(letter.from, *accept)) return;
  const std::size_t writes = effects_.writes.size();
  acceptor_.step(letter.from, letter.message, effects_);
  if (accept != nullptr && effects_.writes.size() != writes) turn_bytes_ += accept->value.size();
}

void AcceptorActor::flush() {
  paxos::Acceptor::Effects effects = std::exchange(effects_, {});
  turn_bytes_ = 0;
  if (effects.heard != Ballot{}) listener_.on_heard(effects.heard);

  for (paxos::Send& send : effects.at_once) listener_.send(std::move(send));

  std::vector<paxos::SlotRecord> voted;
  for (const auto& write : effects.writes) {
    if (const auto* accepted = std::get_if<paxos::WriteAccepted>(&write)) {
      voted.push_back(accepted->record);
      unapplied_.add(accepted->record.slot, accepted->record.value.size());
    }
  }
  if (!effects.writes.empty() || !effects.sends.empty()) {
    // Durability (a): sends leave after this step's writes and those of all earlier steps.
    auto sends = std::make_shared<std::vector<paxos::Send>>(std::move(effects.sends));
    store_.write_votes(std::move(effects.writes), [this, sends] {
      for (paxos::Send& send : *sends) listener_.send(std::move(send));
    });
  }
  for (const auto& read : effects.promises) answer_prepare(read);
  for (const paxos::SlotRecord& record : voted) listener_.on_voted(record);
}

// Durability (b): the votes are read in their place among the writes, never beside a pending
// commit.
void AcceptorActor::answer_prepare(const paxos::Acceptor::PromiseRead& read) {
  Answer& answer = answers_[read.to];
  const bool same = answer.ballot == read.ballot && answer.slot_begin == read.slot_begin;
  // A piece may take long over a slow line; another one after it would only take longer.
  if (same && (answer.reading || listener_.progress(read.to).arrived < answer.sent_end)) return;
  answer = {read.ballot, read.slot_begin};
  const auto send = [this, read](paxos::Body body) {
    listener_.send({read.to, {epoch_, std::move(body)}});
    answers_[read.to].sent_end = listener_.progress(read.to).sent;
  };
  const auto send_promise = [this, read, send](SlotsRead found) {
    Answer& told = answers_[read.to];
    if (told.ballot == read.ballot && told.slot_begin == read.slot_begin) told.reading = false;
    if (found.records.empty() && found.faulty) {
      listener_.on_faulty_slot(*found.faulty);
      return send(paxos::Faulty{read.ballot, *found.faulty});
    }
    // A vote of a higher ballot came in between: the node that asked is told so when it asks again.
    for (const paxos::SlotRecord& record : found.records) {
      if (record.ballot > read.ballot) return;
    }
    paxos::Promise promise;
    promise.ballot = read.ballot;
    promise.slot_begin = read.slot_begin;
    promise.slot_end = found.records.empty() ? std::max(read.slot_begin, found.chosen_end)
                                             : found.records.back().slot + 1;
    promise.last = found.last;
    promise.chosen_end = found.chosen_end;
    promise.accepted = std::move(found.records);
    send(std::move(promise));
  };
  store_.read_votes(read.slot_begin, kSlotEnd, piece_bytes_max_, send_promise);
}

}  // namespace stele::log
