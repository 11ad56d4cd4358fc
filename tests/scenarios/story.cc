#include "tests/scenarios/story.h"

#include <map>
#include <set>
#include <sstream>
#include <stdexcept>
#include <vector>

#include "log/replica/replica.h"
#include "net/wire/codec.h"
#include "tests/scenarios/story_node.h"
#include "tests/sim/disk/memory_store.h"
#include "tests/sim/nodes/sim_loop.h"
#include "tests/support/commands.h"
#include "tests/support/state.h"

namespace stele::sim {
namespace {

using std::chrono::milliseconds;

struct Wrong : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// A message as bytes, through the real codec and back.
paxos::Message through_the_wire(const paxos::Message& message) {
  const net::OutFrame frame = net::encode(message);
  auto bytes = std::make_shared<std::vector<std::byte>>(frame.head);
  for (const Slice& part : frame.body)
    bytes->insert(bytes->end(), part.bytes.begin(), part.bytes.end());
  const std::span<const std::byte> all(*bytes);
  const std::size_t header = frame.head.size() - net::FramePrefix::kBytes;
  const auto read = net::decode(
      {bytes, all.subspan(net::FramePrefix::kBytes, header), all.subspan(frame.head.size())},
      net::Speaker::node);
  if (!read) throw Wrong("a message cannot be decoded: " + read.error().detail);
  return std::get<paxos::Message>(*read);
}

class World {
 public:
  void run(const std::string& text);

  SimLoop loop{1};
  std::map<NodeId, StoryNode> nodes;
  Told said;
  std::vector<InFlight>& messages = said.messages;
  std::map<std::string, ClientSession>& sessions = said.sessions;
  std::map<std::uint64_t, std::string>& opening = said.opening;
  std::map<std::string, std::string> reads;  // What became of each.

 private:
  using Words = std::vector<std::string>;

  void step(const Words& words);
  void expect(const Words& words);
  void expect_session(const std::string& name, const Words& words);
  void read(const std::string& node, const std::string& name);
  void lead(NodeId id);
  void settle();
  void deliver(const std::function<bool(const InFlight&)>& which);
  [[nodiscard]] bool reaches(const InFlight& message) const;
  void sync(const std::string& who);
  void submit(const std::string& node, log::CommandKind kind, Slice bytes);
  [[nodiscard]] std::function<bool(const InFlight&)> selection(const Words& words) const;
  [[nodiscard]] NodeId id_of(const std::string& name) const;
  [[nodiscard]] StoryNode& live(const std::string& name);
  [[nodiscard]] std::vector<std::string> log_of(StoryNode& node);

  std::set<std::pair<NodeId, NodeId>> cut_;
  std::optional<paxos::Configuration> configuration_;
  std::uint64_t nonces_ = 0;
};

NodeId World::id_of(const std::string& name) const {
  if (name.size() != 2 || name[0] != 'n') throw Wrong("'" + name + "' is no node");
  return {static_cast<std::uint64_t>(name[1] - '0')};
}

StoryNode& World::live(const std::string& name) {
  StoryNode& node = nodes.at(id_of(name));
  if (!node.replica) throw Wrong(name + " is down");
  return node;
}

bool World::reaches(const InFlight& message) const {
  return !cut_.contains({message.from, message.to}) && !cut_.contains({message.to, message.from}) &&
         nodes.at(message.to).replica != nullptr;
}

/// Those that are selected now, in their order; messages that cannot arrive are lost.
void World::deliver(const std::function<bool(const InFlight&)>& which) {
  std::vector<InFlight> selected;
  std::erase_if(messages, [&](InFlight& message) {
    if (!which(message)) return false;
    selected.push_back(std::move(message));
    return true;
  });
  for (const InFlight& message : selected) {
    if (!reaches(message)) continue;
    nodes.at(message.to).replica->deliver(message.from, through_the_wire(message.message));
    loop.run();
  }
}

void World::sync(const std::string& who) {
  for (auto& [id, node] : nodes) {
    if (who != "all" && id != id_of(who)) continue;
    if (node.store) node.store->sync();
  }
  loop.run();
}

void World::lead(NodeId id) {
  StoryNode& node = nodes.at(id);
  if (!node.replica) throw Wrong("it is down");
  // Nobody waits for a time-out: it is told to take over from whom it last heard.
  const auto leader = node.replica->acceptor().promised();
  for (int round = 0; round < 50 && !node.replica->proposer().leads(); ++round) {
    if (node.replica->proposer().standing() == paxos::Proposer::Standing::follower) {
      node.replica->deliver(id, {{1}, paxos::TakeOver{round == 0 ? leader : Ballot{}}});
      loop.run();
      if (node.replica->proposer().standing() == paxos::Proposer::Standing::follower) {
        node.replica->deliver(id, {{1}, paxos::TakeOver{}});
        loop.run();
      }
    }
    for (auto& [other, any] : nodes) {
      const bool cut = cut_.contains({id, other}) || cut_.contains({other, id});
      if (any.store && (!cut || other == id)) any.store->sync();
    }
    loop.run();
    deliver([&](const InFlight& message) {
      const std::string_view kind = paxos::name_of(message.message.body);
      return (message.from == id || message.to == id) &&
             (kind == "prepare" || kind == "promise" || kind == "nack");
    });
  }
  if (!node.replica->proposer().leads()) throw Wrong("it does not win");
}

void World::settle() {
  for (int i = 0; i < 200; ++i) {
    for (int k = 0; k < 20; ++k) {
      sync("all");
      deliver([](const InFlight&) { return true; });
    }
    loop.advance(milliseconds(10));
  }
}

std::function<bool(const InFlight&)> World::selection(const Words& words) const {
  const std::string kind = words.at(1);
  NodeId from;
  NodeId to;
  for (std::size_t i = 2; i < words.size(); ++i) {
    if (words[i].starts_with("from=")) from = id_of(words[i].substr(5));
    if (words[i].starts_with("to=")) to = id_of(words[i].substr(3));
  }
  return [kind, from, to](const InFlight& message) {
    return (kind == "all" || paxos::name_of(message.message.body) == kind) &&
           (from == NodeId{} || message.from == from) && (to == NodeId{} || message.to == to);
  };
}

void World::submit(const std::string& node, log::CommandKind kind, Slice bytes) {
  if (live(node).replica->submit(kind, std::move(bytes)) != Outcome::ok) {
    throw Wrong(node + " refuses");
  }
  loop.run();
}

std::vector<std::string> World::log_of(StoryNode& node) {
  std::vector<std::string> log;
  const Lsn end = node.replica->state().numbers().next_lsn;
  while (log.size() + 1 < end.value) {
    std::optional<log::EntriesRead> read;
    node.replica->read({log.size() + 1}, end, SIZE_MAX,
                       [&](log::EntriesRead found) { read = found; });
    node.store->sync();
    loop.run();
    if (!read || read->count == 0) throw Wrong("its log cannot be read");
    for (std::string& text : log::payloads(read->entries)) log.push_back(std::move(text));
  }
  return log;
}

void World::expect_session(const std::string& name, const Words& words) {
  std::string told;
  for (const CommandResult& result : sessions.at(name).results) {
    for (std::uint32_t i = 0; i < result.count; ++i) {
      told += " ";
      switch (result.outcome) {
        case Outcome::ok: told += std::to_string(result.lsn.value + i); break;
        case Outcome::resend: told += "resend=" + std::to_string(result.resend_from.value); break;
        case Outcome::skipped: told += "skipped"; break;
        case Outcome::session_expired: told += "session_expired"; break;
        default: told += "other"; break;
      }
    }
  }
  std::string expected;
  for (std::size_t i = 2; i < words.size(); ++i) expected += " " + words[i];
  if (told != expected) throw Wrong(name + " was told" + told);
}

/// A linearizable read, of how many entries there are.
void World::read(const std::string& node, const std::string& name) {
  reads[name] = "waits";
  live(node).replica->read_barrier([this, node, name](bool confirmed) {
    const std::uint64_t entries = live(node).replica->state().numbers().next_lsn.value - 1;
    reads[name] = confirmed ? "sees " + std::to_string(entries) : "refused";
  });
  loop.run();
}

void World::expect(const Words& words) {
  if (sessions.contains(words.at(1))) return expect_session(words[1], words);
  if (const auto read = reads.find(words[1]); read != reads.end()) {
    const std::string expected = words.at(2) + (words.size() > 3 ? " " + words[3] : "");
    if (read->second != expected) throw Wrong("it " + read->second);
    return;
  }
  if (words[1] == "somebody") {
    for (auto& [id, any] : nodes) {
      const bool leads = any.replica && any.replica->proposer().leads();
      if (leads && id != id_of(words.at(4))) return;
    }
    throw Wrong("nobody does");
  }
  StoryNode& node = live(words.at(1));
  const std::string& what = words.at(2);
  if (what == "leads") {
    if (!node.replica->proposer().leads()) throw Wrong("it does not lead");
  } else if (what == "follows") {
    if (node.replica->leader() != id_of(words.at(3))) throw Wrong("it does not follow that leader");
  } else if (what == "promised") {
    const Ballot promised = node.replica->acceptor().promised();
    const std::string text =
        std::to_string(promised.round) + "." + std::to_string(promised.node.value);
    if (text != words.at(3)) throw Wrong("it has promised " + text);
  } else if (what == "fault") {
    if (node.replica->fault().empty() == (words.at(3) == "yes")) {
      throw Wrong("it says '" + node.replica->fault() + "'");
    }
  } else if (what == "equals") {  // All of its state, by the hash over what was applied.
    if (node.replica->state().numbers() != live(words.at(3)).replica->state().numbers()) {
      throw Wrong("it does not");
    }
  } else if (what == "log") {
    const Words expected(words.begin() + 3, words.end());
    const Words log = log_of(node);
    if (log == expected) return;
    std::string text;
    for (const std::string& entry : log) text += " \"" + entry + "\"";
    throw Wrong("its log is" + text);
  } else {
    throw Wrong("cannot expect that");
  }
}

void World::step(const Words& words) {
  const std::string& verb = words.at(0);
  const auto entries_from = [&](std::size_t first) {
    return Words(words.begin() + static_cast<std::ptrdiff_t>(first), words.end());
  };
  if (verb == "nodes") {
    std::vector<NodeId> members;
    for (std::uint64_t id = 1; id <= std::stoull(words.at(1)); ++id) members.push_back({id});
    configuration_ = *paxos::Configuration::make(members);
    for (NodeId id : members)
      nodes.try_emplace(id, said, id).first->second.start(loop, *configuration_);
    loop.run();
  } else if (verb == "lead") {
    lead(id_of(words.at(1)));
  } else if (verb == "open") {
    opening[++nonces_] = words.at(2);
    sessions[words[2]];
    submit(words.at(1), log::CommandKind::open_session, log::open_command(nonces_));
  } else if (verb == "append") {
    ClientSession& session = sessions.at(words.at(2));
    const Words entries = entries_from(3);
    submit(words.at(1), log::CommandKind::append,
           log::append_command(session.id, session.next, entries));
    session.next = session.next + entries.size();
  } else if (verb == "resend") {
    submit(words.at(1), log::CommandKind::append,
           log::append_command(sessions.at(words.at(2)).id, {std::stoull(words.at(3))},
                               entries_from(4)));
  } else if (verb == "skip") {
    submit(words.at(1), log::CommandKind::skip,
           log::skip_command(sessions.at(words.at(2)).id, {std::stoull(words.at(3))}));
  } else if (verb == "read") {
    read(words.at(1), words.at(2));
  } else if (verb == "deliver") {
    deliver(selection(words));
  } else if (verb == "drop") {
    std::erase_if(messages, selection(words));
  } else if (verb == "sync") {
    sync(words.at(1));
  } else if (verb == "crash") {
    nodes.at(id_of(words.at(1))).crash();
    loop.run();
  } else if (verb == "restart") {
    nodes.at(id_of(words.at(1))).start(loop, *configuration_);
    loop.run();
  } else if (verb == "rot") {
    Disk& disk = nodes.at(id_of(words.at(1))).disk;
    if (words.at(2) == "promise") {
      disk.rot_promise();
    } else {
      disk.rot({std::stoull(words[2])});
    }
  } else if (verb == "space") {
    nodes.at(id_of(words.at(1))).disk.free_bytes = std::stoull(words.at(2));
  } else if (verb == "cut") {
    cut_.insert({id_of(words.at(1)), id_of(words.at(2))});
  } else if (verb == "heal") {
    cut_.clear();
  } else if (verb == "wait") {
    loop.advance(milliseconds(std::stoll(words.at(1))));
  } else if (verb == "settle") {
    settle();
  } else if (verb == "expect") {
    expect(words);
  } else {
    throw Wrong("there is no step '" + verb + "'");
  }
}

/// Words, and "quoted texts" as one word each.
std::vector<std::string> split(const std::string& line) {
  std::vector<std::string> words;
  for (std::size_t at = 0; at < line.size();) {
    if (line[at] == ' ') {
      ++at;
    } else if (line[at] == '#') {
      break;
    } else if (line[at] == '"') {
      const std::size_t end = line.find('"', at + 1);
      words.push_back(line.substr(at + 1, end - at - 1));
      at = end == std::string::npos ? line.size() : end + 1;
    } else {
      const std::size_t end = std::min(line.find(' ', at), line.size());
      words.push_back(line.substr(at, end - at));
      at = end;
    }
  }
  return words;
}

void World::run(const std::string& text) {
  std::istringstream lines(text);
  std::string line;
  for (int number = 1; std::getline(lines, line); ++number) {
    const Words words = split(line);
    if (words.empty()) continue;
    try {
      step(words);
    } catch (const std::exception& wrong) {
      throw Wrong("line " + std::to_string(number) + ": " + line + ": " + wrong.what());
    }
  }
}

}  // namespace

std::string run_story(const std::string& text) {
  World world;
  try {
    world.run(text);
  } catch (const Wrong& wrong) {
    return wrong.what();
  }
  return {};
}

}  // namespace stele::sim
