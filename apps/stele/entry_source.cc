#include "apps/stele/entry_source.h"

#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace stele::apps {

Result<std::vector<std::string>> EntrySource::next() {
  std::vector<std::string> entries;
  std::array<char, 64 << 10> chunk{};
  while (entries.empty() && !ended_) {
    const ssize_t count = ::read(descriptor_, chunk.data(), chunk.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0)
      return fail(Errc::io, std::string("cannot read the input: ") + std::strerror(errno));
    if (count == 0) {
      ended_ = true;
      if (!partial_.empty()) entries.push_back(std::exchange(partial_, {}));
      break;
    }
    std::string_view rest(chunk.data(), static_cast<std::size_t>(count));
    for (std::size_t at = rest.find(separator_); at != std::string_view::npos;
         at = rest.find(separator_)) {
      partial_.append(rest.substr(0, at));
      entries.push_back(std::exchange(partial_, {}));
      rest.remove_prefix(at + 1);
    }
    partial_.append(rest);
    if (partial_.size() > kEntryBytesMax) {
      return fail(Errc::too_large, "an entry of the input has more than " +
                                       std::to_string(kEntryBytesMax) + " bytes");
    }
  }
  return entries;
}

}  // namespace stele::apps
