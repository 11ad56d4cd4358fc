#include "log/service/service.h"

#include <utility>

namespace stele::log {
namespace {

/// So many clients beyond the bound may ask for the status.
constexpr std::size_t kGuestsMax = 8;
constexpr Duration kTickEvery = std::chrono::milliseconds(50);

}  // namespace

ClientService::ClientService(Options options, net::Loop& loop, Events& events, const NodeView& view)
    : loop_(loop),
      events_(events),
      serving_(options, view),
      budget_(loop, options.answer_bytes_max, *this),
      appends_(loop, events, serving_) {
  tick();
}

ClientService::~ClientService() = default;

// --- Connections ---------------------------------------------------------------------------

bool ClientService::add(std::unique_ptr<net::Link> link) {
  const std::size_t guests = guests_;
  const bool full = links_.size() - guests >= serving_.options().connections_max;
  if (full) tell_full();
  if (full && guests >= kGuestsMax) {
    link->send(net::Refused{serving_.full()});
    link->close_gently();
    return false;
  }
  const std::uint64_t id = ++links_seen_;
  if (full) ++guests_;
  const ClientLinkSurroundings around{loop_, events_, serving_, budget_, *this};
  links_.emplace(id, std::make_unique<ClientLink>(around, id, std::move(link), full));
  return true;
}

void ClientService::tell_full() {
  if (!full_told_.due(loop_.now())) return;
  events_.event(EventLevel::error, "clients_full",
                {{"clients", serving_.options().connections_max},
                 {"reason", "others are refused until one of them goes"}});
}

void ClientService::on_gone(ClientLink& link) {
  const auto found = links_.find(link.id());
  if (found == links_.end()) return;
  appends_.forget(link);
  if (link.guest()) --guests_;
  answered_.erase(link.id());
  tailing_.erase(link.id());
  // Not at once: the link may be calling.
  if (gone_.empty()) {
    loop_.post([this, alive = std::weak_ptr<bool>(alive_)] {
      if (!alive.lock()) return;
      const auto gone = std::exchange(gone_, {});  // Links that end may have others end.
    });
  }
  gone_.push_back(std::move(found->second));
  links_.erase(found);
}

/// Also if links end meanwhile: they live until the end of the turn.
template <class Act>
void ClientService::for_each_link(Act act) {
  for (auto at = links_.begin(); at != links_.end();) {
    const std::uint64_t id = at->first;
    act(*at->second);
    at = links_.upper_bound(id);
  }
}

void ClientService::tick() {
  timer_ = loop_.after(kTickEvery, [this] { tick(); });
  for_each_link([this](ClientLink& link) { link.tick(loop_.now()); });
  if (!answered_.empty()) on_turn_end();  // Refused, perhaps, and no turn of the learner comes.
}

void ClientService::on_born() {
  for_each_link([](ClientLink& link) { link.end(); });
}

void ClientService::shut_down() {
  serving_.shut_down();
  for_each_link([](ClientLink& link) { link.end_tails(Outcome::shutting_down); });
}

// --- Answers -------------------------------------------------------------------------------

void ClientService::count_all() {
  for_each_link([](ClientLink& link) { link.count_bytes(); });
}

std::uint64_t ClientService::answer_all(std::uint64_t after) {
  std::uint64_t first = 0;
  for (const bool later : {true, false}) {
    for_each_link([&](ClientLink& link) {
      if ((link.id() > after) != later || !link.waits()) return;
      if (first == 0) first = link.id();
      link.go_on();
    });
  }
  return first;
}

/// Only those for which there is something, of perhaps thousands.
void ClientService::on_turn_end() {
  const auto each = [this](const std::set<std::uint64_t>& ids, auto act) {
    for (const std::uint64_t id : std::set(ids)) {
      const auto found = links_.find(id);
      if (found != links_.end()) act(*found->second);
    }
  };
  each(answered_, [](ClientLink& link) { link.flush_results(); });
  answered_.clear();
  each(tailing_, [this](ClientLink& link) {
    link.pump_tails();
    if (!link.has_tails()) tailing_.erase(link.id());
  });
}

void ClientService::on_stopped() {
  appends_.on_stopped();
  for_each_link([](ClientLink& link) {
    link.flush_results();
    link.end_tails(Outcome::not_leader);
  });
}

}  // namespace stele::log
