#include "tests/sim/nodes/sim_node.h"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "tests/sim/checker/violation.h"

namespace stele::sim {
namespace {}  // namespace

class SimNode::NodeEvents final : public Events {
 public:
  explicit NodeEvents(SimNode& node) : node_(node) {}
  void event(EventLevel level, std::string_view name,
             std::initializer_list<EventField> fields) override {
    node_.event(level, name, fields);
  }

 private:
  SimNode& node_;
};

SimNode::SimNode(Surroundings world, NodeId id, Random random)
    : world_(std::move(world)),
      id_(id),
      random_(random),
      events_(std::make_unique<NodeEvents>(*this)) {
  disk_.on_durable = [this](const Txn& txn) { world_.checker.on_durable(id_, txn); };
  disk_.on_snapshot = [this](const Snapshot& one) { world_.checker.on_snapshot(id_, one); };
  world_.checker.on_new_disk(id_, disk_);
  files_.directory = world_.directory + "/" + name_of(host());
  const std::array<std::size_t, 4> small_bytes_max{10'000, 1500, 300, 300};
  files_.small_bytes_max = small_bytes_max.at(world_.plan.seed % 4);
  files_.lacking_bytes_max = world_.plan.seed / 4 % 2 == 0 ? 100 << 10 : 8 << 10;
}

SimNode::~SimNode() {
  if (running()) end_process();
}

void SimNode::event(EventLevel, std::string_view name, std::initializer_list<EventField> fields) {
  static const std::map<std::string_view, Path> kEventPaths = {
      {"cluster_born", Path::births},
      {"leader_stopped", Path::leaders_stopped},
      {"hands_over_slow_disk", Path::hand_overs_for_a_slow_disk},
      {"slot_faulty", Path::slots_faulty},
      {"slot_repaired", Path::slots_repaired},
      {"peer_refused", Path::peers_refused},
      {"gone_back", Path::nodes_gone_back},
      {"diverged", Path::nodes_diverged},
      {"space_low", Path::full_disks},
      {"needs_snapshot", Path::snapshots_needed},
      {"votes_wait_for_applying", Path::votes_far_ahead},
      {"snapshot_installed", Path::snapshots_installed},
      {"slots_copied", Path::copies_complete},
      {"chosen_slot_unserved", Path::ballots_without_who_is_ahead}};
  const auto path = kEventPaths.find(name);
  if (path != kEventPaths.end()) world_.coverage.count(path->second);
  if (name == "leader_began") world_.leader_began(id_);
  world_.trace.event(world_.scheduler.now(), 3, host(), name.size(), [&] {
    std::string text = name_of(host()) + ": " + std::string(name);
    for (const EventField& field : fields) text += " " + std::string(field.key) + "=" + field.value;
    return text;
  });
}

// --- The process -----------------------------------------------------------------------

void SimNode::start() {
  if (running()) return;
  const Plan& plan = world_.plan;
  process_ = std::make_shared<Process>(world_.scheduler, Random(random_.bits()), clock_,
                                       us(plan.turn_us_max));
  dialer_ = world_.network.dialer(host());
  auto store = open_store();
  store_ = store.get();

  log::Host::Options options;
  options.self = id_;
  options.cluster = world_.cluster;
  options.entry_bytes_max = 64 << 10;
  options.disk_reserve_bytes = plan.reserve_bytes;
  options.timing = {ms(plan.heartbeat_ms), ms(plan.election_timeout_ms)};
  options.q1 = plan.q1;
  options.q2 = plan.q2;
  options.window = plan.window;
  options.limits.batch_bytes_max = plan.batch_bytes_max;
  options.limits.waiting_bytes_max = plan.waiting_bytes_max;
  options.limits.time_slot_every = ms(plan.time_slot_every_ms);
  options.piece_bytes_max = plan.piece_bytes_max;
  options.keep_for_members_bytes = plan.keep_for_members_bytes;
  options.unapplied_bytes_max = plan.unapplied_bytes_max;
  options.snapshots = {plan.snapshot_every_bytes, plan.snapshot_every_bytes / 4, ms(500)};
  if (plan.sessions_max != 0) {
    options.sections = log::known_sections({plan.sessions_max, plan.session_idle_ms * 1000, 1, 2});
  }
  options.observer = this;
  world_.network.up(host(), process_, world_.cluster.at(id_), [this](auto link) {
    if (node_) node_->on_link(std::move(link));
  });
  auto made = log::Host::make(options, {*process_, *dialer_, *events_}, std::move(store));
  if (!made) throw Violation("check", name_of(host()) + " does not start: " + made.error().detail);
  node_ = *std::move(made);
}

std::unique_ptr<SimStore> SimNode::open_store() {
  MemoryStore::Hooks hooks;
  hooks.commit_wanted = [this] { on_commit_wanted(); };
  hooks.read_later = [this](std::function<void()> read) {
    later(random_.between(us(1), us(world_.plan.commit_us_max)),
          [this, read = std::move(read)] { process_->post(read); });
  };
  hooks.reads = [this](MemoryStore::Hooks::Reading reading) {
    using Reading = MemoryStore::Hooks::Reading;
    world_.coverage.count(reading == Reading::own_votes      ? Path::votes_read_back
                          : reading == Reading::latest_votes ? Path::votes_not_readable_yet
                                                             : Path::reads_of_old_entries);
  };
  hooks.failed = [this](const Error& error) { on_store_failed(error.detail); };
  if (world_.plan.real_files == 0) {
    return std::make_unique<MemoryStore>(*process_, disk_, std::move(hooks));
  }
  return LmdbSimStore::open(*process_, disk_, files_, std::move(hooks), random_);
}

void SimNode::end_process() {
  process_->halt();
  node_.reset();  // And with it the store.
  store_ = nullptr;
  process_->clear();
  dialer_.reset();
  process_.reset();
  commit_scheduled_ = finish_due_ = fail_next_commit_ = false;
  commits_.clear();
  disk_free_at_ = {};
  within_commit_ = {};
}

void SimNode::kill() {
  if (!running()) return;
  world_.coverage.count(Path::kills);
  store_->crash(false, random_, world_.coverage);
  world_.network.down(host(), false);
  end_process();
}

void SimNode::lose_power() {
  world_.coverage.count(Path::power_failures);
  if (running()) store_->crash(true, random_, world_.coverage);
  world_.network.down(host(), true);
  if (running()) end_process();
  const std::size_t unsynced = disk_.unsynced.size();
  const std::size_t kept = random_.below(unsynced + 1);
  world_.coverage.count(Path::lost_unsynced_transactions, unsynced - kept);
  world_.coverage.count(Path::kept_unsynced_transactions, kept);
  disk_.lose_power(kept);
}

void SimNode::check_files() {
  kill();
  LmdbSimStore::check_files(disk_, files_, random_);
}

void SimNode::stop(std::function<void()> ended) {
  if (!running()) return;
  world_.coverage.count(Path::stops);
  process_->post([this, ended = std::move(ended)] {
    node_->stop([this, ended] {
      // Not in its own turn.
      later(Duration(0), [this, ended] {
        store_->sync_at_end();  // As LmdbStore does when it is closed.
        world_.network.down(host(), false);
        end_process();
        ended();
      });
    });
  });
}

void SimNode::pause() {
  if (!running()) return;
  world_.coverage.count(Path::pauses);
  process_->pause();
}

void SimNode::resume() {
  if (!running() || !process_->paused()) return;
  process_->resume();
  if (std::exchange(finish_due_, false)) finish_commit();
}

void SimNode::later(Duration delay, std::function<void()> act) {
  world_.scheduler.after(delay, [weak = std::weak_ptr<Process>(process_), act = std::move(act)] {
    if (weak.lock()) act();
  });
}

bool SimNode::leads() const {
  return node_ != nullptr && node_->replica() != nullptr && node_->replica()->proposer().leads();
}

// --- The disk --------------------------------------------------------------------------

void SimNode::on_commit_wanted() {
  if (std::exchange(commit_scheduled_, true)) return;
  later(random_.between(us(0), us(20)), [this] { begin_commit(); });
}

void SimNode::begin_commit() {
  commit_scheduled_ = false;
  if (commits_.size() >= world_.plan.commits_at_once) return;  // Wanted again when one is done.
  const auto bytes = store_->begin_commit();
  if (!bytes) return;
  if (!commits_.empty()) world_.coverage.count(Path::commits_at_once);
  Duration takes = random_.between(us(world_.plan.commit_us_min), us(world_.plan.commit_us_max));
  if (!is_slow(world_.plan) && random_.chance(1)) takes *= 10;
  if (kind_) takes = std::min<Duration>(takes, ms(world_.plan.election_timeout_ms) / 8);
  const Time now = world_.scheduler.now();
  if (now < slow_until_) {
    world_.coverage.count(Path::slow_disks);
    takes *= static_cast<Duration::rep>(slow_times_);
  }
  disk_free_at_ = std::max(disk_free_at_, now);
  if (const std::uint64_t rate = world_.plan.disk_bytes_per_s; rate != 0) {
    world_.coverage.count(Path::waits_for_a_slow_disk);
    disk_free_at_ += us(*bytes * 1'000'000 / rate);
  }
  // Told of in order.
  const Time before = commits_.empty() ? now : commits_.back().due;
  commits_.push_back({*bytes, std::max(disk_free_at_ + takes, before)});
  if (commits_.size() == 1) later(commits_.front().due - now, [this] { finish_commit(); });
}

void SimNode::finish_commit() {
  const Time now = world_.scheduler.now();
  if (now < stalled_until_) {
    world_.coverage.count(Path::disk_stalls);
    return later(std::min<Duration>(stalled_until_ - now, ms(5)), [this] { finish_commit(); });
  }
  if (process_->paused()) {
    finish_due_ = true;
    return;
  }
  if (const auto act = std::exchange(within_commit_, {})) {
    act();
    if (!running()) return;
  }
  const std::size_t bytes = commits_.front().bytes;
  const bool full = disk_.free_bytes < bytes;
  if (full || std::exchange(fail_next_commit_, false)) {
    world_.coverage.count(full ? Path::overfull_disks : Path::failed_commits);
    // What a failed sync leaves in the cache may reach the disk, or not.
    if (!full) store_->crash(false, random_, world_.coverage);
    return store_->fail_commit(full ? "no space left on device" : "input/output error");
  }
  if (disk_.free_bytes != UINT64_MAX) disk_.free_bytes -= bytes;
  const std::size_t told = store_->finish_commit();
  commits_.erase(commits_.begin(), commits_.begin() + static_cast<std::ptrdiff_t>(told));
  if (!commits_.empty()) {
    later(std::max(commits_.front().due, now) - now, [this] { finish_commit(); });
  }
  world_.trace.event(now, 4, host(), bytes,
                     [&] { return name_of(host()) + ": committed " + std::to_string(bytes); });
  check_state();
}

/// The invariants that roles and sections state beside their code.
void SimNode::check_state() const {
  const log::Replica* replica = node_ == nullptr ? nullptr : node_->replica();
  if (replica == nullptr) return;
  const std::string wrong = replica->check();
  if (!wrong.empty()) throw Violation("8", name_of(host()) + ": " + wrong);
}

/// The program ends then, and somebody starts it again.
void SimNode::on_store_failed(const std::string& reason) {
  world_.trace.event(world_.scheduler.now(), 5, host(), 0,
                     [&] { return name_of(host()) + ": the store failed: " + reason; });
  process_->halt();
  later(Duration(0), [this] {
    world_.network.down(host(), false);
    // As an operator would: room is made, then the program is started again.
    if (disk_.free_bytes < world_.plan.reserve_bytes) disk_.free_bytes = UINT64_MAX;
    end_process();
    world_.scheduler.after(std::chrono::milliseconds(50), [this] { start(); });
  });
}

void SimNode::rot_vote(Random& random) {
  const Image& image = disk_.synced;
  std::vector<Slot> votes;
  for (auto at = image.slots.lower_bound(image.numbers.chosen_end); at != image.slots.end(); ++at) {
    votes.push_back(at->first);
  }
  if (votes.empty()) return;
  world_.coverage.count(Path::rotten_votes);
  disk_.rot(votes[random.below(votes.size())]);
}

void SimNode::rot_chosen(Random& random) {
  const Image& image = disk_.synced;
  const Slot slot{
      random.between(1, std::max<std::uint64_t>(image.numbers.chosen_end.value, 2) - 1)};
  const auto found = image.slots.lower_bound(slot);
  if (found == image.slots.end() || found->first >= image.numbers.chosen_end) return;
  world_.coverage.count(Path::rotten_chosen_records);
  disk_.rot(found->first);
}

void SimNode::wipe() {
  world_.coverage.count(Path::wiped_directories);
  outcast_ = true;
  disk_.synced = disk_.cached = {};
  disk_.unsynced.clear();
  disk_.snapshots.clear();
  world_.checker.on_new_disk(id_, disk_);
}

bool SimNode::knows_more(NodeId of, const Image& copy) const {
  for (const Sighting& seen : disk_.synced.history.heard) {
    if (seen.node != of) continue;
    // That the copy has had later starts, too, than the one heard of here says nothing.
    const std::vector<Start>& starts = copy.history.recent;
    const auto known = std::ranges::find(starts, seen.recent.at(0).id, &Start::id);
    if (known == starts.begin() && known != starts.end()) return seen.commits > copy.commits;
    return known == starts.end();
  }
  return false;
}

void SimNode::roll_back() {
  world_.coverage.count(Path::rolled_back_directories);
  outcast_ = true;
  disk_.synced = disk_.cached = *copy_;
  disk_.unsynced.clear();
  world_.checker.on_rolled_back(id_);
}

void SimNode::differ() {
  world_.coverage.count(Path::states_that_differ);
  outcast_ = true;
  disk_.sync();
  disk_.synced.numbers.hash ^= 1;
  disk_.cached.numbers.hash ^= 1;
  world_.checker.on_differs(id_);
}

void SimNode::set_clock_rate(std::uint64_t permille) {
  clock_.rate_permille = permille;
  if (running()) process_->set_rate(permille);
}

void SimNode::jump_clock(Duration ahead) {
  if (running()) process_->jump(ahead);
}

void SimNode::jump_wall_clock(std::int64_t microseconds) {
  clock_.wall_ahead_us += microseconds;
  if (running()) process_->jump_wall(microseconds);
}

}  // namespace stele::sim
