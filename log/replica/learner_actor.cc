#include "log/replica/learner_actor.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "paxos/base/check.h"

namespace stele::log {

LearnerActor::LearnerActor(net::Loop& loop, Store& store, paxos::Learner learner, LogState state,
                           Sections sections, Epoch epoch, std::size_t piece_bytes_max,
                           LearnerListener& listener)
    : Actor(loop, kLettersMax),
      store_(store),
      learner_(std::move(learner)),
      state_(std::move(state)),
      sections_(std::move(sections)),
      epoch_(epoch),
      piece_bytes_max_(piece_bytes_max),
      listener_(listener),
      recent_(state_.numbers().next_lsn, kRecentPiecesMax * piece_bytes_max),
      written_end_(state_.numbers().chosen_end) {
  trail_.add({state_.numbers().chosen_end, state_.numbers().hash});
}

LearnerActor::~LearnerActor() {
  if (unwritten_bytes_ != 0) write_state();
}

void LearnerActor::handle(Letter& letter) {
  if (ended_) return;
  learner_.step(loop().now(), letter.from, letter.message, effects_);
}

void LearnerActor::on_voted(const paxos::SlotRecord& record) {
  if (ended_) return;
  learner_.on_voted(loop().now(), record, effects_);
  wake();
}

void LearnerActor::tick() {
  if (ended_) return;
  set_paused();
  learner_.tick(loop().now(), effects_);
  if (reads_later_ && !effects_.read_votes) read_votes_later();
  if (unwritten_bytes_ != 0 && write_is_due()) write_state();
  if (std::exchange(dirty_, false)) store_.flush();
  if (installing()) go_on_installing();
  flush();
}

void LearnerActor::flush() {
  if (ended_) return;
  paxos::Learner::Effects effects = std::exchange(effects_, {});
  std::ranges::move(effects.applied, std::back_inserter(waiting_));
  // The next ones are read while these are applied.
  if (effects.read_votes) read_votes(*effects.read_votes);
  apply_waiting();
  if (ended_) return;
  if (!effects.repaired.empty()) {
    for (const paxos::SlotRecord& record : effects.repaired) {
      write_.learned.push_back(record);
      listener_.on_repaired_slot(record.slot);
    }
    write_state();
  }
  for (paxos::Send& send : effects.sends) listener_.send(std::move(send));
  for (const paxos::Learner::Serve& asked : effects.serves) serve(asked);
  if (effects.fetch_failed) listener_.on_fetch_failed(effects.slots_gone);
}

bool LearnerActor::has_room_for_votes() {
  recent_.on_durable(store_.readable().next_lsn);
  return recent_.bytes() <= std::max(kUnreadableBytesMax, 2 * kRecentPiecesMax * piece_bytes_max_);
}

void LearnerActor::read_votes_later() {
  if (has_room_for_votes()) {
    effects_.read_votes = std::exchange(reads_later_, std::nullopt);
  } else if (loop().now() - reads_later_since_ >= kSettleAfter) {
    reads_later_since_ = loop().now();
    store_.settle();
  }
}

void LearnerActor::read_votes(const paxos::Learner::ReadVotes& asked) {
  reads_later_.reset();
  if (!has_room_for_votes()) {
    reads_later_ = asked;
    reads_later_since_ = loop().now();
    return;
  }
  const auto take = [this, asked](const SlotsRead& found) {
    // A newer vote may be on its way over a rotten one: that is told by the latest ones.
    if (found.faulty && asked.latest) on_faulty(*found.faulty);
    const Slot read_end = found.faulty.value_or(asked.slot_end);
    learner_.on_votes(loop().now(), asked, found.records, read_end, effects_);
    flush();
  };
  if (asked.latest) {
    store_.read_votes(asked.slot_begin, asked.slot_end, kVotesReadBytesMax, take);
  } else {
    store_.peek_votes(asked.slot_begin, asked.slot_end, kVotesReadBytesMax, take);
  }
}

/// As far as the rows are in memory that the slots need.
void LearnerActor::apply_waiting() {
  const Slot before = state_.numbers().chosen_end;
  while (!waiting_.empty() && !reading_rows_) {
    if (auto keys = state_.missing(waiting_.front().record.value); !keys.empty()) {
      read_rows(std::move(keys));
      break;
    }
    const paxos::Learner::Delivery next = std::move(waiting_.front());
    waiting_.pop_front();
    if (!apply(next)) return;
  }
  if (state_.numbers().chosen_end == before) return;
  const bool much = !write_.learned.empty() || unwritten_bytes_ >= kWriteStateBytes;
  if (much || write_is_due()) write_state();
  recent_.on_durable(store_.readable().next_lsn);
  state_.on_readable(store_.readable().chosen_end);
  set_paused();
  listener_.on_chosen_end(state_.numbers().chosen_end);
}

/// Nothing is applied until they are there; meanwhile no own votes are handed on, and nothing more
/// is fetched.
void LearnerActor::read_rows(std::vector<RowKey> keys) {
  reading_rows_ = true;
  learner_.set_held(loop().now(), true, effects_);
  store_.read_rows(std::move(keys), [this](const std::vector<Row>& rows) {
    if (ended_) return;
    if (const auto taken = state_.take(rows); !taken) return end(taken.error());
    reading_rows_ = false;
    apply_waiting();
    if (ended_ || reading_rows_) return;
    learner_.set_held(loop().now(), false, effects_);
    flush();
  });
}

void LearnerActor::install(Slot slot) {
  if (ended_ || installing() || slot <= learner_.chosen_end()) return;
  installing_ = slot;
  asked_install_ = false;
  learner_.set_moving(true);
  go_on_installing();
}

/// All that was applied must be durable before another state takes its place.
void LearnerActor::go_on_installing() {
  const bool handed_on = effects_.applied.empty() && effects_.repaired.empty() && waiting_.empty();
  if (asked_install_ || reading_rows_ || !handed_on) return;
  if (unwritten_bytes_ != 0) write_state();
  // A read in its place among the writes: all that was queued before is durable then, and votes may
  // go on coming.
  asked_install_ = true;
  store_.read_votes(installing_, installing_, 1, [this](const SlotsRead&) {
    if (ended_) return;
    asked_install_ = store_.readable().chosen_end >= written_end_;  // Else it is asked again.
    if (asked_install_) install_from_store();
  });
}

void LearnerActor::install_from_store() {
  const auto state = std::make_shared<std::optional<LogState>>();
  const auto check = [this, state](const StateNumbers& numbers,
                                   const std::vector<Row>& rows) -> Result<void> {
    auto loaded = LogState::load(sections_, numbers, rows);
    if (!loaded) return forward(loaded);
    state->emplace(*std::move(loaded));
    return {};
  };
  store_.install(installing_, check, [this, slot = installing_, state](const Result<void>& done) {
    if (ended_) return;
    if (!done && done.error().code == Errc::newer_format) return end(done.error());
    if (done) {
      on_installed(slot, std::move(**state));
    } else {
      listener_.on_not_installed(slot, done.error());
    }
    installing_ = {};
    learner_.set_moving(false);
    wake();
  });
}

void LearnerActor::on_installed(Slot slot, LogState state) {
  STELE_CHECK(state.numbers().chosen_end == slot);
  state_ = std::move(state);
  learner_.move_to(slot);
  recent_ = RecentLog(state_.numbers().next_lsn, kRecentPiecesMax * piece_bytes_max_);
  trail_.add({state_.numbers().chosen_end, state_.numbers().hash});
  write_ = {};
  unwritten_bytes_ = 0;
  written_end_ = slot;
  reads_later_.reset();
  listener_.on_installed(slot);
}

void LearnerActor::end(Error error) {
  ended_ = true;
  listener_.on_cannot_go_on(error);
}

void LearnerActor::write_state() {
#ifdef STELE_SANITIZED
  const std::string wrong = state_.check();
  STELE_CHECK(wrong.empty(), wrong);
#endif
  write_.numbers = state_.numbers();
  write_.rows = state_.take_changed();
  store_.write_state(std::exchange(write_, {}));
  dirty_ = true;
  unwritten_bytes_ = 0;
  written_at_ = loop().now();
  written_end_ = state_.numbers().chosen_end;
}

void LearnerActor::on_faulty(Slot slot) {
  listener_.on_faulty_slot(slot);
  learner_.repair(loop().now(), slot, effects_);
  wake();
}

void LearnerActor::set_paused() {
  const std::size_t kept = store_.space().kept_bytes_max;
  const std::size_t most = std::min(kBacklogBytesMax, kept == 0 ? SIZE_MAX : kept / 3);
  learner_.set_paused(space_full_ || store_.backlog_bytes() > most);
}

bool LearnerActor::apply(const paxos::Learner::Delivery& applied) {
  const paxos::SlotRecord& record = applied.record;
  const auto made = state_.apply(record.slot, record.value);
  if (!made) {
    end(made.error());
    return false;
  }
  const LogState::Applied& outcome = *made;
  trail_.add({state_.numbers().chosen_end, state_.numbers().hash});
  unwritten_bytes_ += 1 + record.value.size();
  if (applied.learned) {
    write_.learned.push_back(record);
    listener_.on_repaired_slot(record.slot);  // Should there have been a faulty vote.
  }
  if (outcome.row.count != 0) {
    write_.index.push_back(outcome.row);
    recent_.add(outcome.row, record.value);
  }
  if (outcome.run) write_.runs.push_back(*outcome.run);
  if (outcome.snapshot) {
    write_.snapshot = true;
    write_state();
  }
  listener_.on_applied(outcome);
  return true;
}

/// Null if it is not to be served now: over a slow line an answer may take long, and a second one
/// after it would only take longer.
LearnerActor::Served* LearnerActor::begin_serving(const paxos::Learner::Serve& asked) {
  std::vector<Served>& served = served_[{asked.to, asked.copies}];
  auto place = std::ranges::find(served, asked.slot_begin, &Served::slot_begin);
  if (place != served.end()) {
    if (place->reading || listener_.progress(asked.to).arrived < place->sent_end) return nullptr;
  } else if (served.size() < (asked.copies ? kCopiesAtOnce : 1)) {
    place = served.insert(place, Served{});
  } else {
    // In the place of the one that was sent first.
    place = std::ranges::min_element(
        served, {}, [](const Served& one) { return one.reading ? UINT64_MAX : one.sent_end; });
    if (place->reading) return nullptr;
  }
  *place = {asked.slot_begin};
  return &*place;
}

void LearnerActor::serve(const paxos::Learner::Serve& asked) {
  if (begin_serving(asked) == nullptr) return;
  // Only what is durable is served.
  if (unwritten_bytes_ != 0 && asked.slot_begin >= written_end_) write_state();
  store_.read_chosen(asked.slot_begin, piece_bytes_max_, [this, asked](SlotsRead found) {
    if (found.faulty) on_faulty(*found.faulty);
    paxos::Fetched fetched{asked.slot_begin, found.chosen_end, {}, found.first_slot, asked.copies};
    // Dense from the slot asked for; what is trimmed or faulty is not served.
    for (paxos::SlotRecord& record : found.records) {
      if (record.slot != asked.slot_begin + fetched.records.size()) break;
      fetched.records.push_back(std::move(record));
    }
    listener_.send({asked.to, {epoch_, std::move(fetched)}});
    std::vector<Served>& served = served_[{asked.to, asked.copies}];
    const auto place = std::ranges::find(served, asked.slot_begin, &Served::slot_begin);
    *place = {asked.slot_begin, false, listener_.progress(asked.to).sent};
  });
}

void LearnerActor::read(Lsn lsn_begin, Lsn lsn_end, std::size_t bytes_max,
                        std::function<void(EntriesRead)> done) {
  if (recent_.holds(lsn_begin)) {
    done(recent_.read(lsn_begin, lsn_end, bytes_max));
  } else {
    store_.read_entries(lsn_begin, lsn_end, bytes_max,
                        [this, done = std::move(done)](EntriesRead read) {
                          if (read.faulty_slot) on_faulty(*read.faulty_slot);
                          done(std::move(read));
                        });
  }
}

}  // namespace stele::log
