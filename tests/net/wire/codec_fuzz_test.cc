// Frames that nobody would send: whatever comes, decoding ends with a message or with a sentence,
// and what it builds is bounded by what came.

#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <map>
#include <random>
#include <set>
#include <sstream>

#include "net/wire/codec.h"
#include "tests/net/wire/samples.h"
#include "tests/support/hex.h"

namespace stele::net {
namespace {

constexpr const char* kNames[] = {"stranger", "client", "server", "node", "listening"};

/// What is between prefix and end of a frame.
struct Bytes {
  std::vector<std::byte> header;
  std::vector<std::byte> body;
};

InFrame frame_of(const Bytes& bytes) {
  auto owner = std::make_shared<Bytes>(bytes);
  const std::span<const std::byte> header(owner->header);
  const std::span<const std::byte> body(owner->body);
  return {std::move(owner), header, body};
}

Bytes bytes_of(const Message& message) {
  const OutFrame frame = encode(message);
  Bytes bytes;
  bytes.header.assign(frame.head.begin() + FramePrefix::kBytes, frame.head.end());
  for (const Slice& part : frame.body) {
    bytes.body.insert(bytes.body.end(), part.bytes.begin(), part.bytes.end());
  }
  return bytes;
}

/// Bytes that a message holds in vectors of its own; slices are of the frame.
std::size_t built_bytes(const Message& message) {
  if (const auto* results = std::get_if<AppendResults>(&message)) {
    return results->results.capacity() * sizeof(CommandResult);
  }
  if (const auto* report = std::get_if<Report>(&message)) {
    std::size_t bytes = report->sightings.capacity() * sizeof(Sighting);
    for (const Sighting& seen : report->sightings) bytes += seen.recent.capacity() * sizeof(Start);
    return bytes;
  }
  const auto* paxos_message = std::get_if<paxos::Message>(&message);
  if (paxos_message == nullptr) return 0;
  if (const auto* promise = std::get_if<paxos::Promise>(&paxos_message->body)) {
    return promise->accepted.capacity() * sizeof(paxos::SlotRecord);
  }
  if (const auto* fetched = std::get_if<paxos::Fetched>(&paxos_message->body)) {
    return fetched->records.capacity() * sizeof(paxos::SlotRecord);
  }
  return 0;
}

/// Empty if it was read.
std::string refusal(const Bytes& bytes, Speaker speaker) {
  const auto read = decode(frame_of(bytes), speaker);
  if (!read) {
    CHECK(read.error().code == Errc::malformed);
    CHECK_FALSE(read.error().detail.empty());
    return read.error().detail;
  }
  CHECK(built_bytes(*read) <= 16 * (bytes.header.size() + 64));
  // What was read is a message like any other: it can be sent, and comes back.
  const auto again = decode(frame_of(bytes_of(*read)), speaker);
  CHECK_MESSAGE(again.has_value(), again.error().detail);
  return {};
}

/// A header and its damage: words that are pointers, tags, counts or numbers to Cap'n Proto.
class Damage {
 public:
  explicit Damage(std::uint64_t seed) : random_(seed) {}

  Bytes operator()(Bytes bytes) {
    for (std::uint64_t changes = 1 + below(4); changes != 0; --changes) change(bytes);
    return bytes;
  }

 private:
  std::uint64_t below(std::uint64_t end) { return random_() % end; }

  void change(Bytes& bytes) {
    std::vector<std::byte>& header = bytes.header;
    const std::size_t words = header.size() / 8;
    const std::size_t at = 8 * below(words);
    std::uint64_t word = 0;
    std::memcpy(&word, header.data() + at, 8);
    switch (below(10)) {
      case 0: word ^= std::uint64_t{1} << below(64); break;
      case 1: word = random_(); break;
      case 2: word = below(2) == 0 ? 0 : UINT64_MAX; break;
      case 3: word = (word & UINT32_MAX) | below(1 << 20) << 32; break;
      case 4: word = (word >> 32 << 32) | (below(words) << 2 | below(4)); break;  // Elsewhere.
      case 5: word = below(1 << 20) << 2; break;  // So many elements without size.
      case 6: std::memcpy(&word, header.data() + 8 * below(words), 8); break;
      case 7: {  // A list of everything.
        const std::uint64_t kind = below(8);
        word = 1 | below(words) << 2 | kind << 32 | below(1 << 12) << 35;
        break;
      }
      case 8:
        if (below(2) == 0 && words > 2) {
          header.resize(8 * (1 + below(words)));
        } else {
          header.resize(header.size() + 8 * (1 + below(4)));
        }
        fit_table(header);
        return;
      default:
        if (bytes.body.empty() || below(2) == 0) {
          bytes.body.resize(below(64));
        } else {
          bytes.body[below(bytes.body.size())] ^= std::byte{1};
        }
        return;
    }
    std::memcpy(header.data() + at, &word, 8);
  }

  /// One segment: what follows.
  static void fit_table(std::vector<std::byte>& header) {
    const std::uint32_t table[2] = {0, static_cast<std::uint32_t>(header.size() / 8 - 1)};
    std::memcpy(header.data(), table, sizeof table);
  }

  std::mt19937_64 random_;
};

/// What Cap'n Proto itself says is told in its own words, which may change.
constexpr std::string_view kNotCapnp = "not a valid Cap'n Proto message";

/// A sentence, as far as it is always the same.
std::string lasting(const std::string& says) {
  return std::string(says.starts_with(kNotCapnp) ? kNotCapnp : std::string_view(says));
}

struct Kept {
  Speaker speaker;
  Bytes bytes;
  std::string says;  // Empty: it is read.
};

/// Lines of speaker, header and body in hexadecimal, and the sentence.
std::vector<Kept> corpus() {
  std::ifstream file(std::string(STELE_SOURCE_DIR) + "/tests/net/wire/corpus/frames.txt");
  std::vector<Kept> kept;
  std::string line;
  while (std::getline(file, line)) {
    if (line.empty() || line[0] == '#') continue;
    std::istringstream words(line);
    std::string speaker, header, body, says;
    words >> speaker >> header >> body;
    std::getline(words >> std::ws, says);
    const auto* const name =
        std::ranges::find_if(kNames, [&](const char* each) { return speaker == each; });
    REQUIRE(name != std::end(kNames));
    kept.push_back({kSpeakers[name - kNames], {from_hex(header), from_hex(body)}, says});
  }
  return kept;
}

}  // namespace

TEST_SUITE("net.codec_fuzz") {
  TEST_CASE("the frames that were kept are refused as before") {
    const auto kept = corpus();
    CHECK(kept.size() > 40);
    for (const Kept& frame : kept) {
      CAPTURE(to_hex(frame.bytes.header));
      const std::string says = refusal(frame.bytes, frame.speaker);
      CHECK(lasting(says) == frame.says);
    }
  }

  TEST_CASE("damaged frames of every kind, from every side, and of those that were kept") {
    std::vector<Kept> seeds = corpus();
    for (const Message& message : samples()) {
      for (const Speaker speaker : kSpeakers) {
        if (refusal(bytes_of(message), speaker).empty()) {
          seeds.push_back({speaker, bytes_of(message), {}});
        }
      }
    }
    // STELE_FUZZ=<rounds> for a longer run, STELE_FUZZ_KEEP=1 to print what is worth keeping.
    const char* const more = std::getenv("STELE_FUZZ");
    const std::size_t rounds = more == nullptr ? 2000 : std::stoul(more);
    const bool keep = std::getenv("STELE_FUZZ_KEEP") != nullptr;
    std::map<std::pair<Speaker, std::string>, Bytes> found;
    std::size_t read = 0;
    std::size_t refused = 0;
    std::uint64_t seed = 0;
    for (const Kept& from : seeds) {
      Damage damage(++seed);
      for (std::size_t i = 0; i < rounds; ++i) {
        const Bytes bytes = damage(from.bytes);
        const std::string says = refusal(bytes, from.speaker);
        (says.empty() ? read : refused) += 1;
        if (!keep) continue;
        const auto [known, first] = found.try_emplace({from.speaker, lasting(says)}, bytes);
        if (!first && bytes.header.size() < known->second.header.size()) known->second = bytes;
      }
    }
    CHECK(read > seeds.size());
    CHECK(refused > seeds.size() * rounds / 4);
    for (const auto& [what, bytes] : found) {
      std::printf("%s %s %s %s\n", kNames[static_cast<std::size_t>(what.first)],
                  to_hex(bytes.header).c_str(), to_hex(bytes.body).c_str(), what.second.c_str());
    }
  }
}

}  // namespace stele::net
