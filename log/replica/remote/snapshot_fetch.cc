#include "log/replica/remote/snapshot_fetch.h"

#include <algorithm>
#include <span>
#include <string>
#include <utility>

namespace stele::log {
namespace {

/// The head and the tail, one after the other.
Result<SnapshotManifest> parse_manifest(const paxos::Value& value) {
  std::vector<std::byte> bytes(value.size());
  value.copy_to(bytes.data());
  const std::string what = "what another node says of its snapshot";
  const std::span<const std::byte> whole(bytes);
  const auto head = parse_head(whole, what);
  if (!head) return forward(head);
  const auto tail = whole.subspan(SnapshotHead::kBytes);
  if (tail.size() < kSnapshotTailEndBytes) return fail(Errc::corrupt, what + " is cut off");
  const auto length = tail_bytes(tail.last(kSnapshotTailEndBytes), what);
  if (!length) return forward(length);
  if (*length != tail.size()) return fail(Errc::corrupt, what + " has the wrong length");
  return parse_tail(*head, tail, what);
}

}  // namespace

SnapshotFetch::SnapshotFetch(Options options, Store& store, Events& events,
                             std::function<void(paxos::Send)> send,
                             std::function<void(Slot)> complete)
    : options_(std::move(options)),
      store_(store),
      events_(events),
      send_(std::move(send)),
      complete_(std::move(complete)),
      patience_(options_.timeout) {}

void SnapshotFetch::want(Time now, Slot chosen_end) {
  chosen_end_ = chosen_end;
  if (under_way() || options_.others.empty()) return;
  events_.event(EventLevel::warning, "needs_snapshot", {{"chosen_end", chosen_end.value}});
  ask_newest(now);
}

void SnapshotFetch::stop() {
  state_ = State::idle;
  found_none_ = false;
  alive_ = std::make_shared<bool>(true);  // What the store still answers is for nobody.
  adding_ = false;
  here_.clear();
}

void SnapshotFetch::ask_newest(Time now) {
  state_ = State::asking;
  asked_at_ = now_ = now;
  send_({node(), {options_.epoch, paxos::FetchSnapshot{}}});
}

/// Another node may have what is lacking, or a newer snapshot.
void SnapshotFetch::next_node(Time now) {
  ++turn_;
  if (++refused_ >= options_.others.size()) {
    const bool none = state_ == State::asking;
    rest(now);
    found_none_ = none;
    return;
  }
  if (state_ != State::fetching) return ask_newest(now);
  asked_at_ = now;
  asked_end_ = added_ + (adding_ ? 1 : 0);
  ask_for_pieces(now);
}

/// Nobody has one just now, or the disk does not take it: all is asked again a little later.
void SnapshotFetch::rest(Time now) {
  stop();
  refused_ = 0;
  state_ = State::resting;
  asked_at_ = now;
}

void SnapshotFetch::on_part(Time now, NodeId from, const paxos::SnapshotPart& part) {
  now_ = now;
  if (state_ == State::asking && part.part == 0 && from == node()) {
    if (part.bytes.size() == 0) return next_node(now);
    return on_manifest(now, part);
  }
  // From which node does not matter: it is judged by its digest.
  const std::size_t first = added_ + (adding_ ? 1 : 0);
  const bool expected = state_ == State::fetching && part.slot == manifest_.head.slot &&
                        part.digest == digest_ && part.part > first && part.part <= asked_end_;
  if (!expected) return;
  if (part.bytes.size() == 0) return from == node() ? next_node(now) : void();
  patience_ = std::max<Duration>(options_.timeout, patience_ / 2);
  asked_at_ = now;
  std::vector<std::byte> bytes(part.bytes.size());
  part.bytes.copy_to(bytes.data());
  fetched_until_ += std::chrono::duration_cast<Duration>(std::chrono::duration<double>(
      static_cast<double>(bytes.size()) / static_cast<double>(options_.bytes_per_second)));
  here_[part.part - 1] = std::move(bytes);
  add_next();
}

void SnapshotFetch::on_manifest(Time now, const paxos::SnapshotPart& part) {
  auto manifest = parse_manifest(part.bytes);
  const bool own = manifest && manifest->head.cluster_id == store_.identity()->cluster_id &&
                   manifest->head.slot == part.slot;
  if (!own) {
    events_.event(EventLevel::error, "snapshot_refused",
                  {{"node", node().value},
                   {"reason", manifest ? "it is of another cluster" : manifest.error().detail}});
    return next_node(now);
  }
  if (manifest->head.slot <= chosen_end_) return next_node(now);
  manifest_ = *std::move(manifest);
  digest_ = manifest_.digest();
  found_none_ = false;
  state_ = State::beginning;
  store_.begin_fetch(manifest_,
                     [this, alive = std::weak_ptr<bool>(alive_)](Result<std::size_t> there) {
                       if (!alive.lock()) return;
                       if (!there) return on_added(forward(there));
                       state_ = State::fetching;
                       refused_ = 0;
                       asked_at_ = now_;
                       added_ = asked_end_ = *there;
                       events_.event(EventLevel::info, "fetches_snapshot",
                                     {{"slot", manifest_.head.slot.value},
                                      {"bytes", manifest_.content_bytes()},
                                      {"pieces_here", added_}});
                       if (added_ == manifest_.pieces.size()) return complete();
                       ask_for_pieces(now_);
                     });
}

void SnapshotFetch::ask_for_pieces(Time now) {
  now_ = now;
  fetched_until_ = std::max(fetched_until_, now - std::chrono::milliseconds(25));
  const std::size_t end = std::min(manifest_.pieces.size(), added_ + kAhead);
  for (; asked_end_ < end && now >= fetched_until_; ++asked_end_) {
    if (!here_.contains(asked_end_)) ask_for(asked_end_);
  }
}

void SnapshotFetch::ask_for(std::size_t piece) {
  send_({node(), {options_.epoch, paxos::FetchSnapshot{manifest_.head.slot, digest_, piece + 1}}});
}

void SnapshotFetch::add_next() {
  const auto next = here_.find(added_);
  if (adding_ || next == here_.end()) return;
  adding_ = true;
  std::vector<std::byte> piece = std::move(next->second);
  here_.erase(next);
  store_.add_piece(std::move(piece),
                   [this, alive = std::weak_ptr<bool>(alive_)](const Result<void>& added) {
                     if (!alive.lock()) return;
                     adding_ = false;
                     on_added(added);
                   });
}

void SnapshotFetch::on_added(const Result<void>& added) {
  if (!added) {
    events_.event(EventLevel::warning, "snapshot_piece_refused",
                  {{"node", node().value}, {"reason", added.error().detail}});
    if (state_ != State::fetching || added.error().code != Errc::corrupt) return rest(now_);
    here_.clear();  // That node is not asked for the others either.
    return next_node(now_);
  }
  ++added_;
  refused_ = 0;
  if (added_ == manifest_.pieces.size()) return complete();
  add_next();
  ask_for_pieces(now_);
}

void SnapshotFetch::complete() {
  const Slot slot = manifest_.head.slot;
  stop();
  complete_(slot);
}

void SnapshotFetch::tick(Time now) {
  now_ = now;
  if (state_ == State::idle || state_ == State::beginning) return;
  if (state_ == State::resting) {
    if (now - asked_at_ >= options_.timeout) ask_newest(now);
    return;
  }
  if (now - asked_at_ >= patience_ && !adding_) {
    patience_ = std::min<Duration>(2 * patience_, kPatienceMax * options_.timeout);
    return next_node(now);
  }
  if (state_ == State::fetching) ask_for_pieces(now);
}

}  // namespace stele::log
